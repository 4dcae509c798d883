"""Compiled readers of one tag: its name, the marks that its attributes give it."""

from typing import Any

import numpy as np

from curation.compiled import lean_njit
from curation.extract.vocabulary import (
    ADDRESS,
    ALT,
    ARTICLE,
    BODY,
    CONTENT,
    FIRST_OWN_TAG,
    FNV_BASIS,
    FNV_PRIME,
    FORMULA,
    HIDDEN,
    IS_HIDDEN,
    LATEX,
    NUM_TAGS,
    STYLE,
    fnv,
)

SPACES = np.array([character in b" \t\n\r\f" for character in range(256)])
LETTERS = np.array([chr(character).isalpha() and character < 128 for character in range(256)])
# Tables in place of comparisons: no processor foretells where a name ends, and each wrong guess costs as much as ten characters
_IN_TAG_NAME = LETTERS | np.array([character in b"0123456789-" for character in range(256)])
_ENDS_NAME = SPACES | np.array([character in b"=>/" for character in range(256)])
_LOWER = np.array([ord(chr(character).lower()) if character < 128 else character for character in range(256)], np.uint64)

_BASIS, _PRIME = np.uint64(FNV_BASIS), np.uint64(FNV_PRIME)
_DISPLAY, _NONE, _VISIBILITY, _HIDDEN = (np.uint64(fnv(word)) for word in ("display", "none", "visibility", "hidden"))
_GT, _SLASH, _EQUALS, _DASH, _COLON, _QUOTE, _APOSTROPHE = (ord(character) for character in ">/=-:\"'")
_DOLLAR, _BACKSLASH = ord("$"), ord("\\")


@lean_njit(cache=True, inline="always")
def _hashed(value: Any, character: Any) -> Any:
    """The hash so far and one more character, in lower case."""
    return (value ^ _LOWER[character]) * _PRIME


@lean_njit(cache=True)
def look_up(key: Any, table: Any) -> Any:
    """The value of a hash in a table of the vocabulary; 0 if it is not there."""
    keys, values = table
    slot = np.int64(key & np.uint64(len(keys) - 1))
    while keys[slot]:
        if keys[slot] == key:
            return values[slot]
        slot = (slot + 1) & (len(keys) - 1)
    return values.dtype.type(0)


@lean_njit(cache=True)
def tag_name(data: Any, position: int, tags: Any) -> Any:
    """Number of the tag whose name begins here, and where the name ends. 0 if it is none.

    Stricter than browsers, which take every letter after "<" for a tag: in "x<y and z>0" there is none.
    """
    size = len(data)
    value, is_own = _BASIS, False
    if position >= size or not LETTERS[data[position]]:
        return 0, position
    while position < size:
        character = data[position]
        if _IN_TAG_NAME[character]:
            is_own |= character == _DASH
            value = _hashed(value, character)
        elif character == _COLON:  # <mml:math>, <m:math>
            value = _BASIS
        else:
            break
        position += 1
    if position < size and (not _ENDS_NAME[data[position]] or data[position] == _EQUALS):
        return 0, position
    number = np.int64(look_up(value, tags))
    if number == 0 and is_own:
        number = FIRST_OWN_TAG + np.int64(value % np.uint64(NUM_TAGS - FIRST_OWN_TAG))
    return number, position


@lean_njit(cache=True)
def read_attributes(data: Any, position: int, attributes: Any, words: Any) -> Any:
    """Where the tag ends whose attributes begin here, and its flags."""
    size, flags = len(data), 0
    while position < size:
        character = data[position]
        if character == _GT:
            return position + 1, flags
        if SPACES[character] or character == _SLASH:
            position += 1
            continue
        name, position = _hashed(_BASIS, character), position + 1
        while position < size and not _ENDS_NAME[data[position]]:
            name, position = _hashed(name, data[position]), position + 1
        position = _after_spaces(data, position)
        kind = look_up(name, attributes)
        if position < size and data[position] == _EQUALS:
            start, stop, position = _value(data, _after_spaces(data, position + 1))
            if kind:
                flags |= _marks(data, start, stop, kind, words)
        elif kind == IS_HIDDEN:
            flags |= HIDDEN
    return size, flags


@lean_njit(cache=True)
def _after_spaces(data: Any, position: int) -> Any:
    while position < len(data) and SPACES[data[position]]:
        position += 1
    return position


@lean_njit(cache=True)
def _value(data: Any, position: int) -> Any:
    """Start and end of the value that begins here, and where to read on."""
    size = len(data)
    start = position
    if position < size and (data[position] == _QUOTE or data[position] == _APOSTROPHE):
        quote = data[position]
        position += 1
        while position < size and data[position] != quote:
            position += 1
        return start + 1, position, min(position + 1, size)
    while position < size and data[position] != _GT and not SPACES[data[position]]:
        position += 1
    return start, position, position


@lean_njit(cache=True)
def _marks(data: Any, start: int, stop: int, kind: int, words: Any) -> Any:
    """Flags that the value of an attribute gives."""
    if kind == LATEX:
        return FORMULA if stop > start else 0
    if kind == IS_HIDDEN:
        return HIDDEN
    if kind == ALT:
        for position in range(start, stop):
            if data[position] == _DOLLAR or data[position] == _BACKSLASH:
                return FORMULA
        return 0
    flags = name = 0  # name: of one class, whose words may say more together: article-body
    value = last = _BASIS
    for position in range(start, stop + 1):
        character = data[position] if position < stop else 32
        if LETTERS[character]:
            value = _hashed(value, character)
            continue
        if value != _BASIS:
            if kind == STYLE:
                is_hidden = (last == _DISPLAY and value == _NONE) or (last == _VISIBILITY and value == _HIDDEN)
                flags |= HIDDEN if is_hidden else 0
            else:
                name |= look_up(value, words)
            last, value = value, _BASIS
        if SPACES[character]:
            if name & ARTICLE and name & BODY:
                name |= CONTENT
            flags, name = flags | name, 0
    return flags & FORMULA if kind == ADDRESS else flags
