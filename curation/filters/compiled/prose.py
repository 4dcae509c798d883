"""The words of texts without formulas, code, commands, digits and signs, in lower case, each once, one space between them: what
`curation.filters.language` shows to a model of letter n-grams. Written as UTF-8.

A word that comes often says no more about a language, but names of variables come often, and the model's time goes by length."""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]
SPACE, ALPHA, DECIMAL = 1, 4, 8  # bits of curation.filters.characters
NEWLINE, TICK, BACKSLASH, TAB, BLANK, APOSTROPHE, HYPHEN = 10, 96, 92, 9, 32, 39, 45


@njit(cache=True, nogil=True)
def _size_for(num: int) -> int:
    """Of a table for the words of so many characters."""
    size = 16
    while size < num:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _code_at(points: Points, begin: int, i: int, end: int) -> int:
    """The end of the code that begins at i, else 0: between fences, between ticks, or an indented line."""
    if points[i] == TICK:
        if i + 2 < end and points[i + 1] == TICK and points[i + 2] == TICK:
            j = i + 3
            while j + 2 < end and not (points[j] == TICK and points[j + 1] == TICK and points[j + 2] == TICK):
                j += 1
            return j + 3 if j + 2 < end else end
        j = i + 1
        while j < end and points[j] != TICK and points[j] != NEWLINE:
            j += 1
        return j + 1 if j < end and points[j] == TICK and j > i + 1 else 0
    if i > begin and points[i - 1] != NEWLINE:
        return 0
    is_indented = i + 3 < end and points[i] == points[i + 1] == points[i + 2] == points[i + 3] == BLANK
    if points[i] != TAB and not is_indented:
        return 0
    j = i + 1
    while j < end and points[j] != NEWLINE:
        j += 1
    return j


@njit(cache=True, nogil=True)
def _mask_code(points: Points, begin: int, end: int, classes: Bytes, is_code: Flags) -> int:
    """Marks code, and counts the words beside it up to 8."""
    num_words, is_in_word, i = 0, False, begin
    while i < end:
        point = points[i]
        after = 0
        if point in (TICK, TAB, BLANK):
            after = _code_at(points, begin, i, end)
        if after:
            is_code[i - begin : after - begin] = True
            is_in_word = False
            i = after
            continue
        is_code[i - begin] = False
        if classes[point] & SPACE:
            is_in_word = False
        elif not is_in_word:
            is_in_word = True
            num_words += 1
        i += 1
    return num_words


@njit(cache=True, nogil=True)
def _is_letter_of_command(point: int) -> bool:
    return 65 <= point <= 90 or 97 <= point <= 122


@njit(cache=True, nogil=True)
def _is_sign(point: int, bits: int) -> bool:
    """ASCII alone, because the vowel signs of Indian scripts are no letters to Unicode; "don't" and "well-known" are words."""
    return 32 < point < 127 and not bits & ALPHA and point != APOSTROPHE and point != HYPHEN


@njit(cache=True, nogil=True)
def _put(out: Bytes, at: int, point: int) -> int:
    """Writes a character as UTF-8; a lone surrogate is left out, as fastText could not read it."""
    if point < 0x80:
        out[at] = point
        return at + 1
    if point < 0x800:
        out[at], out[at + 1] = 0xC0 | point >> 6, 0x80 | point & 0x3F
        return at + 2
    if point < 0x10000:
        if 0xD800 <= point < 0xE000:
            return at
        out[at], out[at + 1], out[at + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F
        return at + 3
    out[at], out[at + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F
    out[at + 2], out[at + 3] = 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F
    return at + 4


@njit(cache=True, nogil=True)
def _is_wanted(out: Bytes, start: int, at: int, keys: Hashes) -> bool:
    """Whether the word that was written is longer than one letter or sign, and new to the text."""
    if at - start < 2:
        return False
    h = np.uint64(at - start)
    for k in range(start, at):
        h = (h ^ np.uint64(out[k])) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(32))) | np.uint64(1)
    place = np.int64(h >> np.uint64(16)) & (len(keys) - 1)
    while keys[place]:
        if keys[place] == h:
            return False
        place = (place + 1) & (len(keys) - 1)
    keys[place] = h
    return True


@njit(cache=True, nogil=True)
def _write_words(
    points: Points, begin: int, end: int, classes: Bytes, lower: Points, is_code: Flags, keys: Hashes, out: Bytes, at: int
) -> tuple[int, bool]:
    first, i, has_letters = at, begin, False
    while i < end:
        is_alphabetic = False
        start, at = at, at + (at > first)  # a space, where a word stands before
        word = at
        while i < end:
            point = points[i]
            bits = classes[point]
            if is_code[i - begin] or bits & (SPACE | DECIMAL) or _is_sign(point, bits):
                break
            is_alphabetic |= (bits & ALPHA) != 0
            at = _put(out, at, lower[point])
            i += 1
        if _is_wanted(out, word, at, keys):
            out[start] = 32 if word > start else out[start]
            has_letters |= is_alphabetic
        else:
            at = start
        if i < end and points[i] == BACKSLASH and not is_code[i - begin]:
            while i + 1 < end and not is_code[i + 1 - begin] and _is_letter_of_command(points[i + 1]):
                i += 1
        i += 1
    return at, has_letters


@njit(cache=True, nogil=True)
def write_prose(
    points: Points, offsets: Integers, classes: Bytes, lower: Points, min_words: int
) -> tuple[Bytes, Integers, Flags]:
    """UTF-8 bytes, their offsets by document, and whether any letter is left. Code stays where fewer than `min_words` words
    stand beside it: indented prose was taken for code."""
    longest = 0
    for d in range(len(offsets) - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    is_code, keys = np.empty(longest, np.bool_), np.empty(_size_for(longest), np.uint64)
    out, at = np.empty(4 * len(points) + len(offsets), np.uint8), 0
    new_offsets, has_letters = np.zeros(len(offsets), np.int64), np.zeros(len(offsets) - 1, np.bool_)
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        if _mask_code(points, begin, end, classes, is_code) < min_words:
            is_code[: end - begin] = False
        size = _size_for(end - begin)
        keys[:size] = 0
        at, has_letters[d] = _write_words(points, begin, end, classes, lower, is_code, keys[:size], out, at)
        new_offsets[d + 1] = at
    return out[:at], new_offsets, has_letters
