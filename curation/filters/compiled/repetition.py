"""Repeated lines, paragraphs and word n-grams: one row of counts a document.

An n-gram can repeat only where its first n-1 words repeat, so each n looks only at the places that the n before left over: after
pairs of words those are few. Lines and n-grams are compared by 64-bit hashes.
"""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Hash = np.uint64
SPACE, ALNUM, LINE_BREAK, WORD = 1, 2, 16, 64  # bits of curation.filters.characters
FORMULA_MARK, NEWLINE = 0x10FFFF, 10
MIN_SUBSTANCE = 4  # letters or digits of a line: rows of truth tables ("T | T | F") repeat rightly
MIN_TOP_OCCURRENCES = 3  # twice is no repetition: a short solution restates its problem
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
COLUMNS = (
    *("num_lines", "line_characters", "duplicate_lines", "duplicate_line_characters"),
    *("num_paragraphs", "paragraph_characters", "duplicate_paragraphs", "duplicate_paragraph_characters"),
    *(f"top_{n}gram" for n in TOP),
    *(f"duplicate_{n}gram" for n in DUPLICATE),
)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SEED = np.uint64(0xCBF29CE484222325)


@njit(cache=True, nogil=True)
def _mix(h: Hash) -> Hash:
    h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def _size_for(num: int) -> int:
    size = 16
    while size < 2 * num:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _slot(keys: Hashes, mask: int, h: Hash) -> np.int64:
    """The place of a key that is not zero."""
    at = np.int64(h >> np.uint64(16)) & mask
    while keys[at] and keys[at] != h:
        at = (at + 1) & mask
    return at


@njit(cache=True, nogil=True)
def _count_duplicates(hashes: Hashes, lengths: Integers, num: int, keys: Hashes, row: Integers, column: int) -> None:
    """Writes number, characters, duplicates and their characters of parts."""
    size = _size_for(num)
    keys[:size] = 0
    for k in range(num):
        row[column] += 1
        row[column + 1] += lengths[k]
        at = _slot(keys, size - 1, hashes[k])
        if keys[at]:
            row[column + 2] += 1
            row[column + 3] += lengths[k]
        keys[at] = hashes[k]


@njit(cache=True, nogil=True)
def _ends_paragraph(points: Points, i: int, end: int, classes: Bytes) -> int:
    """Behind the last line break of a blank line, where the line break at i begins one; else 0."""
    after, j = 0, i + 1
    while j < end and classes[points[j]] & SPACE:
        if points[j] == NEWLINE:
            after = j + 1
        j += 1
    return after


@njit(cache=True, nogil=True)
def _parts(points: Points, begin: int, end: int, classes: Bytes, by_paragraph: bool, hashes: Hashes, lengths: Integers) -> int:
    """Hashes and lengths of the lines or paragraphs with some substance, white space at their ends left out."""
    num, i = 0, begin
    while i < end:
        first, last, substance, after = -1, -1, 0, end
        while i < end:
            bits = classes[points[i]]
            if not bits & SPACE:
                last = i
                if first < 0:
                    first = i
                substance += (bits & ALNUM) != 0
            elif by_paragraph:
                if points[i] == NEWLINE:
                    after = _ends_paragraph(points, i, end, classes)
                    if after:
                        break
                    after = end
            elif bits & LINE_BREAK:
                after = i + 1
                break
            i += 1
        i = after
        if substance >= MIN_SUBSTANCE:
            h = _SEED
            for k in range(first, last + 1):
                h = (h ^ np.uint64(points[k])) * _FACTOR
            hashes[num] = _mix(h) | np.uint64(1)
            lengths[num] = last + 1 - first
            num += 1
    return num


@njit(cache=True, nogil=True)
def _words(points: Points, begin: int, end: int, classes: Bytes, lower: Points, hashes: Hashes, lengths: Integers) -> int:
    """A hash and a length for every word. Each formula gets a hash of its own, so no n-gram across it has a twin."""
    num, i = 0, begin
    while i < end:
        if classes[points[i]] & WORD:
            h, start = _SEED, i
            while i < end and classes[points[i]] & WORD:
                h = (h ^ np.uint64(lower[points[i]])) * _FACTOR
                i += 1
            hashes[num], lengths[num] = _mix(h), i - start
            num += 1
            continue
        if points[i] == FORMULA_MARK:
            hashes[num], lengths[num] = _mix(_FACTOR * np.uint64(i - begin + 1)), 0
            num += 1
        i += 1
    return num


