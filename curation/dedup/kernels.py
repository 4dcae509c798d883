"""The compiled paths of curation/dedup. Imported only where they run."""

from typing import Any

import numpy as np
from numba import uint32

from curation.compiled import njit
from curation.dedup import decisions
from curation.dedup.shingles import Numbers

go_through = njit(cache=True)(decisions.go_through)


@njit(cache=True)
def copy_sorted(data: Any, begins: Numbers, packed: Any, bounds: Numbers) -> None:
    """Set i, which lies at begins[i] behind its size, goes to packed[bounds[i] : bounds[i + 1]] in order."""
    counts, longest = np.empty((4, 256), np.int64), 0
    for i in range(len(begins)):
        longest = max(longest, bounds[i + 1] - bounds[i])
    spare = np.empty(longest, np.uint32)
    for i in range(len(begins)):
        one = packed[bounds[i] : bounds[i + 1]]
        other = spare[: len(one)]
        one[:] = data[begins[i] + 1 : begins[i] + 1 + len(one)]
        counts[:] = 0
        for value in one:
            for place in range(4):
                counts[place, value >> uint32(8 * place) & uint32(255)] += 1
        for place in range(4):  # an even number of moves: they end where they began
            at, shift = 0, uint32(8 * place)
            for byte in range(256):
                counts[place, byte], at = at, at + counts[place, byte]
            for value in one:
                other[counts[place, value >> shift & uint32(255)]] = value
                counts[place, value >> shift & uint32(255)] += 1
            one, other = other, one


@njit(cache=True)
def compare_sets(packed: Any, starts: Numbers, one: Numbers, other: Numbers) -> Any:
    """Jaccard similarity of pairs of sets; set i is sorted in packed[starts[i] : starts[i + 1]], repetitions count once."""
    similar = np.empty(len(one), np.float64)
    for pair in range(len(one)):
        i, end = starts[one[pair]], starts[one[pair] + 1]
        j, other_end = starts[other[pair]], starts[other[pair] + 1]
        shared, union = 0, 0
        while i < end and j < other_end:
            left, right = packed[i], packed[j]
            union += 1
            shared += left == right
            if left <= right:
                i = _behind(packed, i, end)
            if right <= left:
                j = _behind(packed, j, other_end)
        while i < end:
            i = _behind(packed, i, end)
            union += 1
        while j < other_end:
            j = _behind(packed, j, other_end)
            union += 1
        similar[pair] = shared / union
    return similar


@njit(cache=True, inline="always")
def _behind(packed: Any, at: int, end: int) -> int:
    """The next place with another value."""
    value = packed[at]
    at += 1
    while at < end and packed[at] == value:
        at += 1
    return at
