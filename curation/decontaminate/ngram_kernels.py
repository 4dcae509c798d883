"""The compiled part of benchmark_index.py: n-grams of tokens, and one pass over a text that looks all of them up."""

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER, WORD

MIN_DIFFERENT_TOKENS = 3  # of an n-gram that says something
EXACT, NEAR = np.uint8(1), np.uint8(2)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0x2545F4914F6CDD1D)  # parts n-grams with all numbers alike from the others
_MIX = np.uint64(0xFF51AFD7ED558CCD)
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


@njit(cache=True)
def item_ngrams(tokens, offsets, length):  # type: ignore[no-untyped-def]
    """(n-gram, n-gram with all numbers alike, item, place) of all places; 0 for an n-gram that says nothing."""
    count = len(tokens) - (len(offsets) - 1) * (length - 1)
    exact, near = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    items, places = np.empty(count, np.int32), np.empty(count, np.int32)
    filled = 0
    for item in range(len(offsets) - 1):
        for start in range(offsets[item], offsets[item + 1] - length + 1):
            items[filled], places[filled] = item, start - offsets[item]
            different, numbers = _variety(tokens, start, length)
            if different >= MIN_DIFFERENT_TOKENS:
                exact[filled] = ngram_of(tokens, start, length, False)
                if 0 < numbers <= length // 2:  # rows of numbers are in every table
                    near[filled] = ngram_of(tokens, start, length, True)
            filled += 1
    return exact, near, items, places


@njit(cache=True)
def _variety(tokens, start, length):  # type: ignore[no-untyped-def]
    """(different tokens, numbers) of an n-gram."""
    different, numbers = 0, 0
    for i in range(start, start + length):
        numbers += int(tokens[i] & NUMBER)
        is_new = True
        for k in range(start, i):
            is_new &= tokens[k] != tokens[i]
        different += is_new
    return different, numbers


@njit(cache=True)
def _alike(token):  # type: ignore[no-untyped-def]
    return ANY_NUMBER if token & NUMBER else token


@njit(cache=True)
def _finish(hashed, numbers_alike):  # type: ignore[no-untyped-def]
    hashed = hashed ^ _SALT if numbers_alike else hashed
    hashed = (hashed ^ (hashed >> HALF)) * _MIX
    return hashed ^ (hashed >> HALF)


@njit(cache=True)
def ngram_of(tokens, start, length, numbers_alike):  # type: ignore[no-untyped-def]
    hashed = np.uint64(0)
    for i in range(start, start + length):
        hashed = hashed * _BASE + (_alike(tokens[i]) if numbers_alike else tokens[i])
    return _finish(hashed, numbers_alike)