@njit(cache=True, nogil=True)
def _top_characters(
    places: Integers, num: int, hashes: Hashes, lengths: Integers, n: int, slots: Integers, counts: Integers
) -> int:
    """Characters of the most frequent n-gram times its occurrences; the longest of equals, 0 if it is rare."""
    most = longest = 0
    for p in range(num):
        occurrences = counts[slots[p]]
        if occurrences >= MIN_TOP_OCCURRENCES and occurrences >= most:
            size = 0
            for k in range(places[p], places[p] + n):
                size += lengths[k]
            longest = max(longest, size) if occurrences == most else size
            most = occurrences
    return most * longest


@njit(cache=True, nogil=True)
def _count_ngrams(
    hashes: Hashes,
    lengths: Integers,
    num_words: int,
    ngrams: Hashes,
    places: Integers,
    slots: Integers,
    keys: Hashes,
    counts: Integers,
    row: Integers,
) -> None:
    num = num_words
    for k in range(num):
        places[k], ngrams[k] = k, hashes[k]
    for n in range(2, 11):
        kept = 0
        for p in range(num):  # an n-gram's hash is its first n-1 words' and the next word's
            start = places[p]
            if start + n <= num_words:
                places[kept], ngrams[kept] = start, _mix(ngrams[p] * _FACTOR + hashes[start + n - 1]) | np.uint64(1)
                kept += 1
        num, size = kept, _size_for(kept)
        keys[:size] = 0
        covered = characters = 0
        for p in range(num):
            at = _slot(keys, size - 1, ngrams[p])
            slots[p] = at
            if not keys[at]:
                keys[at], counts[at] = ngrams[p], 1
                continue
            counts[at] += 1
            for k in range(max(covered, places[p]), places[p] + n):  # of a repeat, what no repeat before it covered
                characters += lengths[k]
            covered = places[p] + n
        if n <= 4:
            row[6 + n] = _top_characters(places, num, hashes, lengths, n, slots, counts)
        else:
            row[6 + n] = characters
        kept = 0
        for p in range(num):
            if counts[slots[p]] > 1:
                places[kept], ngrams[kept] = places[p], ngrams[p]
                kept += 1
        num = kept
        if not num:
            break


@njit(cache=True, nogil=True)
def _workspace(num: int) -> tuple[Hashes, Integers, Integers, Hashes, Integers]:
    """N-grams, places and slots of so many words, and a table of keys and counts."""
    size = _size_for(num)
    return (
        np.empty(num, np.uint64),
        np.empty(num, np.int64),
        np.empty(num, np.int64),
        np.empty(size, np.uint64),
        np.empty(size, np.int64),
    )


@njit(cache=True, nogil=True)
def count_repetition(
    flat: Points, flat_offsets: Integers, plain: Points, plain_offsets: Integers, classes: Bytes, lower: Points
) -> Integers:
    """`flat` are the texts with every formula on one line, `plain` those without formulas."""
    longest = 0
    for d in range(len(flat_offsets) - 1):
        longest = max(longest, flat_offsets[d + 1] - flat_offsets[d], plain_offsets[d + 1] - plain_offsets[d])
    hashes, lengths = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.int64)
    ngrams, places, slots, keys, counts = _workspace(1_000)
    rows = np.zeros((len(flat_offsets) - 1, 17), np.int64)
    for d in range(len(flat_offsets) - 1):
        for kind in range(3):  # lines, paragraphs, words
            if kind < 2:
                num = _parts(flat, flat_offsets[d], flat_offsets[d + 1], classes, kind == 1, hashes, lengths)
            else:
                num = _words(plain, plain_offsets[d], plain_offsets[d + 1], classes, lower, hashes, lengths)
            if num > len(places):
                ngrams, places, slots, keys, counts = _workspace(2 * num)
            if kind < 2:
                _count_duplicates(hashes, lengths, num, keys, rows[d], 4 * kind)
            else:
                _count_ngrams(hashes, lengths, num, ngrams, places, slots, keys, counts, rows[d])
    return rows
