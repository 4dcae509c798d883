"""How much of an item a text has in its order: the longest common subsequence with the stretch where the item would be.

The time grows with the square of an item's length: 10 µs for 50 tokens, a millisecond for 500.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.compiled import njit
from curation.decontaminate.benchmark_index import Covered, Numbers
from curation.decontaminate.math_token_hashes import Hashes, Offsets, Tokens
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER, WORD


class InOrder(NamedTuple):
    """Arrays in step with `Covered`: tokens in the longest common subsequence as they are, with all numbers alike, and of words
    alone. All 0 where too little is alike."""

    same: Numbers
    alike: Numbers
    words: Numbers


def compare_in_order(
    tokens: Tokens, hashes: Hashes, offsets: Offsets, covered: Covered, wanted: npt.NDArray[np.bool_], min_share: float
) -> InOrder:
    """`hashes` and `offsets` are the items'. Rows that are not `wanted` are 0, as are those with less than `min_share` alike."""
    rows = _compare(tokens.hashes, tokens.offsets, hashes, offsets, covered, wanted, min_share)
    return InOrder(*rows)


@njit(cache=True)
def _compare(tokens, offsets, item_tokens, item_offsets, covered, wanted, min_share):  # type: ignore[no-untyped-def]
    rows = np.zeros((3, len(wanted)), np.int32)
    for row in range(len(wanted)):
        if wanted[row]:
            document, number = covered.documents[row], covered.items[row]
            item = item_tokens[item_offsets[number] : item_offsets[number + 1]]
            first = offsets[document] + max(covered.stretches[row] - len(item) // 4, 0)
            stretch = tokens[first : min(first + len(item) * 3 // 2, offsets[document + 1])]
            alike = _longest_common(_alike(item), _alike(stretch))
            if alike >= min_share * len(item):
                words = _longest_common(item[item & WORD > 0], stretch[stretch & WORD > 0])
                rows[0, row], rows[1, row], rows[2, row] = _longest_common(item, stretch), alike, words
    return rows


@njit(cache=True)
def _alike(tokens):  # type: ignore[no-untyped-def]
    return np.where(tokens & NUMBER > 0, ANY_NUMBER, tokens)


@njit(cache=True)
def _longest_common(one, other):  # type: ignore[no-untyped-def]
    lengths = np.zeros(len(other) + 1, np.int32)
    for i in range(len(one)):
        diagonal = np.int32(0)
        for k in range(len(other)):
            above = lengths[k + 1]
            lengths[k + 1] = diagonal + 1 if one[i] == other[k] else max(above, lengths[k])
            diagonal = above
    return lengths[len(other)]
