"""One compiled pass over a page's source: its tags as a tree, and the delimiters of formulas in its text.

Follows browsers' rules for attributes, comments, raw text and elements that end unasked, without their repairs of misnested
markup. A regular expression over all tags takes thirty times as long. Time and memory are proportional to the page's length,
whatever is in it: nothing is looked for twice, and the tree is at most `MAX_DEPTH` deep.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.compiled import lean_njit
from curation.extract.attributes import LETTERS, read_attributes, tag_name
from curation.extract.nesting import (
    COMMENT_TAG,
    FOUND,
    IN_VERBATIM,
    INSIDE_STOP,
    MAX_DEPTH,
    ROWS,
    STOP,
    Columns,
    State,
    add,
    close,
    end_unasked,
    pop,
    push,
)
from curation.extract.vocabulary import (
    DRAWING,
    FORMULA,
    NUM_TAGS,
    RAW,
    UNSEEN,
    VOID,
    vocabulary,
)

MAX_TAGS = 1_000_000  # the source is cut there: real pages of 10 MB have 300,000
_LT, _GT, _SLASH, _BANG, _QUESTION, _DASH, _DOLLAR, _BACKSLASH = (ord(character) for character in "<>/!?-$\\")
_LBRACE, _RBRACE, _STAR = (ord(character) for character in "{}*")
_BRACKETS = np.array([character in b"\\$()[]" for character in range(256)])
_IS_TEXT = np.array([character not in b"<$\\" for character in range(256)])
_MAX_ENVIRONMENT = 30
_BEGIN, _END = (np.frombuffer(word, np.uint8) for word in (b"begin{", b"end{"))


class Scanned(NamedTuple):
    """`html`: the page without NUL, up to its tag number MAX_TAGS where it `is_cut`. `source`: a byte for each of its characters;
    `data`: the same as an array. `tags`: a row for each tag, in order (`nesting`; FLAGS: traits of the tag and marks of its
    attributes). `delimiters`: start and end of each."""

    html: str
    is_cut: bool
    source: bytes
    data: npt.NDArray[np.uint8]
    tags: Columns
    delimiters: Columns


def scan(html: str) -> Scanned:
    """Positions are those of characters in `Scanned.html`."""
    # no character outside ASCII matters here, and all of them are text
    source = html.encode("latin-1", "replace")
    if b"\0" in source:
        html = html.replace("\0", "")
        source = html.encode("latin-1", "replace")
    is_cut = len(source) > MAX_TAGS and source.count(b"<") > MAX_TAGS
    if is_cut:
        end = np.flatnonzero(np.frombuffer(source, np.uint8) == _LT)[MAX_TAGS]
        html, source = html[:end], source[:end]
    data = np.frombuffer(source, np.uint8)
    num_tags, num_delimiters = _count(data)
    state = State(
        np.empty((num_tags, 8), np.int32),
        np.empty((num_delimiters, 2), np.int32),
        np.zeros(5, np.int64),
        np.empty(MAX_DEPTH, np.int32),
        np.zeros(NUM_TAGS, np.int32),
        np.zeros(NUM_TAGS, np.int32),
    )
    _scan(data, vocabulary(), state, np.zeros(NUM_TAGS, np.uint8))
    return Scanned(html, is_cut, source, data, state.tags[: state.counters[ROWS]], state.delimiters[: state.counters[FOUND]])


@lean_njit(cache=True)
def _scan(data: Any, known: Any, state: Any, is_endless: Any) -> None:
    size, position = len(data), 0
    while position < size:
        character = data[position]
        if _IS_TEXT[character]:
            position += 1
        elif character == _LT:
            position = _markup(data, position, known, state, is_endless)
        else:
            end = _delimiter_end(data, position)
            if (end > position + 1 or character == _DOLLAR) and not state.counters[IN_VERBATIM]:
                found = state.counters[FOUND]
                state.delimiters[found, 0], state.delimiters[found, 1] = position, end
                state.counters[FOUND] += 1
            position = end
    pop(state, 0, size, known.traits)


@lean_njit(cache=True)
def _count(data: Any) -> Any:
    """At most so many tags and delimiters."""
    num_tags = num_delimiters = 0
    for character in data:
        num_tags += character == _LT
        num_delimiters += character in (_DOLLAR, _BACKSLASH)
    return num_tags, num_delimiters


@lean_njit(cache=True)
def _delimiter_end(data: Any, position: int) -> Any:
    r"""End of the delimiter that may begin at this $ or \; of \\ and \$ as well, which delimit nothing."""
    size, character = len(data), data[position]
    if position + 1 >= size:
        return position + 1
    following = data[position + 1]
    if character == _DOLLAR:
        return position + 1 + (following == _DOLLAR)
    if _BRACKETS[following]:
        return position + 2
    for word in (_BEGIN, _END):
        start = position + 1 + len(word)
        if start < size and _begins_with(data, position + 1, word):
            end = start
            while end < size and end < start + _MAX_ENVIRONMENT and (LETTERS[data[end]] or data[end] == _STAR):
                end += 1
            return end + 1 if end > start and end < size and data[end] == _RBRACE else position + 1
    return position + 1


@lean_njit(cache=True)
def _begins_with(data: Any, position: int, word: Any) -> bool:
    place = 0
    while place < len(word) and data[position + place] == word[place]:
        place += 1
    return place == len(word)


@lean_njit(cache=True)
def _markup(data: Any, position: int, known: Any, state: Any, is_endless: Any) -> Any:
    """Reads the tag or comment that may begin at this "<"; gives the place to read on."""
    end = _comment_end(data, position)
    if end:
        row = add(state, position, end, COMMENT_TAG, UNSEEN | VOID)
        state.tags[row, INSIDE_STOP] = state.tags[row, STOP] = end
        return end
    is_closing = position + 1 < len(data) and data[position + 1] == _SLASH
    number, end = tag_name(data, position + 1 + is_closing, known.tags)
    if not number:
        return position + 1
    end, flags = read_attributes(data, end, known.attributes, known.words)
    flags |= known.traits[number]
    if is_closing:
        close(state, add(state, position, end, number, flags), known.traits)
        return end
    if flags & RAW and not is_endless[number]:
        inside_stop, stop = _raw_end(data, end, number, known.tags)
        is_endless[number] = inside_stop == len(data)
        if flags & DRAWING and _holds_formula(data, end, inside_stop, known):
            flags &= ~(RAW | UNSEEN)
        elif flags & UNSEEN or not is_endless[number]:
            row = add(state, position, end, number, flags)
            state.tags[row, INSIDE_STOP], state.tags[row, STOP] = inside_stop, stop
            return stop
    end_unasked(state, flags, position, known.traits)
    row = add(state, position, end, number, flags)
    state.tags[row, INSIDE_STOP] = state.tags[row, STOP] = end
    if not flags & VOID:
        push(state, row)
    return end


@lean_njit(cache=True)
def _comment_end(data: Any, position: int) -> Any:
    """End of the comment, doctype or instruction that begins at this "<"; 0 if none does. Without an end it takes the rest."""
    size = len(data)
    if position + 1 >= size or (data[position + 1] != _BANG and data[position + 1] != _QUESTION):
        return 0
    is_comment = position + 3 < size and data[position + 2] == _DASH and data[position + 3] == _DASH
    end = position + 2
    while end < size:  # "<!-->" is a whole comment
        if data[end] == _GT and (not is_comment or (data[end - 1] == _DASH and data[end - 2] == _DASH)):
            return end + 1
        end += 1
    return size


@lean_njit(cache=True)
def _raw_end(data: Any, position: int, number: int, tags: Any) -> Any:
    """Where the content of a raw element ends, and its closing tag; the size of the page twice if it is not closed."""
    size = len(data)
    while position + 1 < size:
        if data[position] == _LT and data[position + 1] == _SLASH:
            found, end = tag_name(data, position + 2, tags)
            if found == number:
                while end < size and data[end] != _GT:
                    end += 1
                return position, min(end + 1, size)
        position += 1
    return size, size


@lean_njit(cache=True)
def _holds_formula(data: Any, position: int, stop: int, known: Any) -> bool:
    """Whether a drawing has labels in MathML."""
    while position < stop:
        if data[position] == _LT:
            number, _ = tag_name(data, position + 1, known.tags)
            if number and known.traits[number] & FORMULA and known.traits[number] & RAW:
                return True
        position += 1
    return False
