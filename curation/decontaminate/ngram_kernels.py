"""The compiled part of benchmark_index.py: n-grams of tokens, and one pass over a text that looks all of them up."""

import numpy as np

from curation.compiled import njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER, NUMBER_MARK, WORD_MARK

MIN_DIFFERENT_TOKENS = 3  # of an n-gram that says something
SHORT = 4  # tokens of a short n-gram: no n-gram of a page is shorter
EXACT, NEAR = np.uint8(1), np.uint8(2)
_NUMBER, _WORD = np.uint8(NUMBER_MARK), np.uint8(WORD_MARK)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0x2545F4914F6CDD1D)  # parts n-grams with all numbers alike from the others
_WORD_BITS, _LAST_BIT = np.uint64(6), np.uint64(63)
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
def short_ngrams(tokens, offsets, length, numbers_alike):  # type: ignore[no-untyped-def]
    """The n-gram that begins at each token; 0 where the text ends before."""
    ngrams = np.zeros(len(tokens), np.uint64)
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1] - length + 1):
            ngrams[i] = ngram_of(tokens, i, length, numbers_alike)
    return ngrams


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
def fill_slots(slots, ngrams, starts):  # type: ignore[no-untyped-def]
    """Makes of empty slots an open hash table by the n-grams' lower halves, of upper half << 32 | start of its postings + 1."""
    last = len(slots) - 1
    for i in range(len(ngrams)):
        slot = np.int64(ngrams[i]) & last
        while slots[slot]:
            slot = (slot + 1) & last
        slots[slot] = (ngrams[i] >> HALF) << HALF | np.uint64(starts[i] + 1)


@njit(cache=True)
def posted(ngrams, table):  # type: ignore[no-untyped-def]
    """(which n-gram, place) of all that the table knows of these n-grams. What look-ups wait for in memory is read in loops of
    its own, where none waits for the one before: that is most of the time."""
    slots, postings = table.slots, table.postings
    last = len(slots) - 1
    firsts, known = np.empty(len(ngrams) + 1, np.uint64), np.empty(len(ngrams) + 1, np.int32)
    num_firsts = 0
    for k in range(len(ngrams)):
        firsts[num_firsts], known[num_firsts] = slots[np.int64(ngrams[k]) & last], k
        num_firsts += firsts[num_firsts] > 0
    starts = np.empty(num_firsts, np.int64)
    count = 0
    for i in range(num_firsts):
        found, ngram = firsts[i], ngrams[known[i]]
        slot = np.int64(ngram) & last
        while found and (found ^ ngram) >> HALF:
            slot = (slot + 1) & last
            found = slots[slot]
        known[count], starts[count] = known[i], np.int64(found & LOW) - 1
        count += found > 0
    heads = postings[starts[:count]]
    which, places = np.empty(2 * count + 8, np.int32), np.empty(2 * count + 8, np.int64)
    filled = 0
    for k in range(count):
        start, posting = starts[k], heads[k]
        while True:
            if filled == len(places):
                which, places = np.append(which, which), np.append(places, places)
            which[filled], places[filled] = known[k], posting >> 1
            filled += 1
            if posting & 1:
                break
            start += 1
            posting = postings[start]
    return which[:filled], places[:filled]


