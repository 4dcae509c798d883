"""The compiled part of ngram_table.py: n-grams of tokens, and the look-up of many at once."""

import numpy as np

from curation.compiled import lean_njit, njit
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER

MIN_DIFFERENT_TOKENS = 3  # of an n-gram that says something
SHORT = 4  # tokens of a short n-gram: no n-gram of a page is shorter
BASE = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0x2545F4914F6CDD1D)  # parts n-grams with all numbers alike from the others
_WORD_BITS, _LAST_BIT = np.uint64(6), np.uint64(63)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
ITEM_SHIFT = 32  # of postings
PLACE = (1 << ITEM_SHIFT) - 1


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


@lean_njit(cache=True)
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


@lean_njit(cache=True)
def _alike(token):  # type: ignore[no-untyped-def]
    return ANY_NUMBER if token & NUMBER else token


@lean_njit(cache=True)
def finish(hashed, numbers_alike):  # type: ignore[no-untyped-def]
    hashed = hashed ^ _SALT if numbers_alike else hashed
    hashed = (hashed ^ (hashed >> HALF)) * _MIX
    return hashed ^ (hashed >> HALF)


@lean_njit(cache=True)
def ngram_of(tokens, start, length, numbers_alike):  # type: ignore[no-untyped-def]
    hashed = np.uint64(0)
    for i in range(start, start + length):
        hashed = hashed * BASE + (_alike(tokens[i]) if numbers_alike else tokens[i])
    return finish(hashed, numbers_alike)


@njit(cache=True)
def ngrams_of(tokens, offsets, length):  # type: ignore[no-untyped-def]
    """The n-gram that begins at each token; 0 where the text ends before."""
    ngrams = np.zeros(len(tokens), np.uint64)
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1] - length + 1):
            ngrams[i] = ngram_of(tokens, i, length, False)
    return ngrams


@njit(cache=True)
def short_ngrams(tokens, offsets):  # type: ignore[no-untyped-def]
    """The n-gram of SHORT tokens that begins at each token; 0 where the text ends before. A number of steps that is known, and
    no text to look at, let LLVM make several at once."""
    ngrams = np.zeros(len(tokens), np.uint64)
    for start in range(len(tokens) - SHORT + 1):
        hashed = np.uint64(0)
        for i in range(SHORT):
            hashed = hashed * BASE + tokens[start + i]
        ngrams[start] = finish(hashed, False)
    for text in range(len(offsets) - 1):
        ngrams[max(offsets[text + 1] - SHORT + 1, offsets[text]) : offsets[text + 1]] = 0
    return ngrams


@njit(cache=True)
def with_numbers_alike(tokens):  # type: ignore[no-untyped-def]
    alike = np.empty_like(tokens)
    for i in range(len(tokens)):
        alike[i] = _alike(tokens[i])
    return alike


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
def num_absent(tokens, offsets, items, rows, length):  # type: ignore[no-untyped-def]
    """Of every row, a text and an item: how many of the item's numbers do not stand where the text has it."""
    item_tokens, item_offsets = items
    absent = np.empty(len(rows[0]), np.int32)
    for row in range(len(absent)):
        text, item = rows[0][row], rows[1][row]
        mine, theirs = tokens[offsets[text] : offsets[text + 1]], item_tokens[item_offsets[item] : item_offsets[item + 1]]
        absent[row] = _num_absent(mine, shared_stretches(mine, theirs, length), length, theirs)
    return absent


@njit(cache=True)
def _num_absent(tokens, stretches, margin, item_tokens):  # type: ignore[no-untyped-def]
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


@lean_njit(cache=True)
def _slot(slots, ngram):  # type: ignore[no-untyped-def]
    """Where an n-gram is, or would be."""
    slot = np.int64(ngram & np.uint64(len(slots) - 1))
    while slots[slot] and slots[slot] != ngram:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@lean_njit(cache=True)
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
    """(which n-gram, item, place) of all that the table knows of these n-grams. What look-ups wait for in memory is read in loops
    of its own, where none waits for the one before: that is most of the time."""
    known, firsts = np.empty(len(ngrams) + 1, np.int32), np.empty(len(ngrams), np.uint64)
    starts = np.empty(len(ngrams) + 1, np.int64)
    count = _look_up(ngrams, table, known, firsts, starts)
    postings = table.postings
    known, starts = known[:count], starts[:count]
    heads = postings[starts]
    which, found_postings = np.empty(3 * count + 8, np.int32), np.empty(3 * count + 8, np.int64)
    done, filled = _fill(which, found_postings, 0, known, starts, heads, postings)
    while done < count:
        which, found_postings = np.append(which, which), np.append(found_postings, found_postings)
        more, filled = _fill(which, found_postings, filled, known[done:], starts[done:], heads[done:], postings)
        done += more
    found_postings = found_postings[:filled]
    return which[:filled], found_postings >> ITEM_SHIFT, (found_postings & PLACE) >> 1


@lean_njit(cache=True)
def _look_up(ngrams, table, known, firsts, starts):  # type: ignore[no-untyped-def]
    """How many n-grams are known; which in `known`, where their postings start in `starts`."""
    slots = table.slots
    last = len(slots) - 1
    num_known = 0
    for k in range(len(ngrams)):
        known[num_known] = k
        num_known += may_be_known(ngrams[k], table.bits)
    for i in range(num_known):
        firsts[i] = slots[np.int64(ngrams[known[i]]) & last]
    count = 0
    for i in range(num_known):
        found, ngram = firsts[i], ngrams[known[i]]
        slot = np.int64(ngram) & last
        while found and (found ^ ngram) >> HALF:
            slot = (slot + 1) & last
            found = slots[slot]
        known[count], starts[count] = known[i], np.int64(found & LOW) - 1
        count += found > 0
    return count


@lean_njit(cache=True)
def _fill(which, found, filled, known, starts, heads, postings):  # type: ignore[no-untyped-def]
    """(how many of the known n-grams have all their postings in `which` and `found`, how far these are filled). Arrays that grow
    in this loop would be counted by numba at each of its steps: three times as long."""
    for k in range(len(known)):
        first, start, posting = filled, starts[k], heads[k]
        while filled < len(which):
            which[filled], found[filled] = known[k], posting
            filled += 1
            if posting & 1:
                break
            start += 1
            posting = postings[start]
        else:
            return k, first
    return len(known), filled


@njit(cache=True, inline="always")
def may_be_known(ngram, bits):  # type: ignore[no-untyped-def]
    bit = ngram >> bits.shift
    return np.int64(bits.words[np.int64(bit >> _WORD_BITS)] >> (bit & _LAST_BIT) & np.uint64(1))
