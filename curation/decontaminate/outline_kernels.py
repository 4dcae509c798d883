"""The compiled part of outlines.py: outlines of texts, and the items that short n-grams of outlines point to."""

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER
from curation.decontaminate.ngram_kernels import posted, short_ngrams

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
def seeded(tokens, offsets, seeds, item_offsets):  # type: ignore[no-untyped-def]
    """(text, item, token of `tokens` where the item would begin) where a text and an item share enough n-grams in one place.
    Places in `seeds` are those in the items << 1 | does the n-gram count twice."""
    state = np.zeros((len(item_offsets), 4), np.int32)  # (begin, n-grams) of the last stretch, and of the one with the most
    starts, found, places = posted(short_ngrams(tokens, offsets), seeds)
    rows = np.empty((3, len(found)), np.int64)
    count = 0
    bounds = np.searchsorted(starts, offsets)
    for text in range(len(offsets) - 1):
        first, mine, num_before = offsets[text], range(bounds[text], bounds[text + 1]), count
        for k in mine:
            item = found[k]
            length, place = item_offsets[item + 1] - item_offsets[item], (places[k] >> 1) - item_offsets[item]
            begin = starts[k] - first - place
            goes_on = state[item, 3] > 0 and begin - state[item, 0] <= length
            state[item, 0] = state[item, 0] if goes_on else begin
            num_ngrams = 1 + (places[k] & 1)
            state[item, 1] = state[item, 1] + num_ngrams if goes_on else num_ngrams
            if state[item, 1] > state[item, 3]:
                rows[0, count], rows[1, count] = text, item
                count += state[item, 3] < _needed(length) <= state[item, 1]
                state[item, 2], state[item, 3] = state[item, 0], state[item, 1]
        for row in range(num_before, count):
            rows[2, row] = first + state[rows[1, row], 2]
        for k in mine:
            state[found[k], 3] = 0
    return rows[:, :count]


@njit(cache=True, inline="always")
def _needed(length):  # type: ignore[no-untyped-def]
    return 1 if length < FEW_TOKENS else max(length // TOKENS_PER_SEED, 2)