@njit(cache=True)
def cover(tokens, offsets, items, length, table, limits):  # type: ignore[no-untyped-def]
    """`items` are the marks of their tokens, their offsets, and the item of every token."""
    item_marks, item_offsets, item_of = items
    rows = np.empty((6, 1024), np.int32)
    count = 0
    covered = np.zeros(len(item_marks), np.uint8)
    most, latest = np.zeros(len(limits), np.int32), np.zeros(len(limits), np.int32)
    ngrams, kinds, bounds = _known_ngrams(tokens, offsets, length, table)
    which, places = posted(ngrams, table)
    items_of_places, kinds = item_of[places], kinds[which]
    ends = np.searchsorted(which, bounds)
    for text in range(len(offsets) - 1):
        mine = slice(ends[text], ends[text + 1])
        found, starts = items_of_places[mine], places[mine]
        for item, start in zip(found, starts):  # n-grams in a row overlap: what they cover at most is told without a look
            most[item] += min(abs(start - latest[item]), length) if most[item] else length
            latest[item] = start
        for item, start, kind in zip(found, starts, kinds[mine]):
            if most[item] >= limits[item]:
                for i in range(start, start + length):
                    covered[i] |= kind
        for item in found:
            if most[item] >= limits[item]:
                first, last = item_offsets[item], item_offsets[item + 1]
                exactly, nearly, changed, num_words = _count(covered[first:last], item_marks[first:last])
                covered[first:last] = 0
                if nearly >= limits[item]:
                    if count == rows.shape[1]:
                        rows = _longer(rows)
                    rows[:, count] = np.array((text, item, exactly, nearly, changed, num_words))
                    count += 1
            most[item] = 0
    return rows[:, :count]


@njit(cache=True)
def _known_ngrams(tokens, offsets, length, table):  # type: ignore[no-untyped-def]
    """(n-grams of texts that may be in the table, their kinds, where each text's are): those of which all short ones, numbers
    alike, are some item's."""
    ngrams, kinds = np.empty(2 * len(tokens) + 1, np.uint64), np.empty(2 * len(tokens) + 1, np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    power, short_power = _power(length - 1), _power(SHORT)
    count = 0
    for text in range(len(offsets) - 1):
        exact, near, numbers = np.uint64(0), np.uint64(0), 0
        short, known = np.uint64(0), 0  # how many short n-grams in a row are known
        for i in range(offsets[text], offsets[text + 1]):
            token = _alike(tokens[i])
            short = short * _BASE + token
            if i - SHORT >= offsets[text]:
                short -= _alike(tokens[i - SHORT]) * short_power
            exact, near = exact * _BASE + tokens[i], near * _BASE + token
            numbers += int(tokens[i] & NUMBER)
            known = (known + 1) * may_be_known(_finish(short, True), table)
            start = i - length + 1
            if start >= offsets[text]:
                if known > length - SHORT:
                    ngrams[count], kinds[count] = _finish(exact, False), EXACT
                    count += 1
                    ngrams[count], kinds[count] = _finish(near, True), NEAR
                    count += (numbers > 0) & (numbers <= length // 2)
                exact, near = exact - tokens[start] * power, near - _alike(tokens[start]) * power
                numbers -= int(tokens[start] & NUMBER)
        bounds[text + 1] = count
    return ngrams[:count], kinds[:count], bounds


@njit(cache=True)
def _power(exponent):  # type: ignore[no-untyped-def]
    power = np.uint64(1)
    for _ in range(exponent):
        power *= _BASE
    return power


@njit(cache=True, inline="always")
def may_be_known(ngram, table):  # type: ignore[no-untyped-def]
    bit = ngram >> table.shift
    return np.int64(table.bits[np.int64(bit >> _WORD_BITS)] >> (bit & _LAST_BIT) & np.uint64(1))


@njit(cache=True)
def _count(covered, marks):  # type: ignore[no-untyped-def]
    """(tokens covered as they are, covered at all, numbers covered only where all are alike, words covered at all)."""
    exactly, nearly, changed, words = 0, 0, 0, 0
    for i in range(len(covered)):
        nearly += covered[i] > 0
        exactly += (covered[i] & EXACT) > 0
        words += (covered[i] > 0) & ((marks[i] & _WORD) > 0)
        changed += (covered[i] == NEAR) & ((marks[i] & _NUMBER) > 0)
    return exactly, nearly, changed, words


@njit(cache=True)
def _longer(rows):  # type: ignore[no-untyped-def]
    longer = np.empty((rows.shape[0], 2 * rows.shape[1]), np.int32)
    longer[:, : rows.shape[1]] = rows
    return longer
