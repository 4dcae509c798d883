"""Texts to ids of a byte-level BPE, compiled: a word that is a token is looked up, others are merged, and short ones remembered.

Texts come as numbers of eight bytes each (`curation.tokens.compiled_encoder.numbers_of`). A word of up to 15 bytes, as nearly all
are, and its length fit into two numbers, which tell it from all others for certain.
"""

from typing import Any

import numpy as np

from curation.compiled import lean_njit, njit
from curation.tokens.merge_kernel import HALF, ID_BITS, LONGEST_WORD_BYTES, MULTIPLIER, merge_word, slot_of
from curation.tokens.word_kernel import word_end

NUMBER_BYTES = 8
REMEMBERED_BYTES, REMEMBERED_IDS = 15, 4
LENGTH_SHIFT, COUNT_SHIFT = np.uint64(56), np.uint64(60)  # of a word's length and of its number of ids, in its second number
WITHOUT_COUNT = np.uint64(0x0FFFFFFFFFFFFFFF)
KEPT_BITS = np.array([(1 << 8 * num) - 1 for num in range(NUMBER_BYTES + 1)], np.uint64)
NO_TOKEN = -1


@lean_njit(cache=True, nogil=True)
def _two_numbers(numbers: Any, start: int, length: int) -> Any:
    """The 16 bytes from `start` on, those behind `length` zero."""
    first, shift = start // NUMBER_BYTES, np.uint64(start % NUMBER_BYTES * 8)
    rest = np.uint64(63) - shift  # in two steps, because a shift by 64 is none
    one, two, three = numbers[first], numbers[first + 1], numbers[first + 2]
    low, high = one >> shift | two << np.uint64(1) << rest, two >> shift | three << np.uint64(1) << rest
    behind = min(max(length - NUMBER_BYTES, 0), NUMBER_BYTES)
    return low & KEPT_BITS[min(length, NUMBER_BYTES)], high & KEPT_BITS[behind]


@lean_njit(cache=True, nogil=True)
def _mixed(low: Any, high: Any) -> Any:
    return (low ^ low >> HALF) * MULTIPLIER ^ high


@lean_njit(cache=True, nogil=True)
def _word_hash(numbers: Any, start: int, stop: int) -> Any:
    found = np.uint64(stop - start)
    for i in range(start, stop, 2 * NUMBER_BYTES):
        low, high = _two_numbers(numbers, i, stop - i)
        found = _mixed(found ^ low, high)
    return found


@lean_njit(cache=True, nogil=True)
def _token_of(data: Any, numbers: Any, start: int, stop: int, tokens: Any) -> Any:
    """The id of the token that these bytes are, if it is one that a word becomes whole."""
    slot = slot_of(_word_hash(numbers, start, stop), len(tokens.slots))
    while tokens.slots[slot] != NO_TOKEN:
        token = tokens.slots[slot]
        first = tokens.places[token]
        if tokens.places[token + 1] - first == stop - start:
            same = 0
            while same < stop - start and data[start + same] == tokens.data[first + same]:
                same += 1
            if same == stop - start:
                return tokens.ids[token]
        slot = (slot + 1) & (len(tokens.slots) - 1)
    return NO_TOKEN


@njit(cache=True, nogil=True)
def place_tokens(tokens: Any, numbers: Any, byte_ids: Any, merges: Any, are_whole: bool) -> None:
    """Fills `tokens.slots` with the tokens that a word of the same bytes becomes: those that their own bytes are merged to, or
    all of them. `numbers` are those of `tokens.data`."""
    parts, joined = np.empty(LONGEST_WORD_BYTES, np.int64), np.empty(LONGEST_WORD_BYTES, np.int64)
    tokens.slots[:] = NO_TOKEN
    for token in range(len(tokens.ids)):
        start, stop = tokens.places[token], tokens.places[token + 1]
        if stop - start <= LONGEST_WORD_BYTES and (
            are_whole
            or (merge_word(tokens.data, start, stop, byte_ids, merges, parts, joined) == 1 and parts[0] == tokens.ids[token])
        ):
            slot = slot_of(_word_hash(numbers, start, stop), len(tokens.slots))
            while tokens.slots[slot] != NO_TOKEN:
                slot = (slot + 1) & (len(tokens.slots) - 1)
            tokens.slots[slot] = token


@lean_njit(cache=True, nogil=True)
def _remember(memory: Any, slot: int, low: Any, high: Any, num: int, parts: Any) -> None:
    memory[slot, 0] = low
    memory[slot, 1] = high | np.uint64(num) << COUNT_SHIFT
    for half in range(REMEMBERED_IDS // 2):
        memory[slot, 2 + half] = np.uint64(parts[2 * half]) | np.uint64(parts[2 * half + 1]) << HALF


@lean_njit(cache=True, nogil=True)
def _recall(memory: Any, slot: int, ids: Any, at: int) -> Any:
    """Writes all four ids, and returns where those that count end."""
    ids[at], ids[at + 1] = memory[slot, 2] & ID_BITS, memory[slot, 2] >> HALF
    ids[at + 2], ids[at + 3] = memory[slot, 3] & ID_BITS, memory[slot, 3] >> HALF
    return at + np.int64(memory[slot, 1] >> COUNT_SHIFT)


@lean_njit(cache=True, nogil=True)
def _new_word(data: Any, numbers: Any, start: int, stop: int, model: Any, parts: Any, joined: Any) -> Any:
    """Leaves the word's ids in `parts`, and returns how many."""
    token = _token_of(data, numbers, start, stop, model.tokens)
    if token == NO_TOKEN:
        return merge_word(data, start, stop, model.byte_ids, model.merges, parts, joined)
    parts[0] = token
    return 1


@lean_njit(cache=True, nogil=True)
def encode_texts(numbers: Any, places: Any, model: Any, memory: Any, ids: Any, lengths: Any, scratch: Any) -> int:
    """Ids of the texts between `places` one behind another, and how many of each: -1 and none for a text with a word that is
    too long. Returns the number of all ids; `ids` has room for one a byte, and for REMEMBERED_IDS more.

    A row of `memory` is a word in two numbers and its ids. A new word takes the row of the one before it, so that memory never
    grows. `scratch`: two rows of LONGEST_WORD_BYTES."""
    parts, joined = scratch
    data, classes, max_digits = numbers.view(np.uint8), model.classes, model.max_digits
    at = 0
    for text in range(len(lengths)):
        begin, i, end = at, places[text], places[text + 1]
        while i < end:
            stop = word_end(data, i, end, classes, max_digits)
            length = stop - i
            if length > LONGEST_WORD_BYTES:
                break
            low, high = _two_numbers(numbers, i, length)
            high |= np.uint64(length) << LENGTH_SHIFT
            slot = slot_of(_mixed(low, high), len(memory))
            if length <= REMEMBERED_BYTES and memory[slot, 0] == low and memory[slot, 1] & WITHOUT_COUNT == high:
                at = _recall(memory, slot, ids, at)
            else:
                num = _new_word(data, numbers, i, stop, model, parts, joined)
                for part in range(num):
                    ids[at + part] = parts[part]
                if length <= REMEMBERED_BYTES and num <= REMEMBERED_IDS:
                    _remember(memory, slot, low, high, num, parts)
                at += num
            i = stop
        if i < end:
            at = begin
        lengths[text] = at - begin if i == end else -1
    return at
