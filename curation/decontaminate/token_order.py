"""How much of an item a text has in its order: longest common subsequences with the stretch where the item would be.

Outlines are compared first, by weight; a bag of tokens says beforehand what can be in order at most, so that few pairs are. The
tokens themselves are compared only where a bag of them says that they may be enough. The time grows with the square of an item's
length: 5 µs for 50 tokens, 0.5 ms for 500.

Half of the stretch has to be the item. A page about an item's subject has most of its words somewhere, also in order, with many
others between them: of 1,517 clean pages 46 would be near an item without this rule, 24 are with it; of 36 findings that it took
away (of clean pages and training problems) 34 were read to be wrong.
"""

from typing import NamedTuple

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_hashes import Hashes, Offsets, Tokens
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.outlines import Candidates, OutlineIndex, Outlines

MIN_STRETCH_SHARE = 0.5  # of a stretch's tokens that are in order
MIN_WORD_SHARE = 0.25  # of the weight of an item's words: formulas of one shape are everywhere
_ONE, _HALF = np.uint64(1), np.uint64(32)
_MIN_BUCKETS = 4096  # of tokens of a stretch: many more than it has, but for long rows of numbers
_COUNT_BITS, _PLACE_BITS = 10, 20  # of tokens of an item, and of a stretch
_WEIGHT_BITS = _COUNT_BITS + _PLACE_BITS
_MANY = 1 << 32  # tokens: no stretch has so many
_ALL = 1 << 62


class Limits(NamedTuple):
    """Of every item."""

    weight: Offsets  # of its outline that has to be in order
    tokens: Offsets  # with fewer of them in the stretch their order is not looked at
    words: int  # weight of words in order that is enough for all items: more is not counted


