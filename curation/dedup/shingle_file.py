"""Shingles of chosen documents, read from the files that ranks left: for the exact check of candidate pairs."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.dedup.shingles import Hashes, Numbers, Shingles, fastest, jaccard

START_BITS = np.uint64(40)  # of a place: where in its file the shingles begin; the file's number is above them


def places(file: Any, start: Hashes) -> Hashes:
    """Where shingles lie: in which file, and where there."""
    found: Hashes = file.astype(np.uint64) << START_BITS | start
    return found


def similarities(files: list[Path], one: Hashes, other: Hashes) -> npt.NDArray[np.float64]:
    """True Jaccard similarity of the shingles at each pair of places. Memory: the shingles of all of them."""
    wanted = np.unique(np.concatenate([one, other]))
    packed, starts = _gather(files, wanted)
    pairs = np.searchsorted(wanted, one), np.searchsorted(wanted, other)
    found: npt.NDArray[np.float64] = fastest(_compare_by_numpy, "compare_sets")(packed, starts, *pairs)
    return found


def _gather(files: list[Path], wanted: Hashes) -> tuple[Shingles, Numbers]:
    """The shingles at each wanted place (sorted) in order, one place after the other, and where each begins."""
    file = (wanted >> START_BITS).astype(np.int64)
    start = (wanted & ((np.uint64(1) << START_BITS) - np.uint64(1))).astype(np.int64)
    parts = {number: slice(*np.searchsorted(file, [number, number + 1]).tolist()) for number in np.unique(file).tolist()}
    sizes = [_open(files[number])[start[part]].astype(np.int64) for number, part in parts.items()]
    bounds = np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))
    packed = np.empty(bounds[-1], np.uint32)
    fill = fastest(_copy_by_numpy, "copy_sorted")
    for number, part in parts.items():
        fill(_open(files[number]), start[part], packed, bounds[part.start : part.stop + 1])
    return packed, bounds


def _open(file: Path) -> Shingles:
    return np.asarray(np.memmap(file, np.uint32, "r"))


def _copy_by_numpy(data: Shingles, begins: Numbers, packed: Shingles, bounds: Numbers) -> None:
    for begin, (at, end) in zip(begins.tolist(), pairwise(bounds.tolist()), strict=True):
        packed[at:end] = np.sort(data[begin + 1 : begin + 1 + end - at])


def _compare_by_numpy(packed: Shingles, starts: Numbers, one: Numbers, other: Numbers) -> npt.NDArray[np.float64]:
    sets = [packed[a:b] for a, b in pairwise(starts)]
    return np.array([jaccard(sets[a], sets[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)])
