"""The compiled part of outlines.py: outlines of texts, and the items that short n-grams of outlines point to."""

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER
from curation.decontaminate.ngram_kernels import HALF, LOW, may_be_known, ngram_of

TOKENS_PER_SEED = 16  # of an item: one n-gram for so many makes it worth comparing, two at least
FEW_TOKENS = 16  # an item with fewer has one n-gram left where every fifth word is another one


@njit(cache=True)
def outline(tokens, offsets, minus):  # type: ignore[no-untyped-def]
    """(tokens, which tokens of the texts they are, offsets)."""
    kept, places = np.empty(len(tokens), np.uint64), np.empty(len(tokens), np.int32)
    bounds = np.zeros(len(offsets), np.int64)
    count = 0
    for text in range(len(offsets) - 1):
        first = count
        for i in range(offsets[text], offsets[text + 1]):
            is_number = tokens[i] & NUMBER > 0
            if tokens[i] != minus and not (is_number and count > first and kept[count - 1] == ANY_NUMBER):
                kept[count] = ANY_NUMBER if is_number else tokens[i]
                places[count] = i
                count += 1
        bounds[text + 1] = count
    return kept[:count], places[:count], bounds


@njit(cache=True)
def short_ngrams(tokens, offsets, length):  # type: ignore[no-untyped-def]
    """The n-gram that begins at each token; 0 where the text ends before."""
    ngrams = np.zeros(len(tokens), np.uint64)
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1] - length + 1):
            ngrams[i] = ngram_of(tokens, i, length, False)
    return ngrams


@njit(cache=True)
def seeded(tokens, offsets, length, seeds, item_lengths):  # type: ignore[no-untyped-def]
    """(text, item, token of `tokens` where the item would begin) where a text and an item share enough n-grams in one place."""
    rows = np.empty((3, 1024), np.int64)
    count, last = 0, len(seeds.slots) - 1
    touched = np.empty(len(item_lengths) + 1, np.int32)
    state = np.zeros((len(item_lengths), 4), np.int32)  # (begin, n-grams) of the last stretch, and of the one with the most
    for text in range(len(offsets) - 1):
        first, num_touched = offsets[text], 0
        for i in range(first, offsets[text + 1] - length + 1):
            ngram = ngram_of(tokens, i, length, False)
            if may_be_known(ngram, seeds.words, seeds.words_shift):
                slot = np.int64(ngram) & last
                while seeds.slots[slot, 0]:
                    if seeds.slots[slot, 0] == ngram:
                        where = seeds.slots[slot, 1]
                        item, place = np.int64(where >> HALF), np.int64(where & LOW)
                        touched[num_touched] = item
                        num_touched += _count(state[item], i - first - place, item_lengths[item])
                    slot = (slot + 1) & last
        for item in touched[:num_touched]:
            if state[item, 3] >= _needed(item_lengths[item]):
                if count == rows.shape[1]:
                    longer = np.empty((3, 2 * count), np.int64)
                    longer[:, :count] = rows
                    rows = longer
                rows[0, count], rows[1, count], rows[2, count] = text, item, first + state[item, 2]
                count += 1
            state[item] = 0
    return rows[:, :count]


@njit(cache=True)
def _count(state, begin, length):  # type: ignore[no-untyped-def]
    """Counts an n-gram of an item of such length that would begin there; 1 if it is the item's first."""
    is_first = state[3] == 0
    if is_first or begin - state[0] > length:
        state[0], state[1] = begin, 0
    state[1] += 1
    if state[1] > state[3]:
        state[2], state[3] = state[0], state[1]
    return int(is_first)


@njit(cache=True)
def _needed(length):  # type: ignore[no-untyped-def]
    return 1 if length < FEW_TOKENS else max(length // TOKENS_PER_SEED, 2)
