"""How much of an item a text has in its order: longest common subsequences with the stretch where the item would be.

Outlines are compared first, by weight; a bag of tokens says beforehand what can be in order at most, so that few pairs are. The
tokens themselves are compared only where a bag of them says that they may be enough. The time grows with the square of an item's
length: 5 µs for 50 tokens, 0.5 ms for 500.
"""

from typing import NamedTuple

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_hashes import Hashes, Offsets, Tokens
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.outlines import Candidates, OutlineIndex, Outlines

MIN_WORD_SHARE = 0.25  # of the weight of an item's words: formulas of one shape are everywhere
_NO_TOKEN = np.uint64(0)


class Limits(NamedTuple):
    """Of every item."""

    weight: Offsets  # of its outline that has to be in order
    tokens: Offsets  # with fewer of them in the stretch their order is not looked at


class InOrder(NamedTuple):
    """Arrays in step, of the candidates with enough of an item's outline in order."""

    documents: Offsets
    items: Offsets
    found: Offsets  # weight of the outline's tokens in order
    words: Offsets  # weight of its words in order
    all_words: Offsets  # weight of all its words
    shared_tokens: Offsets  # in any order
    same_tokens: Offsets  # tokens in order; 0 where too few are shared, and so are the next two
    numbers: Offsets  # numbers in order
    word_tokens: Offsets  # words in order
    begins: Offsets  # the first of all documents' tokens that is in order,
    ends: Offsets  # and the one behind the last


def compare_in_order(
    tokens: Tokens,
    outlines: Outlines,
    candidates: Candidates,
    index: OutlineIndex,
    item_tokens: tuple[Hashes, Offsets],
    limits: Limits,
) -> InOrder:
    """Candidates with less of the item's weight in order, or hardly a word of it, are left out."""
    rows = _compare(tokens, outlines, candidates, (index.hashes, index.offsets, index.weights), item_tokens, limits)
    return InOrder(*rows)


@njit(cache=True)
def _compare(tokens, outlines, candidates, index, item_tokens, limits):  # type: ignore[no-untyped-def]
    item_outlines, item_offsets, item_weights = index
    rows = np.zeros((11, len(candidates.items)), np.int64)
    count = 0
    slots = _slots_for(16)
    for row in range(len(candidates.items)):
        text, number = candidates.documents[row], candidates.items[row]
        mine = slice(item_offsets[number], item_offsets[number + 1])
        item, weights = item_outlines[mine], item_weights[mine]
        whole = item_tokens[0][item_tokens[1][number] : item_tokens[1][number + 1]]
        if len(slots[0]) < 2 * len(whole):
            slots = _slots_for(2 * len(whole))
        first = max(candidates.begins[row] - len(item) // 4, outlines.offsets[text])
        last = min(first + len(item) * 3 // 2 + 1, outlines.offsets[text + 1])
        stretch = outlines.hashes[first:last]
        if _in_both(item, weights, stretch, slots) < limits.weight[number]:
            continue
        found, end = _heaviest_common(item, weights, stretch)
        if found < limits.weight[number]:
            continue
        is_word = item & WORD > 0
        words, _ = _heaviest_common(item[is_word], weights[is_word], stretch[stretch & WORD > 0])
        all_words = weights[is_word].sum()
        if words < MIN_WORD_SHARE * all_words:
            continue
        _, from_end = _heaviest_common(item[::-1], weights[::-1], stretch[:end][::-1])
        begin, after = outlines.places[first + end - from_end], tokens.offsets[text + 1]
        if first + end < outlines.offsets[text + 1]:
            after = outlines.places[first + end]  # numbers in a row are one place
        place = tokens.hashes[begin:after]
        shared = _in_both(whole, np.ones(len(whole), np.int32), place, slots)
        rows[:6, count] = np.array((text, number, found, words, all_words, shared))
        if shared >= limits.tokens[number]:
            rows[6:9, count] = np.array(_tokens_in_order(whole, place))
        rows[9:, count] = np.array((begin, after))
        count += 1
    return rows[:, :count]


@njit(cache=True)
def _slots_for(count):  # type: ignore[no-untyped-def]
    size = 16
    while size < count:
        size *= 2
    return np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.int32)


@njit(cache=True)
def _in_both(item, weights, stretch, slots):  # type: ignore[no-untyped-def]
    """Weight of the item's tokens that the stretch has too, each as often as both have it. The `slots` have room for a hash
    table, left empty."""
    keys, left, worth = slots
    size = 16
    while size < 2 * len(item):
        size *= 2
    last = size - 1
    for i in range(len(item)):
        slot = _slot(keys, item[i], last)
        keys[slot], worth[slot] = item[i], weights[i]
        left[slot] += 1
    total = 0
    for token in stretch:
        slot = _slot(keys, token, last)
        if left[slot]:
            left[slot] -= 1
            total += worth[slot]
    keys[:size], left[:size] = _NO_TOKEN, 0
    return total


@njit(cache=True, inline="always")
def _slot(keys, token, last):  # type: ignore[no-untyped-def]
    """Where a token is, or would be."""
    slot = np.int64(token >> np.uint64(32)) & last
    while keys[slot] != token and keys[slot] != _NO_TOKEN:
        slot = (slot + 1) & last
    return slot


@njit(cache=True)
def _heaviest_common(item, weights, stretch):  # type: ignore[no-untyped-def]
    """(weight of the heaviest common subsequence, tokens of the stretch up to its end)."""
    sums = np.zeros(len(stretch) + 1, np.int64)
    for i in range(len(item)):
        diagonal = np.int64(0)
        token, weight = item[i], np.int64(weights[i])
        for k in range(len(stretch)):
            above = sums[k + 1]
            sums[k + 1] = max(above, sums[k])
            if token == stretch[k]:
                sums[k + 1] = max(sums[k + 1], diagonal + weight)
            diagonal = above
    return sums[-1], np.searchsorted(sums, sums[-1])


@njit(cache=True)
def _tokens_in_order(item, stretch):  # type: ignore[no-untyped-def]
    """Common tokens in order, and of numbers and of words alone."""
    numbers = _longest_common(item[item & NUMBER > 0], stretch[stretch & NUMBER > 0])
    words = _longest_common(item[item & WORD > 0], stretch[stretch & WORD > 0])
    return _longest_common(item, stretch), numbers, words


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
