"""Where the next word of a UTF-8 text ends, compiled: the alternatives of the expressions in `curation.tokens.word_rules`, in
their order. `classes` are first those of the 256 bytes, FOREIGN for a byte of a longer character, then those of all code points.

The three functions that a caller's loop takes in (`inline`) cost half as much so.
"""

from typing import Any

from curation.compiled import lean_njit

OTHER, LETTER, NUMBER, SPACE, NEWLINE, FOREIGN = range(6)
NUM_BYTES = 256
APOSTROPHE, BLANK = 0x27, 0x20
LOWER = 0x20  # the bit by which a lower-case letter of ASCII differs from its capital
D, E, L, M, R, S, T, V = b"delmrstv"
LONG_S = (0xC5, 0xBF)  # U+017F: an s, for an expression that ignores case


@lean_njit(cache=True, nogil=True, inline="always")
def word_end(data: Any, start: int, end: int, classes: Any, max_digits: int) -> Any:
    """End of the first word of `data[start:end]`: one of GPT-2's for `max_digits` 0, else of Llama 3's or Qwen's."""
    return _llama3_word(data, start, end, classes, max_digits) if max_digits else _gpt2_word(data, start, end, classes)


@lean_njit(cache=True, nogil=True, inline="always")
def _llama3_word(data: Any, start: int, end: int, classes: Any, max_digits: int) -> Any:
    if data[start] == APOSTROPHE:
        stop = _contraction(data, start, end, LOWER)
        if stop:
            return stop
    kind, after = _character(data, start, classes)
    if kind == LETTER:
        return _run(data, after, end, classes, LETTER)
    if kind == NUMBER:
        return _digits(data, after, end, classes, max_digits - 1)
    if kind != NEWLINE and after < end:
        following, behind = _character(data, after, classes)
        if following == LETTER:
            return _run(data, behind, end, classes, LETTER)
        if following == OTHER and data[start] == BLANK:
            kind, after = OTHER, behind
    if kind == OTHER:
        return _run(data, _run(data, after, end, classes, OTHER), end, classes, NEWLINE)
    return _white_space(data, start, end, classes)


@lean_njit(cache=True, nogil=True, inline="always")
def _gpt2_word(data: Any, start: int, end: int, classes: Any) -> Any:
    if data[start] == APOSTROPHE:
        stop = _contraction(data, start, end, 0)
        if stop:
            return stop
    kind, after = _character(data, start, classes)
    if data[start] == BLANK and after < end:
        following, behind = _character(data, after, classes)
        if following != SPACE:
            kind, after = following, behind
    if kind != SPACE:
        return _run(data, after, end, classes, kind)
    return _white_space(data, start, end, classes)


@lean_njit(cache=True, nogil=True)
def _character(data: Any, i: int, classes: Any) -> Any:
    """Class of the character at i, and where it ends."""
    kind = classes[data[i]]
    if kind == FOREIGN:
        return _foreign(data, i, classes)
    return kind, i + 1


@lean_njit(cache=True, nogil=True)
def _foreign(data: Any, i: int, classes: Any) -> Any:
    """The same for a character of two to four bytes."""
    first = data[i]
    if first < 0xE0:
        return classes[NUM_BYTES + ((first & 0x1F) << 6 | data[i + 1] & 0x3F)], i + 2
    if first < 0xF0:
        return classes[NUM_BYTES + ((first & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | data[i + 2] & 0x3F)], i + 3
    high = (first & 0x07) << 18 | (data[i + 1] & 0x3F) << 12
    return classes[NUM_BYTES + (high | (data[i + 2] & 0x3F) << 6 | data[i + 3] & 0x3F)], i + 4


@lean_njit(cache=True, nogil=True)
def _run(data: Any, i: int, end: int, classes: Any, wanted: int) -> int:
    while i < end:
        kind = classes[data[i]]
        if kind == wanted:
            i += 1
        elif kind == FOREIGN:
            kind, after = _foreign(data, i, classes)
            if kind != wanted:
                return i
            i = after
        else:
            return i  # as a `break`, this makes the whole pass half as slow again
    return i


@lean_njit(cache=True, nogil=True)
def _digits(data: Any, i: int, end: int, classes: Any, more: int) -> int:
    while i < end and more:
        kind, after = _character(data, i, classes)
        if kind != NUMBER:
            break
        i, more = after, more - 1
    return i


@lean_njit(cache=True, nogil=True)
def _contraction(data: Any, start: int, end: int, lower: int) -> int:
    """End of 's, 't, 'm, 'd, 're, 've or 'll, 0 for none. With LOWER as `lower` capitals count too."""
    if start + 1 >= end:
        return 0
    one = data[start + 1] | lower
    if one in (S, T, M, D):
        return start + 2
    if start + 2 >= end:
        return 0
    two = data[start + 2] | lower
    if (two == E and one in (R, V)) or (one == L and two == L):
        return start + 3
    return start + 3 if lower and data[start + 1] == LONG_S[0] and data[start + 2] == LONG_S[1] else 0


@lean_njit(cache=True, nogil=True)
def _white_space(data: Any, start: int, end: int, classes: Any) -> int:
    """To the last line end of the white space; without one all of it, but for the last character if a word follows."""
    i, last, behind_line = start, start, 0
    while i < end:
        kind, after = _character(data, i, classes)
        if kind < SPACE:
            break
        if kind == NEWLINE:
            behind_line = after
        i, last = after, i
    if behind_line:
        return behind_line
    return i if i == end or last == start else last
