"""The bytes of a word to ids by the merges of a byte-level BPE, compiled.

Of all neighbours that a merge joins, those of the earliest merge are joined first, of several such the leftmost. The time for a
word grows with the square of its length: nobody should ask for long ones.
"""

from typing import Any

import numpy as np

from curation.compiled import lean_njit

LONGEST_WORD_BYTES = 512
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # no pair: ids are smaller
NO_MERGE = np.int64(0x7FFFFFFFFFFFFFFF)
ID_BITS = 0xFFFFFFFF
HALF = np.uint64(32)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4)


@lean_njit(cache=True, nogil=True)
def slot_of(key: Any, num_slots: int) -> Any:
    """Of a table whose length is a power of two."""
    return np.int64((key ^ key >> HALF) * MULTIPLIER >> HALF) & (num_slots - 1)


@lean_njit(cache=True, nogil=True)
def place_merges(left: Any, right: Any, made: Any, table: Any) -> None:
    """Fills `table`: rows of a pair of ids, and of its rank and the id that it becomes. Of two merges of the same pair the later
    counts, as in `tokenizers`."""
    table[:, 0] = EMPTY
    for rank in range(len(left)):
        pair = np.uint64(left[rank]) << HALF | np.uint64(right[rank])
        slot = slot_of(pair, len(table))
        while table[slot, 0] != EMPTY and table[slot, 0] != pair:
            slot = (slot + 1) & (len(table) - 1)
        table[slot, 0] = pair
        table[slot, 1] = np.uint64(rank) << HALF | np.uint64(made[rank])


@lean_njit(cache=True, nogil=True)
def _merge_of(table: Any, left: int, right: int) -> Any:
    """Rank and id in one number that sorts by rank."""
    pair = np.uint64(left) << HALF | np.uint64(right)
    slot = slot_of(pair, len(table))
    while table[slot, 0] != pair:
        if table[slot, 0] == EMPTY:
            return NO_MERGE
        slot = (slot + 1) & (len(table) - 1)
    return np.int64(table[slot, 1])


@lean_njit(cache=True, nogil=True)
def merge_word(data: Any, start: int, stop: int, byte_ids: Any, table: Any, parts: Any, merges: Any) -> int:
    """Leaves the ids of the word `data[start:stop]` in `parts`, and returns how many. `merges[i]` is that of the parts i and
    i + 1; both arrays have room for LONGEST_WORD_BYTES."""
    num = stop - start
    for i in range(num):
        parts[i] = byte_ids[data[start + i]]
    for i in range(num - 1):
        merges[i] = _merge_of(table, parts[i], parts[i + 1])
    while num > 1:
        best = 0
        for i in range(1, num - 1):
            if merges[i] < merges[best]:
                best = i
        if merges[best] == NO_MERGE:
            break
        parts[best] = merges[best] & ID_BITS
        num -= 1
        for i in range(best + 1, num):
            parts[i] = parts[i + 1]
            merges[i - 1] = merges[i]
        if best:
            merges[best - 1] = _merge_of(table, parts[best - 1], parts[best])
        if best + 1 < num:
            merges[best] = _merge_of(table, parts[best], parts[best + 1])
    return num
