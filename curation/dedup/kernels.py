"""The compiled paths of curation/dedup. Imported only where they run."""

from typing import Any

import numpy as np

from curation.compiled import njit
from curation.dedup import decisions
from curation.dedup.shingles import Numbers

go_through = njit(cache=True)(decisions.go_through)


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
