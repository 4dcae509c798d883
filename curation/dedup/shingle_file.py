"""Shingles of chosen documents, read from the files that ranks left: for the exact check of candidate pairs."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.dedup.shingles import Hashes, Numbers, Shingles, compiled, jaccard

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
    return _compare()(packed, starts, *pairs)


def _gather(files: list[Path], wanted: Hashes) -> tuple[Shingles, Numbers]:
    """Distinct shingles at the wanted places (sorted), one place after the other, and where each begins."""
    file = (wanted >> START_BITS).astype(np.int64)
    start = (wanted & ((np.uint64(1) << START_BITS) - np.uint64(1))).astype(np.int64)
    made: list[Shingles] = [np.zeros(0, np.uint32)]
    for number in np.unique(file).tolist():
        data = np.asarray(np.memmap(files[number], np.uint32, "r"))
        for begin in start[file == number].tolist():
            made.append(np.sort(data[begin + 1 : begin + 1 + int(data[begin])]))
    return np.concatenate(made), np.cumsum([len(one) for one in made])


def _compare() -> Callable[[Shingles, Numbers, Numbers, Numbers], npt.NDArray[np.float64]]:
    if not compiled():
        return _compare_by_numpy
    from curation.dedup import kernels

    found: Callable[[Shingles, Numbers, Numbers, Numbers], npt.NDArray[np.float64]] = kernels.compare_sets
    return found


def _compare_by_numpy(packed: Shingles, starts: Numbers, one: Numbers, other: Numbers) -> npt.NDArray[np.float64]:
    sets = [packed[a:b] for a, b in pairwise(starts)]
    return np.array([jaccard(sets[a], sets[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)])
