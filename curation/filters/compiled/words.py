"""Counts of words, lines and signs for Gopher's quality rules: one row a document.

The definitions stand in `curation.filters.words`; formulas have been replaced by FORMULA_MARK, which is white space.
"""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
SPACE, ALNUM, ALPHA, DECIMAL, LINE_BREAK, BULLET = 1, 2, 4, 8, 16, 32  # bits of curation.filters.characters
FORMULA_MARK = 0x10FFFF
HASH, DOT, ELLIPSIS = 35, 46, 0x2026
COLUMNS = (
    "num_pieces",  # what stands between white space
    "num_words",  # pieces with a letter or digit, without the signs at their ends
    "word_characters",
    "num_alphabetic",
    "num_stop_words",  # different ones
    "num_symbols",
    "num_lines",
    "num_bullet_lines",
    "num_ellipsis_lines",
    "num_formulas",
    "formula_characters",
    "num_characters",  # without white space, formulas included
)
MAX_STOP_WORDS = 64  # one bit each


@njit(cache=True, nogil=True)
def _stop_word(points: Points, start: int, end: int, lower: Points, stop_words: Integers) -> int:
    """The row of a stop word, -1 for none."""
    for row in range(stop_words.shape[0]):
        length = stop_words[row, 0]
        if length != end - start:
            continue
        k = 0
        while k < length and lower[points[start + k]] == stop_words[row, k + 1]:
            k += 1
        if k == length:
            return row
    return -1


@njit(cache=True, nogil=True)
def _count_words(
    points: Points, begin: int, end: int, classes: Bytes, lower: Points, stop_words: Integers, row: Integers
) -> None:
    longest = stop_words.shape[1] - 1
    seen = np.uint64(0)
    i = begin
    while i < end:
        if classes[points[i]] & SPACE:
            row[9] += points[i] == FORMULA_MARK
            i += 1
            continue
        first, last, is_alphabetic = -1, -1, False
        while i < end:
            bits = classes[points[i]]
            if bits & SPACE:
                break
            if bits & ALNUM:
                last = i
                if first < 0:
                    first = i
                if bits & ALPHA:
                    is_alphabetic = True
            i += 1
        row[0] += 1
        if first >= 0:
            row[1] += 1
            row[2] += last + 1 - first
            row[3] += is_alphabetic
            if last + 1 - first <= longest:
                found = _stop_word(points, first, last + 1, lower, stop_words)
                if found >= 0:
                    seen |= np.uint64(1) << np.uint64(found)
    while seen:
        seen &= seen - np.uint64(1)
        row[4] += 1


@njit(cache=True, nogil=True)
def _ends_in_ellipsis(points: Points, begin: int, last: int, classes: Bytes) -> bool:
    """Whether the line ends in an ellipsis behind a letter; behind a number ("4, 7, 11, ...") it is a sequence."""
    if points[last] == ELLIPSIS:
        k = last - 1
    elif last - 2 >= begin and points[last] == DOT and points[last - 1] == DOT and points[last - 2] == DOT:
        k = last - 3
    else:
        return False
    if k >= begin and classes[points[k]] & SPACE:
        k -= 1
    return k >= begin and classes[points[k]] & (ALNUM | DECIMAL) == ALNUM


@njit(cache=True, nogil=True)
def _count_lines(points: Points, begin: int, end: int, classes: Bytes, row: Integers) -> None:
    i = begin
    while i < end:
        first, last, line = -1, -1, i
        while i < end:
            bits = classes[points[i]]
            if not bits & SPACE:
                last = i
                if first < 0:
                    first = i
            elif bits & LINE_BREAK:
                break
            i += 1
        if first >= 0:
            row[6] += 1
            row[7] += (classes[points[first]] & BULLET) != 0 and first + 1 < i and (classes[points[first + 1]] & SPACE) != 0
            row[8] += _ends_in_ellipsis(points, line, last, classes)
        i += 1


@njit(cache=True, nogil=True)
def _count_symbols(points: Points, begin: int, end: int) -> int:
    num_symbols, i = 0, begin
    while i < end:
        point = points[i]
        if point in (HASH, ELLIPSIS):
            num_symbols += 1
        elif point == DOT and i + 2 < end and points[i + 1] == DOT and points[i + 2] == DOT:
            num_symbols += 1
            i += 2
        i += 1
    return num_symbols


@njit(cache=True, nogil=True)
def count_words(
    plain: Points,
    plain_offsets: Integers,
    points: Points,
    offsets: Integers,
    starts: Integers,
    ends: Integers,
    firsts: Integers,
    classes: Bytes,
    lower: Points,
    stop_words: Integers,
) -> Integers:
    """`plain` are the texts without formulas, `points` with them. A row of `stop_words` is a length and its characters."""
    counts = np.zeros((len(offsets) - 1, 12), np.int64)
    for d in range(len(offsets) - 1):
        row = counts[d]
        begin, end = plain_offsets[d], plain_offsets[d + 1]
        _count_words(plain, begin, end, classes, lower, stop_words, row)
        row[5] = _count_symbols(plain, begin, end)
        _count_lines(plain, begin, end, classes, row)
        for f in range(firsts[d], firsts[d + 1]):
            for i in range(starts[f], ends[f]):
                row[10] += not classes[points[i]] & SPACE
        row[11] = row[10]
        for i in range(begin, end):
            row[11] += not classes[plain[i]] & SPACE
    return counts
