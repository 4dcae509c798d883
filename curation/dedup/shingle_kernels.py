"""The compiled path of shingles.py: one pass over UTF-8 bytes makes words, others their shingles and band keys.

Imported only where it runs: the first call of a machine compiles (a few seconds), later ones read numba's cache. Loops are
written for the processor: the one over characters has no branch that depends on the text (but for characters beyond ASCII), and
counts without signs, for which numba does not look whether they are negative; the others become AVX-512 or AVX2 code.
"""

from typing import Any

import numpy as np
from numba import uint32, uint64

from curation.compiled import njit
from curation.dedup.shingles import HALF, MULTIPLIER, SHIFT, SPACE, WORD_BEGINS, Hashes, Numbers

NONE, ONE, ASCII = np.uint64(0), np.uint64(1), np.uint64(128)
BLANK, BEGINS = np.uint64(SPACE), np.uint64(WORD_BEGINS)
LARGEST = np.uint32(0xFFFFFFFF)
STRIDE = 64


@njit(cache=True, inline="always")
def _mix(folded: Any, value: Any) -> Any:
    folded = (folded ^ uint64(value)) * MULTIPLIER
    return folded ^ (folded >> SHIFT)


@njit(cache=True, inline="always")
def _decode(data: Any, at: Any) -> Any:
    """(code point, bytes) of the UTF-8 character beyond ASCII that begins here."""
    lead = np.int64(data[at])
    if lead < 0xE0:
        return uint64((lead & 0x1F) << 6 | (np.int64(data[at + ONE]) & 0x3F)), uint64(2)
    middle = (np.int64(data[at + ONE]) & 0x3F) << 6 | (np.int64(data[at + uint64(2)]) & 0x3F)
    if lead < 0xF0:
        return uint64((lead & 0x0F) << 12 | middle), uint64(3)
    return uint64((lead & 0x07) << 18 | middle << 6 | (np.int64(data[at + uint64(3)]) & 0x3F)), uint64(4)


@njit(cache=True)
def _read(data: Any, start: Any, end: Any, table: Any, words: Hashes) -> Any:
    """Hashes of the words of one text -> (their number, the key of the text). `words` has one place more than there are."""
    num_words, hashed, was_word = NONE, NONE, NONE
    key, begins = NONE, BEGINS
    at, end = uint64(start), uint64(end)
    while at < end:
        code = uint64(data[at])
        if code < ASCII:
            at += ONE
        else:
            code, size = _decode(data, at)
            at += size
        lowered = uint64(table[code])
        is_word = uint64(lowered > BLANK)
        num_words += was_word & ~is_word
        hashed = (hashed ^ lowered) * (MULTIPLIER & (NONE - is_word))  # nothing between words
        words[num_words] = hashed
        was_word = is_word
        keyed = (key ^ (code + ONE | begins)) * MULTIPLIER
        key = key if lowered == BLANK else keyed
        begins = BEGINS if lowered == BLANK else NONE
    return np.int64(num_words + was_word), key ^ (key >> SHIFT)


@njit(cache=True)
def text_keys(data: Any, ends: Numbers, table: Any) -> Hashes:
    keys = np.empty(len(ends) - 1, np.uint64)
    words = np.empty(_longest(ends) // 2 + 2, np.uint64)
    for i in range(len(keys)):
        keys[i] = _read(data, ends[i], ends[i + 1], table, words)[1]
    return keys


@njit(cache=True)
def num_characters(data: Any) -> Any:
    """Of less than 4 GB. Bytes that continue a character are the numbers below -64, if bytes have signs."""
    count = uint32(0)
    for i in range(len(data)):
        count = uint32(count + uint32(np.int8(data[i]) >= np.int8(-64)))
    return count


@njit(cache=True)
def _longest(ends: Numbers) -> int:
    longest = 0
    for i in range(len(ends) - 1):
        longest = max(longest, ends[i + 1] - ends[i])
    return longest


@njit(cache=True)
def _shingle(words: Hashes, powers: Hashes, sums: Hashes, shingles: Any) -> None:
    """Fills `shingles`, one for each n words in a row."""
    for i in range(len(words)):
        words[i] ^= words[i] >> SHIFT
    sums[:] = NONE
    for place in range(len(powers)):
        power = powers[place]
        some = words[place : place + len(sums)]
        for i in range(len(sums)):
            sums[i] += some[i] * power
    for i in range(len(sums)):
        shingles[i] = uint32((sums[i] ^ (sums[i] >> SHIFT)) * MULTIPLIER >> HALF)


@njit(cache=True)
def _extremes(shingles: Any, factor: Any, summand: Any) -> Any:
    """The smallest and the largest value of a permutation, of whole STRIDEs: what an instruction does at once."""
    smallest, largest = LARGEST, uint32(0)
    for i in range(len(shingles) // STRIDE * STRIDE):
        permuted = uint32(factor * shingles[i] + summand)
        smallest, largest = min(smallest, permuted), max(largest, permuted)
    return smallest, largest


@njit(cache=True)
def sign_texts(data: Any, ends: Numbers, table: Any, powers: Hashes, a: Any, b: Any, num_bands: int, rows: int) -> Any:
    """Texts in one buffer -> (their keys, their lengths, packed shingles, where each text's begin, band keys, which texts are
    shorter than a shingle: their one shingle and their band keys are to be filled in)."""
    num, ngram, longest = len(ends) - 1, len(powers), _longest(ends)
    words, sums = np.empty(longest // 2 + 2, np.uint64), np.empty(longest // 2 + 2, np.uint64)
    keys, lengths, is_short = np.empty(num, np.uint64), np.empty(num, np.int64), np.zeros(num, np.bool_)
    packed = np.empty((ends[num] - ends[0]) // 2 + 2 * num + STRIDE, np.uint32)
    starts = np.zeros(num + 1, np.int64)
    band_keys, signature = np.zeros((num, num_bands), np.uint64), np.empty(2 * len(a), np.uint32)
    for i in range(num):
        num_words, keys[i] = _read(data, ends[i], ends[i + 1], table, words)
        lengths[i] = num_characters(data[ends[i] : ends[i + 1]])
        is_short[i] = num_words < ngram
        count = max(1, num_words - ngram + 1)
        packed[starts[i]] = count
        starts[i + 1] = starts[i] + 1 + count
        if not is_short[i]:
            _shingle(words[:num_words], powers, sums[:count], packed[starts[i] + 1 : starts[i + 1]])
            shingles = packed[starts[i] + 1 : starts[i] + 1 + -(-count // STRIDE) * STRIDE]
            shingles[count:] = shingles[0]  # the next text takes this place
            for k in range(len(a)):
                signature[k], signature[len(a) + k] = _extremes(shingles, a[k], b[k])
            for band in range(num_bands):
                for row in range(band * rows, (band + 1) * rows):
                    band_keys[i, band] = _mix(band_keys[i, band], signature[row])
    return keys, lengths, packed[: starts[num]], starts, band_keys, is_short
