"""The compiled path of shingles.py: one pass over UTF-8 bytes makes words and shingles, another their band keys.

Imported only where it runs: the first call of a machine compiles (a few seconds), later ones read numba's cache."""

from typing import Any

import numpy as np
from numba import uint64

from curation.compiled import njit
from curation.dedup.shingles import HALF, MULTIPLIER, SHIFT, SPACE, Hashes, Numbers

BLANK = np.uint64(ord(" "))
LARGEST = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, inline="always")
def _mix(folded: Any, value: Any) -> Any:
    folded = (folded ^ uint64(value)) * MULTIPLIER
    return folded ^ (folded >> SHIFT)


@njit(cache=True, inline="always")
def _decode(data: Any, at: int) -> Any:
    """(code point, bytes) of the UTF-8 character that begins here."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    middle = (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F)
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | middle, 3
    return (lead & 0x07) << 18 | middle << 6 | (np.int64(data[at + 3]) & 0x3F), 4


@njit(cache=True)
def _read(data: Any, start: int, end: int, table: Any, words: Hashes) -> Any:
    """Hashes of the words of one text -> (their number, the key of the text)."""
    num_words, key, has_begun, is_apart = 0, uint64(0), False, False
    at = start
    while at < end:
        code, size = _decode(data, at)
        lowered = table[code]
        if lowered == SPACE:
            is_apart = has_begun
            at += size
            continue
        if is_apart:
            key = (key ^ BLANK) * MULTIPLIER
        has_begun, is_apart = True, False
        if lowered == 0:
            key = (key ^ uint64(code)) * MULTIPLIER
            at += size
            continue
        hashed = uint64(0)
        while lowered > SPACE:
            hashed = (hashed ^ uint64(lowered)) * MULTIPLIER
            key = (key ^ uint64(code)) * MULTIPLIER
            at += size
            if at >= end:
                break
            code, size = _decode(data, at)
            lowered = table[code]
        words[num_words] = hashed ^ (hashed >> SHIFT)
        num_words += 1
    return num_words, _mix(key, uint64(0))


@njit(cache=True)
def text_keys(data: Any, ends: Numbers, table: Any) -> Hashes:
    keys = np.empty(len(ends) - 1, np.uint64)
    words = np.empty(_longest(ends) // 2 + 1, np.uint64)
    for i in range(len(keys)):
        keys[i] = _read(data, ends[i], ends[i + 1], table, words)[1]
    return keys


@njit(cache=True)
def _longest(ends: Numbers) -> int:
    longest = 0
    for i in range(len(ends) - 1):
        longest = max(longest, ends[i + 1] - ends[i])
    return longest


@njit(cache=True)
def _smallest(shingles: Hashes, factor: Any, summand: Any) -> Any:
    """A loop of this plain form becomes AVX-512 or AVX2 code; `min` over the array does not."""
    smallest = LARGEST
    for i in range(len(shingles)):
        permuted = factor * shingles[i] + summand
        if permuted < smallest:
            smallest = permuted
    return smallest


@njit(cache=True)
def sign_texts(data: Any, ends: Numbers, table: Any, ngram: int, a: Hashes, b: Hashes, num_bands: int, rows: int) -> Any:
    """Texts in one buffer -> (their keys, packed shingles, where each text's begin, band keys, which texts are shorter than a
    shingle: their one shingle and their band keys are to be filled in)."""
    num, longest = len(ends) - 1, _longest(ends)
    words, shingles = np.empty(longest // 2 + 1, np.uint64), np.empty(longest // 2 + 1, np.uint64)
    keys, is_short = np.empty(num, np.uint64), np.zeros(num, np.bool_)
    packed, starts = np.empty((ends[num] - ends[0]) // 2 + 2 * num + 1, np.uint32), np.zeros(num + 1, np.int64)
    band_keys = np.zeros((num, num_bands), np.uint64)
    for i in range(num):
        num_words, keys[i] = _read(data, ends[i], ends[i + 1], table, words)
        is_short[i] = num_words < ngram
        count = max(1, num_words - ngram + 1)
        packed[starts[i]] = count
        for first in range(num_words - ngram + 1):
            folded = uint64(0)
            for j in range(ngram):
                folded = _mix(folded, words[first + j])
            shingles[first] = folded
            packed[starts[i] + 1 + first] = folded >> HALF
        starts[i + 1] = starts[i] + 1 + count
        for band in range(0 if is_short[i] else num_bands):
            folded = uint64(0)
            for row in range(band * rows, (band + 1) * rows):
                folded = _mix(folded, _smallest(shingles[:count], a[row], b[row]))
            band_keys[i, band] = folded
    return keys, packed[: starts[num]], starts, band_keys, is_short
