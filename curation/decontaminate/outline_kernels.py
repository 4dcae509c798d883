"""The compiled part of outlines.py: outlines of texts, and the items that short n-grams of outlines point to."""

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER
from curation.decontaminate.ngram_kernels import may_be_known, ngram_of, posted

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
def seeded(tokens, offsets, length, seeds, item_of, item_offsets, item_lengths):  # type: ignore[no-untyped-def]
    """(text, item, token of `tokens` where the item would begin) where a text and an item share enough n-grams in one place."""
    rows = np.empty((3, 1024), np.int64)
    count = 0
    state = np.zeros((len(item_offsets), 4), np.int32)  # (begin, n-grams) of the last stretch, and of the one with the most
    ngrams, starts = _known_ngrams(tokens, offsets, length, seeds)
    which, places = posted(ngrams, seeds)
    starts, found = starts[which], item_of[places]
    begins, bounds = starts - (places - item_offsets[found]), np.searchsorted(starts, offsets)
    for text in range(len(offsets) - 1):
        first, mine = offsets[text], slice(bounds[text], bounds[text + 1])
        for item, begin in zip(found[mine], begins[mine]):
            _count(state[item], begin - first, item_lengths[item])
        for item in found[mine]:
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
def _known_ngrams(tokens, offsets, length, seeds):  # type: ignore[no-untyped-def]
    """(n-grams of texts that may be seeds, the tokens where they begin)."""
    ngrams, starts = np.empty(len(tokens) + 1, np.uint64), np.empty(len(tokens) + 1, np.int64)
    count = 0
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1] - length + 1):
            ngrams[count], starts[count] = ngram_of(tokens, i, length, False), i
            count += may_be_known(ngrams[count], seeds)
    return ngrams[:count], starts[:count]


@njit(cache=True)
def _count(state, begin, length):  # type: ignore[no-untyped-def]
    """Counts an n-gram of an item of such length that would begin there."""
    is_new = (state[3] == 0) | (begin - state[0] > length)
    state[0] = begin if is_new else state[0]
    state[1] = 1 if is_new else state[1] + 1
    has_most = state[1] > state[3]
    state[2], state[3] = (state[0], state[1]) if has_most else (state[2], state[3])


@njit(cache=True)
def _needed(length):  # type: ignore[no-untyped-def]
    return 1 if length < FEW_TOKENS else max(length // TOKENS_PER_SEED, 2)
