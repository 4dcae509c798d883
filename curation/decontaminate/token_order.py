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
_NO_TOKEN, _ONE = np.uint64(0), np.uint64(1)
_PLACE_BITS = 20


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
        shared, places, most = _in_both(item, weights, stretch, slots, limits.weight[number])
        if most < limits.weight[number]:
            continue
        common, worth, theirs = item[shared], weights[shared], stretch[places]
        found, start, end = _heaviest_common(common, worth, theirs, limits.weight[number])
        if found < limits.weight[number]:
            continue
        all_words, is_word = weights[item & WORD > 0].sum(), common & WORD > 0
        enough = np.int64(np.ceil(MIN_WORD_SHARE * all_words))
        words, _, _ = _heaviest_common(common[is_word], worth[is_word], theirs[theirs & WORD > 0], enough)
        if words < enough:
            continue
        begin, after = outlines.places[first + places[start]], tokens.offsets[text + 1]
        behind = first + places[end] + 1
        if behind < outlines.offsets[text + 1]:
            after = outlines.places[behind]  # numbers in a row are one place
        place = tokens.hashes[begin:after]
        shared, places, num_shared = _in_both(whole, np.ones(len(whole), np.int32), place, slots, limits.tokens[number])
        rows[:6, count] = np.array((text, number, found, words, all_words, num_shared))
        if num_shared >= limits.tokens[number]:
            rows[6:9, count] = np.array(_tokens_in_order(whole[shared], place[places]))
        rows[9:, count] = np.array((begin, after))
        count += 1
    return rows[:, :count]


@njit(cache=True)
def _slots_for(count):  # type: ignore[no-untyped-def]
    size = 16
    while size < count:
        size *= 2
    return np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.bool_)


@njit(cache=True)
def _in_both(item, weights, stretch, slots, enough):  # type: ignore[no-untyped-def]
    """(tokens of the item that the stretch has too, tokens of the stretch that the item has, their weight, each as often as both
    have it); no tokens where the weight is not enough. The `slots` have room for a hash table, left empty."""
    keys, left, worth, seen = slots
    size = 16
    while size < 2 * len(item):
        size *= 2
    last = size - 1
    for i in range(len(item)):
        slot = _slot(keys, item[i], last)
        keys[slot], worth[slot] = item[i], weights[i]
        left[slot] += 1
    total, num_places, num_shared = 0, 0, 0
    places, shared = np.empty(len(stretch), np.int64), np.empty(len(item), np.int64)
    for k in range(len(stretch)):
        slot = _slot(keys, stretch[k], last)
        if keys[slot]:
            places[num_places] = k
            num_places += 1
            seen[slot] = True
            if left[slot]:
                left[slot] -= 1
                total += worth[slot]
    if total >= enough:
        for i in range(len(item)):
            shared[num_shared] = i
            num_shared += seen[_slot(keys, item[i], last)]
    keys[:size], left[:size], seen[:size] = _NO_TOKEN, 0, False
    return shared[:num_shared], places[:num_places], total


@njit(cache=True, inline="always")
def _slot(keys, token, last):  # type: ignore[no-untyped-def]
    """Where a token is, or would be."""
    slot = np.int64(token >> np.uint64(32)) & last
    while keys[slot] != token and keys[slot] != _NO_TOKEN:
        slot = (slot + 1) & last
    return slot


@njit(cache=True)
def _heaviest_common(item, weights, stretch, enough):  # type: ignore[no-untyped-def]
    """(weight of the heaviest common subsequence, the token of the stretch where it begins, and where it ends): of several the
    first to end, and of these the last to begin. Weight 0 as soon as it cannot be enough."""
    best = np.zeros(len(stretch) + 1, np.int64)  # weight << _PLACE_BITS | where it begins
    left = weights.sum()
    for i in range(len(item)):
        diagonal = np.int64(0)
        token, weight = item[i], np.int64(weights[i])
        left -= weight
        for k in range(len(stretch)):
            above = best[k + 1]
            best[k + 1] = max(above, best[k])
            if token == stretch[k]:
                begins = diagonal if diagonal >> _PLACE_BITS else k
                best[k + 1] = max(best[k + 1], (weight << _PLACE_BITS) + begins)
            diagonal = above
        if (best[-1] >> _PLACE_BITS) + left < enough:
            return np.int64(0), np.int64(0), np.int64(0)
    found = best[-1] >> _PLACE_BITS
    end = np.searchsorted(best, found << _PLACE_BITS)
    return found, best[end] & ((1 << _PLACE_BITS) - 1), max(end - 1, 0)


@njit(cache=True)
def _tokens_in_order(item, stretch):  # type: ignore[no-untyped-def]
    """Common tokens in order, and of numbers and of words alone."""
    numbers = _longest_common(item[item & NUMBER > 0], stretch[stretch & NUMBER > 0])
    words = _longest_common(item[item & WORD > 0], stretch[stretch & WORD > 0])
    return _longest_common(item, stretch), numbers, words


@njit(cache=True)
def _longest_common(one, other):  # type: ignore[no-untyped-def]
    """Length of the longest common subsequence, 64 tokens at once (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"):
    each bit that is left says that the token of `one` adds nothing."""
    num_words = (len(one) + 63) // 64
    size = 16
    while size < 2 * len(one):
        size *= 2
    keys, masks = np.zeros(size, np.uint64), np.zeros((size, num_words), np.uint64)
    for i in range(len(one)):
        slot = _slot(keys, one[i], size - 1)
        keys[slot] = one[i]
        masks[slot, i // 64] |= _ONE << np.uint64(i % 64)
    row = np.full(num_words, ~np.uint64(0))
    for token in other:
        slot = _slot(keys, token, size - 1)
        if keys[slot]:
            carry = np.uint64(0)
            for word in range(num_words):
                kept = row[word] & masks[slot, word]
                total = row[word] + kept
                with_carry = total + carry
                carry = np.uint64((total < kept) | (with_carry < total))
                row[word] = with_carry | (row[word] - kept)
    length = 0
    for i in range(len(one)):
        length += (row[i // 64] >> np.uint64(i % 64) & _ONE) == 0
    return length
