"""Pairs of texts that MinHash bands call similar, and the shingles to check them with.

Texts are numbered from the most to the least wanted one, so nothing here depends on which shard a text came from.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.shingles import Hashes, Shingler, jaccard

Numbers = npt.NDArray[np.int64]

NUM_NEIGHBOURS = 64  # buckets up to this size (+1) are compared whole
NUM_FIRST = 32  # in larger ones every text is also compared with the most wanted ones


def pairs_in_band(keys: Hashes) -> tuple[Numbers, int]:
    """(pairs, 2) of texts with the same key, the more wanted one first, and how many buckets were too large to be compared
    whole: a template shared by a million pages would make 5e11 pairs. There, each text meets its 64 neighbours in order
    and the 32 most wanted texts."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(keys)])
    made = []
    left = np.repeat(starts + sizes, sizes) - np.arange(len(keys)) - 1  # members of its bucket behind each member
    for distance in range(1, NUM_NEIGHBOURS + 1):
        first = np.flatnonzero(left >= distance)
        if not len(first):
            break
        made.append(np.stack([first, first + distance], axis=1))
    large = np.flatnonzero(sizes > NUM_NEIGHBOURS + 1)
    for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
        for wanted in range(start, start + NUM_FIRST):
            far = np.arange(wanted + NUM_NEIGHBOURS + 1, start + size)
            made.append(np.stack([np.full(len(far), wanted), far], axis=1))
    pairs = np.concatenate(made) if made else np.zeros((0, 2), np.int64)
    return order[pairs], len(large)


def candidate_pairs(
    read_band: Callable[[int], Hashes], num_bands: int, num_shingles: Numbers, min_jaccard: float
) -> tuple[Numbers, int]:
    """All bands' pairs once each, sorted. Sets whose sizes differ too much cannot reach min_jaccard and are left out.
    One band is in memory at a time, and 8 bytes for each pair found so far."""
    codes = np.zeros(0, np.int64)
    num_large = 0
    for band in range(num_bands):
        pairs, large = pairs_in_band(read_band(band))
        small, big = np.sort(num_shingles[pairs], axis=1).T if len(pairs) else (num_shingles[:0], num_shingles[:0])
        pairs = pairs[small >= min_jaccard * big]
        codes = np.union1d(codes, pairs[:, 0] * len(num_shingles) + pairs[:, 1])
        num_large += large
    return np.stack(np.divmod(codes, max(len(num_shingles), 1)), axis=1), num_large


class ShingleFile:
    """Shingles of chosen texts in one flat temporary file, mapped into memory: the page cache holds what fits.
    About 5 kB on disk for a document of 600 words."""

    def __init__(self, path: Path, num_texts: int):
        self.path = path
        self._start = np.zeros(num_texts, np.int64)
        self._count = np.zeros(num_texts, np.int64)
        self._data: Hashes = np.zeros(0, np.uint64)

    def fill(self, texts: Iterator[tuple[int, str]], ngram: int) -> None:
        """Texts come as (number, text)."""
        shingler, position = Shingler(ngram), 0
        with open(self.path, "wb") as file:
            for number, text in texts:
                shingles = shingler(text)
                self._start[number], self._count[number] = position, len(shingles)
                position += len(shingles)
                shingles.tofile(file)
        if position:
            self._data = np.asarray(np.memmap(self.path, np.uint64, "r"))

    def jaccard(self, one: int, other: int) -> float:
        return jaccard(self._shingles(one), self._shingles(other))

    def _shingles(self, number: int) -> Hashes:
        start = self._start[number]
        return self._data[start : start + self._count[number]]

    def delete(self) -> None:
        self._data = np.zeros(0, np.uint64)
        self.path.unlink(missing_ok=True)
