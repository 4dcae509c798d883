"""The compiled passes of `normalize`: UTF-8 bytes in, folded bytes, words with single spaces between them out."""

from typing import Any

from curation.classifier.text import DROPPED, LETTER
from curation.compiled import njit

MAX_WORD_CHARS = 30  # longer "words" are URLs, hashes and glued text
SPACE, BACKSLASH, APOSTROPHE, RIGHT_QUOTE = 0x20, 0x5C, 0x27, 0x2019


@njit(cache=True, nogil=True)
def folded_bytes(text: Any, ends: Any, starts: Any, depends: Any, found: Any) -> int:
    """How many bytes the folded lines have; found[i] becomes whether line i has a character whose neighbours decide."""
    size = at = 0
    for line in range(len(ends)):
        found[line] = False
        while at < ends[line]:
            if text[at] < 0x80:
                at += 1
                size += 1
                continue
            code, behind = _character(text, at)
            if code < len(depends):
                size += starts[code + 1] - starts[code]
                found[line] |= depends[code]
            else:
                size += behind - at
            at = behind
    return size


@njit(cache=True, nogil=True)
def fold(text: Any, ends: Any, data: Any, starts: Any, written: Any, written_ends: Any) -> None:
    """Each character is replaced by what the table has for it."""
    at = to = 0
    for line in range(len(ends)):
        while at < ends[line]:
            if text[at] < 0x80:
                written[to] = text[at]
                at += 1
                to += 1
                continue
            code, behind = _character(text, at)
            if code < len(starts) - 1:
                for i in range(starts[code], starts[code + 1]):
                    written[to] = data[i]
                    to += 1
            else:
                for i in range(at, behind):
                    written[to] = text[i]
                    to += 1
            at = behind
        written_ends[line] = to


@njit(cache=True, nogil=True)
def write_words(text: Any, ends: Any, kinds: Any, written: Any, written_ends: Any) -> None:
    """Words of text[ends[i - 1] : ends[i]] go to written[written_ends[i - 1] : written_ends[i]]. A word is a LaTeX command,
    letters and digits with single apostrophes between them, or one sign."""
    at = start = 0
    for line in range(len(ends)):
        first, end = at, ends[line]
        while start < end:
            code, stop = _character(text, start)
            num_chars = 1
            if code == BACKSLASH:
                while stop < end and ord("a") <= text[stop] <= ord("z"):
                    stop += 1
                num_chars = stop - start if stop > start + 1 else 0
            elif kinds[code] == LETTER:
                stop, num_chars = _skip_letters(text, start, end, kinds)
            elif kinds[code] == DROPPED:
                num_chars = 0
            if 0 < num_chars <= MAX_WORD_CHARS:
                if at > first:
                    written[at] = SPACE
                    at += 1
                for i in range(start, stop):
                    written[at] = text[i]
                    at += 1
            start = stop
        written_ends[line] = at


@njit(cache=True, nogil=True)
def _skip_letters(text: Any, at: int, end: int, kinds: Any) -> tuple[int, int]:
    """Where a word that begins here with a letter stops, and its characters."""
    num_chars = 0
    while at < end:
        code, behind = _character(text, at)
        if kinds[code] != LETTER and not (
            code in (APOSTROPHE, RIGHT_QUOTE) and behind < end and kinds[_character(text, behind)[0]] == LETTER
        ):
            break
        at = behind
        num_chars += 1
    return at, num_chars


@njit(cache=True, nogil=True, inline="always")
def _character(text: Any, at: int) -> tuple[int, int]:
    """The code point that begins here, and where the next one begins. The text is valid UTF-8."""
    byte = text[at]
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0:
        return (byte & 0x1F) << 6 | text[at + 1] & 0x3F, at + 2
    if byte < 0xF0:
        return (byte & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | text[at + 2] & 0x3F, at + 3
    return (byte & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | text[at + 3] & 0x3F, at + 4
