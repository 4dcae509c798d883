"""The compiled part of benchmark_index.py: one pass over texts that says how much of which items they have."""

import numpy as np

from curation.compiled import lean_njit, njit
from curation.decontaminate.math_token_kernels import NUMBER
from curation.decontaminate.ngram_kernels import BASE, SHORT, finish, may_be_known, posted, short_ngrams, with_numbers_alike

_ONE = np.uint64(1)


@njit(cache=True)
def cover(tokens, offsets, length, short, table, items):  # type: ignore[no-untyped-def]
    """Rows of `Covered`. `items` are the offsets of their tokens, which of these are numbers and words, and how many tokens of
    each have to be covered."""
    item_offsets, numbers, words, limits = items
    exact, near = np.zeros(len(words), np.uint64), np.zeros(len(words), np.uint64)  # where n-grams begin that are found
    most = np.zeros((len(limits), 2), np.int32)  # tokens that may be covered, and where the latest n-gram begins
    ngrams, starts, are_near = _known_ngrams(tokens, offsets, length, short)
    which, found, places = posted(ngrams, table)
    bounds = np.searchsorted(which, np.searchsorted(starts, offsets))
    rows = np.empty((6, len(found)), np.int32)
    count = 0
    for text in range(len(offsets) - 1):
        mine = range(bounds[text], bounds[text + 1])
        for k in mine:  # n-grams in a row overlap: what they cover at most is told without a look
            item, start = found[k], places[k]
            most[item, 0] += min(abs(start - most[item, 1]), length) if most[item, 0] else length
            most[item, 1] = start
        for k in mine:
            if most[found[k], 0] >= limits[found[k]]:
                if are_near[which[k]]:
                    near[places[k] >> 6] |= bit_of(places[k])
                else:
                    exact[places[k] >> 6] |= bit_of(places[k])
        for k in mine:
            item = found[k]
            if most[item, 0] >= limits[item]:
                first, last = item_offsets[item], item_offsets[item + 1]
                exactly, nearly, changed, num_words = _count_covered(exact, near, first, last, length, numbers, words)
                if nearly >= limits[item]:
                    rows[0, count], rows[1, count], rows[2, count] = text, item, exactly
                    rows[3, count], rows[4, count], rows[5, count] = nearly, changed, num_words
                    count += 1
            most[item, 0] = 0
    return rows[:, :count]


@njit(cache=True)
def _known_ngrams(tokens, offsets, length, short):  # type: ignore[no-untyped-def]
    """(n-grams of texts that may be items', where they begin, have they all numbers alike): those of which all short ones,
    numbers alike, are some item's."""
    alike = with_numbers_alike(tokens)
    are_known, starts = np.empty(len(tokens), np.uint8), np.empty(len(tokens) + 1, np.int64)
    starts = starts[: _find_known(short_ngrams(alike, offsets), offsets, length, short, are_known, starts)]
    ngrams, where = np.empty(2 * len(starts) + 1, np.uint64), np.empty(2 * len(starts) + 1, np.int64)
    are_near = np.empty(2 * len(starts) + 1, np.bool_)
    count = 0
    for start in starts:
        exact, near, numbers = np.uint64(0), np.uint64(0), 0
        for i in range(start, start + length):
            exact, near = exact * BASE + tokens[i], near * BASE + alike[i]
            numbers += int(tokens[i] & NUMBER)
        ngrams[count], where[count], are_near[count] = finish(exact, False), start, False
        count += 1
        ngrams[count], where[count], are_near[count] = finish(near, True), start, True
        count += (numbers > 0) & (numbers <= length // 2)
    return ngrams[:count], where[:count], are_near[:count]


@lean_njit(cache=True)
def _find_known(ngrams, offsets, length, short, are_known, starts):  # type: ignore[no-untyped-def]
    """Where `length` tokens begin of which all short n-grams may be known, in `starts`; how many."""
    for i in range(len(ngrams)):
        are_known[i] = may_be_known(ngrams[i], short)
    count = 0
    for text in range(len(offsets) - 1):
        in_a_row = 0
        for i in range(offsets[text], offsets[text + 1] - SHORT + 1):
            in_a_row = (in_a_row + 1) * are_known[i]
            starts[count] = i + SHORT - length
            count += in_a_row > length - SHORT
    return count


@njit(cache=True, inline="always")
def _count_covered(exact, near, first, last, length, numbers, words):  # type: ignore[no-untyped-def]
    """Of the tokens from `first` to `last`: (covered as they are, covered at all, numbers covered only where all are alike, words
    covered at all), 64 tokens at once. Forgets the n-grams that begin there."""
    exactly, nearly, changed, num_words = 0, 0, 0, 0
    exact_before, near_before = np.uint64(0), np.uint64(0)
    for i in range(first >> 6, ((last - 1) >> 6) + 1):
        mine = ~np.uint64(0)
        if i == first >> 6:
            mine &= ~(bit_of(first) - _ONE)
        if i == (last - 1) >> 6:
            mine &= (bit_of(last - 1) - _ONE) | bit_of(last - 1)
        exact_here, near_here = exact[i] & mine, near[i] & mine
        as_it_is, alike = _spread(exact_before, exact_here, length), _spread(near_before, near_here, length)
        exact_before, near_before = exact_here, near_here
        exact[i], near[i] = exact[i] & ~mine, near[i] & ~mine
        exactly += _num_bits(as_it_is)
        nearly += _num_bits(as_it_is | alike)
        changed += _num_bits(alike & ~as_it_is & numbers[i])
        num_words += _num_bits((as_it_is | alike) & words[i])
    return exactly, nearly, changed, num_words


@njit(cache=True, inline="always")
def _spread(before, here, length):  # type: ignore[no-untyped-def]
    """The tokens of n-grams that begin here, and in the word before."""
    covered = here
    for i in range(1, length):
        covered |= here << np.uint64(i) | before >> np.uint64(64 - i)
    return covered


@njit(cache=True, inline="always")
def _num_bits(word):  # type: ignore[no-untyped-def]
    """Which LLVM knows to be one instruction."""
    count = 0
    while word:
        word &= word - _ONE
        count += 1
    return count


@njit(cache=True, inline="always")
def bit_of(place):  # type: ignore[no-untyped-def]
    return _ONE << np.uint64(place & 63)


@njit(cache=True)
def bits_of_places(truths):  # type: ignore[no-untyped-def]
    """Truths as bits, 64 a word."""
    words = np.zeros((len(truths) + 63) // 64, np.uint64)
    for i in range(len(truths)):
        if truths[i]:
            words[i >> 6] |= bit_of(i)
    return words