@njit(cache=True)
def shared_stretches(tokens, item_tokens, length):  # type: ignore[no-untyped-def]
    """(first, last) tokens of stretches in n-grams that are the item's too, numbers alike; those that less than half an item
    parts are one."""
    size = 16
    while size < 4 * len(item_tokens):
        size *= 2
    slots = np.zeros(size, np.uint64)  # an open hash table
    for start in range(len(item_tokens) - length + 1):
        ngram = ngram_of(item_tokens, start, length, True)
        slots[_slot(slots, ngram)] = ngram
    stretches = np.empty((len(tokens) // length + 1, 2), np.int64)
    count = 0
    for start in range(len(tokens) - length + 1):
        ngram = ngram_of(tokens, start, length, True)
        if slots[_slot(slots, ngram)] == ngram:
            if not count or start - stretches[count - 1, 1] > len(item_tokens) // 2:
                stretches[count, 0] = start
                count += 1
            stretches[count - 1, 1] = start + length - 1
    return stretches[:count]


@njit(cache=True)
def num_absent(tokens, stretches, margin, item_tokens):  # type: ignore[no-untyped-def]
    """Numbers of an item that do not stand in stretches, nor `margin` tokens beside them; one that it has twice has to stand
    there twice."""
    used = np.zeros(len(tokens), np.bool_)
    absent = 0
    for number in item_tokens[item_tokens & NUMBER > 0]:
        absent += 1
        for k in range(len(stretches)):
            for i in range(max(stretches[k, 0] - margin, 0), min(stretches[k, 1] + margin + 1, len(tokens))):
                if tokens[i] == number and not used[i]:
                    used[i] = True
                    absent -= 1
                    break
            else:
                continue
            break
    return absent


@njit(cache=True)
def _slot(slots, ngram):  # type: ignore[no-untyped-def]
    """Where an n-gram is, or would be."""
    slot = np.int64(ngram & np.uint64(len(slots) - 1))
    while slots[slot] and slots[slot] != ngram:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@njit(cache=True)
def posted_slots(ngrams, items, places):  # type: ignore[no-untyped-def]
    """An open hash table of (n-gram, item << 32 | place); an n-gram of several items has as many slots in a row."""
    size = 256
    while size < 2 * len(ngrams):
        size *= 2
    slots = np.zeros((size, 2), np.uint64)
    for i in range(len(ngrams)):
        slot = np.int64(ngrams[i] & np.uint64(size - 1))
        while slots[slot, 0]:
            slot = (slot + 1) & (size - 1)
        slots[slot, 0], slots[slot, 1] = ngrams[i], np.uint64(items[i]) << HALF | np.uint64(places[i])
    return slots


@njit(cache=True)
def cover(tokens, offsets, item_tokens, item_offsets, length, table, limits):  # type: ignore[no-untyped-def]
    rows = np.empty((6, 1024), np.int32)
    count = 0
    covered = np.zeros(len(item_tokens), np.uint8)
    touched, hits = np.empty(len(limits), np.int32), np.zeros(len(limits), np.int32)
    seen = (touched, hits)
    words, shift = table.words, table.words_shift
    power = np.uint64(1)
    for _ in range(length):
        power *= _BASE
    for text in range(len(offsets) - 1):
        num_touched = 0
        exact, near, numbers = np.uint64(0), np.uint64(0), 0
        for i in range(offsets[text], offsets[text + 1]):
            token = tokens[i]
            exact, near = exact * _BASE + token, near * _BASE + _alike(token)
            numbers += int(token & NUMBER)
            inside = i - offsets[text] - length
            if inside >= 0:
                gone = tokens[i - length]
                exact -= gone * power
                near -= _alike(gone) * power
                numbers -= int(gone & NUMBER)
            if inside >= -1:
                found = _finish(exact, False)
                if may_be_known(found, words, shift):
                    num_touched = _mark(found, table, item_offsets, length, EXACT, covered, num_touched, seen)
                if 0 < numbers <= length // 2:
                    found = _finish(near, True)
                    if may_be_known(found, words, shift):
                        num_touched = _mark(found, table, item_offsets, length, NEAR, covered, num_touched, seen)
        for k in range(num_touched):
            item = touched[k]
            first, last = item_offsets[item], item_offsets[item + 1]
            if hits[item] * length >= limits[item]:
                exactly, nearly, changed, num_words = _count(covered, item_tokens, first, last)
                if nearly >= limits[item]:
                    if count == rows.shape[1]:
                        rows = _longer(rows)
                    rows[:, count] = np.array((text, item, exactly, nearly, changed, num_words))
                    count += 1
            covered[first:last] = 0
            hits[item] = 0
    return rows[:, :count]


@njit(cache=True, inline="always")
def may_be_known(ngram, words, shift):  # type: ignore[no-untyped-def]
    wanted = three_bits(ngram)
    return words[np.int64(ngram >> shift)] & wanted == wanted


@njit(cache=True, inline="always")
def three_bits(ngrams):  # type: ignore[no-untyped-def]
    """Of a word, for each n-gram's lowest bits: the highest say which word."""
    one, last = np.uint64(1), np.uint64(63)
    return one << (ngrams & last) | one << (ngrams >> np.uint64(6) & last) | one << (ngrams >> np.uint64(12) & last)


@njit(cache=True)
def _mark(ngram, table, item_offsets, length, mark, covered, num_touched, seen):  # type: ignore[no-untyped-def]
    """Marks the tokens of all items that have this n-gram; returns how many items the text has touched."""
    touched, hits = seen
    last = len(table.slots) - 1
    slot = np.int64(ngram) & last
    while table.slots[slot, 0]:
        if table.slots[slot, 0] == ngram:
            where = table.slots[slot, 1]
            item, place = np.int64(where >> HALF), np.int64(where & LOW)
            if not hits[item]:
                touched[num_touched] = item
                num_touched += 1
            hits[item] += 1
            start = item_offsets[item] + place
            for i in range(start, start + length):
                covered[i] |= mark
        slot = (slot + 1) & last
    return num_touched


@njit(cache=True)
def _count(covered, item_tokens, first, last):  # type: ignore[no-untyped-def]
    """(tokens covered as they are, covered at all, numbers covered only where all are alike, words covered at all)."""
    exactly, nearly, changed, words = 0, 0, 0, 0
    for i in range(first, last):
        if covered[i]:
            nearly += 1
            words += (item_tokens[i] & WORD) > 0
            if covered[i] & EXACT:
                exactly += 1
            elif item_tokens[i] & NUMBER:
                changed += 1
    return exactly, nearly, changed, words


@njit(cache=True)
def _longer(rows):  # type: ignore[no-untyped-def]
    longer = np.empty((rows.shape[0], 2 * rows.shape[1]), np.int32)
    longer[:, : rows.shape[1]] = rows
    return longer
