"""The tree of a page while it is read, compiled: which elements are open, and where each ends.

Elements end where browsers end them, unasked as well; misnested markup is not repaired as browsers do. A tag below the limits of
depth is on record, but what it opens hangs on the element above.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.compiled import lean_njit
from curation.extract.vocabulary import (
    CELL,
    INLINE,
    ITEM,
    LINK,
    LIST,
    OPTION,
    PARAGRAPH,
    ROW,
    SECTION,
    TABLE,
    TERM,
    VERBATIM,
)

# Real pages stay below 100 nested elements; resiliparse takes time in proportion to a block's depth.
MAX_DEPTH = 200
MAX_LISTS = 40  # of them lists and items, which resiliparse indents by their depth: no real page comes near
# Columns of a tag. STOP is the end of the element, INSIDE_STOP that of its content; OWNER of a closing tag is what it closes.
START, END, TAG, FLAGS, PARENT, INSIDE_STOP, STOP, OWNER = range(8)
COMMENT_TAG = 0  # also <!doctype> and <?xml?>
OPENS, NOTHING, TOO_DEEP = -1, -2, -3  # as OWNER: no closing tag; one that closes nothing; one of an element too deep

Columns = npt.NDArray[np.int32]

# Counters: tags read, open elements, delimiters found, open verbatim elements, open lists and items
ROWS, DEPTH, FOUND, IN_VERBATIM, IN_LISTS = range(5)


class State(NamedTuple):
    """What grows while a page is read; the last three by the number of open elements, and of a tag."""

    tags: Columns
    delimiters: Columns
    counters: npt.NDArray[np.int64]
    stack: Columns
    num_open: Columns
    num_too_deep: Columns


@lean_njit(cache=True)
def add(state: Any, start: int, end: int, number: int, flags: int) -> Any:
    row, depth = state.counters[ROWS], state.counters[DEPTH]
    tag = state.tags[row]
    tag[START], tag[END], tag[TAG], tag[FLAGS] = start, end, number, flags
    tag[PARENT] = state.stack[depth - 1] if depth else -1
    tag[OWNER] = OPENS
    state.counters[ROWS] += 1
    return row


@lean_njit(cache=True)
def push(state: Any, row: int) -> None:
    number, depth = state.tags[row, TAG], state.counters[DEPTH]
    is_list = state.tags[row, FLAGS] & (LIST | ITEM) != 0
    if depth == MAX_DEPTH or (is_list and state.counters[IN_LISTS] == MAX_LISTS):
        state.num_too_deep[number] += 1
        state.tags[row, OWNER] = TOO_DEEP
        return
    state.stack[depth] = row
    state.counters[DEPTH] += 1
    state.num_open[number] += 1
    state.counters[IN_VERBATIM] += state.tags[row, FLAGS] & VERBATIM != 0
    state.counters[IN_LISTS] += is_list


@lean_njit(cache=True)
def pop(state: Any, depth: int, position: int, traits: Any) -> None:
    """Ends the elements deeper than `depth` at `position`."""
    while state.counters[DEPTH] > depth:
        state.counters[DEPTH] -= 1
        tag = state.tags[state.stack[state.counters[DEPTH]]]
        tag[INSIDE_STOP] = tag[STOP] = position
        state.num_open[tag[TAG]] -= 1
        state.counters[IN_VERBATIM] -= traits[tag[TAG]] & VERBATIM != 0
        state.counters[IN_LISTS] -= traits[tag[TAG]] & (LIST | ITEM) != 0


@lean_njit(cache=True)
def close(state: Any, row: int, traits: Any) -> None:
    tag = state.tags[row]
    number, start = tag[TAG], tag[START]
    tag[INSIDE_STOP] = tag[STOP] = tag[END]
    tag[OWNER] = NOTHING
    if state.num_too_deep[number]:
        state.num_too_deep[number] -= 1
        tag[OWNER] = TOO_DEEP
        return
    if not state.num_open[number]:
        return
    wall = TABLE if traits[number] & (CELL | ROW | SECTION | TABLE) else CELL
    for depth in range(state.counters[DEPTH] - 1, -1, -1):
        opened = state.stack[depth]
        if state.tags[opened, TAG] == number:
            pop(state, depth, start, traits)
            state.tags[opened, STOP] = tag[END]
            tag[OWNER], tag[PARENT] = opened, state.tags[opened, PARENT]
            return
        if traits[state.tags[opened, TAG]] & wall:
            return


@lean_njit(cache=True)
def end_unasked(state: Any, flags: int, position: int, traits: Any) -> None:
    """Ends the elements that a new one cannot stand in: a paragraph before a block, an item or row before the next."""
    ends, wall = _ended(flags)
    depth = cut = state.counters[DEPTH]
    while ends and depth:
        depth -= 1
        kind = traits[state.tags[state.stack[depth], TAG]]
        if kind & wall or (wall == 0 and not kind & (INLINE | ends)):
            break
        if kind & ends:
            cut = depth
    pop(state, cut, position, traits)


@lean_njit(cache=True)
def _ended(flags: int) -> Any:
    """Kinds of elements that end before a new one, and those at which the search for them ends; 0: at any other block."""
    if flags & ITEM:
        return ITEM | PARAGRAPH, LIST | CELL | TABLE
    if flags & TERM:
        return TERM | PARAGRAPH, LIST | CELL | TABLE
    if flags & CELL:
        return CELL, ROW | TABLE
    if flags & ROW:
        return ROW | CELL, TABLE
    if flags & SECTION:
        return SECTION | ROW | CELL, TABLE
    if flags & OPTION:
        return OPTION, 0
    if flags & LINK:
        return LINK, 0
    return 0 if flags & INLINE else PARAGRAPH, 0