class InOrder(NamedTuple):
    """Arrays in step, of the candidates with enough of an item's outline in order."""

    documents: Offsets
    items: Offsets
    found: Offsets  # weight of the outline's tokens in order
    words: Offsets  # weight of its words in order, as far as it is counted
    all_words: Offsets  # weight of all its words
    shared_tokens: Offsets  # in any order
    same_tokens: Offsets  # tokens in order; 0 where too few are shared
    numbers: Offsets  # numbers in order; 0 where too few tokens are, and so is the next
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
    lasts, base = np.zeros(_MIN_BUCKETS, np.int64), 0  # of `_chains`
    for row in range(len(candidates.items)):
        text, number = candidates.documents[row], candidates.items[row]
        mine = slice(item_offsets[number], item_offsets[number + 1])
        item, weights = item_outlines[mine], item_weights[mine]
        first = max(candidates.begins[row] - len(item) // 4, outlines.offsets[text])
        last = min(first + len(item) * 3 // 2 + 1, outlines.offsets[text + 1])
        stretch = outlines.hashes[first:last]
        base += _MANY
        before = _chains(lasts, base, stretch)
        if _most_in_common(item, weights, lasts, base) < limits.weight[number]:
            continue
        ends = _in_both(item, stretch, lasts, base, before)
        if _shared(weights, ends, before) < limits.weight[number]:
            continue
        found, start, end, num_tokens = _heaviest_common(weights, ends, before, limits.weight[number], _ALL)
        if found < limits.weight[number] or num_tokens < MIN_STRETCH_SHARE * (end - start):
            continue
        all_words, word_ends, words = _words_in_both(item, weights, ends, found)
        enough = np.int64(np.ceil(MIN_WORD_SHARE * all_words))
        if words < max(enough, limits.words):
            words, _, _, _ = _heaviest_common(weights, word_ends, before, enough, max(enough, limits.words))
        if words < enough:
            continue
        begin, after = outlines.places[first + start], tokens.offsets[text + 1]
        if first + end < outlines.offsets[text + 1]:
            after = outlines.places[first + end]  # numbers in a row are one place
        whole = item_tokens[0][item_tokens[1][number] : item_tokens[1][number + 1]]
        stretch = tokens.hashes[begin:after]
        base += _MANY
        while len(lasts) < len(stretch):
            lasts, base = np.zeros(2 * len(lasts), np.int64), 0
        before = _chains(lasts, base, stretch)
        ends = _in_both(whole, stretch, lasts, base, before)
        num_shared = _num_shared(ends, before)
        rows[0, count], rows[1, count], rows[2, count] = text, number, found
        rows[3, count], rows[4, count], rows[5, count] = words, all_words, num_shared
        if num_shared >= limits.tokens[number]:
            rows[6, count] = _longest_common(ends, before)
        if rows[6, count] >= limits.tokens[number]:
            rows[7, count] = _longest_common(ends[whole & NUMBER > 0], before)
            rows[8, count] = _longest_common(ends[whole & WORD > 0], before)
        rows[9, count], rows[10, count] = begin, after
        count += 1
    return rows[:, :count]


@njit(cache=True)
def _chains(lasts, base, stretch):  # type: ignore[no-untyped-def]
    """The place before each place with a token of the same bucket: places are counted from 1, 0 is none. `lasts` gets the
    last place of each bucket, plus `base`; what other stretches left there is not more than that."""
    before = np.zeros(len(stretch) + 1, np.int32)
    for k in range(len(stretch)):
        bucket = _bucket(stretch[k], lasts)
        before[k + 1] = max(lasts[bucket] - base, 0)
        lasts[bucket] = base + k + 1
    return before


@njit(cache=True, inline="always")
def _bucket(token, lasts):  # type: ignore[no-untyped-def]
    return np.int64(token >> _HALF) & (len(lasts) - 1)


@njit(cache=True)
def _most_in_common(item, weights, lasts, base):  # type: ignore[no-untyped-def]
    """Weight of the tokens that a stretch may have: no less than is in order."""
    most = np.int64(0)
    for i in range(len(item)):
        most += weights[i] * np.int64(lasts[_bucket(item[i], lasts)] > base)
    return most


@njit(cache=True)
def _in_both(item, stretch, lasts, base, before):  # type: ignore[no-untyped-def]
    """The last place in the stretch of each of the item's tokens. Leaves in `before` places with the same token."""
    ends, tokens = np.empty(len(item), np.int32), np.empty(len(before), np.uint64)
    tokens[1:] = stretch
    for i in range(len(item)):
        ends[i] = _same(tokens, before, max(lasts[_bucket(item[i], lasts)] - base, 0), item[i])
    for place in range(len(stretch), 0, -1):  # from the last one on: what comes before it is still of buckets
        before[place] = _same(tokens, before, before[place], tokens[place])
    return ends


@njit(cache=True, inline="always")
def _same(tokens, before, place, token):  # type: ignore[no-untyped-def]
    """The first place of a chain with this token; place 0 gets it, so that there is one thing to ask, and its answer is known."""
    tokens[0] = token
    while tokens[place] != token:
        place = before[place]
    return place


@njit(cache=True)
def _shared(weights, ends, before):  # type: ignore[no-untyped-def]
    """Weight of the tokens that item and stretch share in any order, each as often as both have it and as heavy as the item's
    heaviest: no less than is in order."""
    weight_of, left = np.zeros(len(before), np.int32), np.arange(len(before))
    for i in range(len(ends)):
        weight_of[ends[i]] = max(weight_of[ends[i]], weights[i])
    weight_of[0] = 0
    total = np.int64(0)
    for end in ends:
        total += weight_of[end] if left[end] else 0
        left[end] = before[left[end]]
    return total


@njit(cache=True)
def _num_shared(ends, before):  # type: ignore[no-untyped-def]
    """Tokens that item and stretch share in any order, each as often as both have it."""
    left = np.arange(len(before))
    total = 0
    for end in ends:
        total += left[end] > 0
        left[end] = before[left[end]]
    return total


@njit(cache=True)
def _words_in_both(item, weights, ends, found):  # type: ignore[no-untyped-def]
    """(weight of the item's words, `ends` of words alone, how much of the weight `found` has to be of words: all that the rest in
    both does not weigh)."""
    all_words, words, word_ends = np.int64(0), found, np.zeros(len(ends), np.int32)
    for i in range(len(item)):
        if item[i] & WORD:
            all_words += weights[i]
            word_ends[i] = ends[i]
        elif ends[i]:
            words -= weights[i]
    return all_words, word_ends, words


@njit(cache=True)
def _heaviest_common(weights, ends, before, enough, plenty):  # type: ignore[no-untyped-def]
    """(weight of the heaviest common subsequence, the token of the stretch where it begins, the one behind its end, number of its
    tokens): of several the first to end, of these the last to begin, of these the longest. Weight 0 as soon as it cannot be
    enough; what is found of it as soon as that is plenty."""
    # up to each place: weight << _WEIGHT_BITS | where it begins << _COUNT_BITS | tokens
    best = np.empty(len(before), np.int64)
    for k in range(len(before)):
        best[k] = k << _COUNT_BITS
    left = np.int64(0)
    for i in range(len(ends)):
        left += weights[i] if ends[i] else 0
    for i in range(len(ends)):
        place, weight, behind = ends[i], np.int64(weights[i]), len(before)
        left -= weight if place else 0
        while place:  # from the last one on: what comes before a place is not yet of this row, what comes behind has had more
            value = best[place - 1] + (weight << _WEIGHT_BITS) + 1
            for k in range(np.uint64(place), np.uint64(behind)):  # what may be negative is not made several at once
                best[k] = max(best[k], value)
            behind = place
            place = before[place]
        if (best[-1] >> _WEIGHT_BITS) + left < enough:
            return np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        if best[-1] >> _WEIGHT_BITS >= plenty:
            break
    found = best[-1] >> _WEIGHT_BITS
    end = np.searchsorted(best, found << _WEIGHT_BITS)
    return found, best[end] >> _COUNT_BITS & ((1 << _PLACE_BITS) - 1), end, best[end] & ((1 << _COUNT_BITS) - 1)


@njit(cache=True)
def _longest_common(ends, before):  # type: ignore[no-untyped-def]
    """Length of the longest common subsequence, 64 places at once (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"):
    each bit that is left says that the item comes no further at this place of the stretch."""
    num_words = (len(before) + 63) // 64
    row, same = np.full(num_words, ~np.uint64(0)), np.zeros(num_words, np.uint64)
    for place in ends:
        if not place:
            continue
        while place:
            same[place // 64] |= _ONE << np.uint64(place % 64)
            place = before[place]
        carry = np.uint64(0)
        for word in range(num_words):
            kept = row[word] & same[word]
            total = row[word] + kept
            with_carry = total + carry
            carry = np.uint64((total < kept) | (with_carry < total))
            row[word] = with_carry | (row[word] - kept)
            same[word] = 0
    length = 0
    for place in range(1, len(before)):
        length += (row[place // 64] >> np.uint64(place % 64) & _ONE) == 0
    return length
