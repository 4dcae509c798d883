"""Compiled: what of a page's source is shown, once it is decided which elements go. No formula goes with them for good.

One may go only in a link, and where the same formula is shown elsewhere: a table of contents repeats the headings. Of menus,
sidebars and footers the blocks with any other formula stay, each without what surrounds it.

resiliparse indents all that follows an item outside of <ul> and <ol>, as if it were code, and glues cells outside of tables:
where the list or table is not shown, items and cells are written as paragraphs.
"""

from typing import Any

import numpy as np

from curation.compiled import lean_njit, njit
from curation.extract.nesting import END, FLAGS, NOTHING, OPENS, OWNER, PARENT, START, STOP, TOO_DEEP
from curation.extract.vocabulary import BULLETS, CELL, INLINE, ITEM, LINK, LIST, RAW, ROW, SECTION, TABLE, UNSEEN
from curation.extract.weights import IDENTITY, SPAN_START, SPAN_STOP, WEIGHT, element_after

NO_SPAN, PARAGRAPH_TAG = -1, -2  # what takes the place of a range that no span does: nothing; <p>, or </p> for a closing tag


@njit(cache=True)
def cuts(data: Any, tags: Any, spans: Any, holders: Any, is_dropped: Any, top: int) -> Any:
    """Ranges of the source to leave out or to replace, in order: start, stop, and the span that takes its place, NO_SPAN
    or PARAGRAPH_TAG. `top` holds all that is shown, -1 being the page, but for formulas; `holders`: what holds each span.
    """
    is_seen = _seen(tags, is_dropped, top)
    _show_formulas(tags, spans, holders, is_seen)
    return _cuts(tags, spans, is_seen, _loose(tags, is_seen), len(data))


@njit(cache=True)
def _seen(tags: Any, is_dropped: Any, top: int) -> Any:
    """Whether an element is shown; the last row is the page itself."""
    is_seen = np.zeros(len(tags) + 1, np.bool_)
    is_seen[-1] = top < 0
    for row in range(len(tags)):
        if tags[row, OWNER] == OPENS and not is_dropped[row] and not tags[row, FLAGS] & UNSEEN:
            is_seen[row] = row == top or is_seen[tags[row, PARENT]]
    return is_seen


@njit(cache=True)
def _show_formulas(tags: Any, spans: Any, holders: Any, is_seen: Any) -> None:
    """Shows the block of each formula that is in no link or shown nowhere else, but for blocks that no reader sees."""
    is_unseen = np.zeros(len(tags) + 1, np.bool_)
    is_linked = np.zeros(len(tags) + 1, np.bool_)
    is_kept = np.zeros(len(tags) + 1, np.bool_)
    for row in range(len(tags)):
        if tags[row, OWNER] == OPENS:
            is_unseen[row] = tags[row, FLAGS] & UNSEEN != 0 or is_unseen[tags[row, PARENT]]
            is_linked[row] = tags[row, FLAGS] & LINK != 0 or is_linked[tags[row, PARENT]]
    is_shown = np.zeros(len(spans) + 1, np.bool_)
    for span in range(len(spans)):
        is_shown[spans[span, IDENTITY]] |= is_seen[holders[span]]
    for span in range(len(spans)):
        identity, block = spans[span, IDENTITY], holders[span]
        if identity < 0 or is_unseen[block] or is_seen[block] or (is_linked[block] and is_shown[identity]):
            continue
        while 0 <= block < len(tags) and tags[block, FLAGS] & INLINE:
            block = tags[block, PARENT]
        is_kept[block] = is_shown[identity] = True
    is_seen[-1] |= is_kept[-1]
    for row in range(len(tags)):
        if tags[row, OWNER] == OPENS and not is_unseen[row]:
            is_kept[row] |= tags[row, FLAGS] & INLINE != 0 and is_kept[tags[row, PARENT]]
            is_seen[row] |= is_kept[row]


@njit(cache=True)
def _loose(tags: Any, is_seen: Any) -> Any:
    """Whether an element is an item of a list that is not shown, or a part of such a table; or of none at all."""
    is_loose = np.zeros(len(tags), np.bool_)
    around = np.zeros(len(tags) + 1, np.int32)  # of BULLETS and TABLE, what is shown around each element's content
    for row in range(len(tags)):
        if tags[row, OWNER] != OPENS:
            continue
        flags, parent = tags[row, FLAGS], tags[row, PARENT]
        needs = BULLETS if flags & ITEM else TABLE if flags & (CELL | ROW | SECTION) else 0
        is_loose[row] = needs & ~around[parent] != 0
        around[row] = around[parent] & ~(BULLETS if flags & LIST else flags & TABLE)
        if is_seen[row]:
            around[row] |= flags & (BULLETS | TABLE)
    return is_loose


@njit(cache=True)
def _cuts(tags: Any, spans: Any, is_seen: Any, is_loose: Any, size: int) -> Any:
    """A formula stands in the element around it, a tag that is written differently goes with its own element."""
    found = np.full((2 * len(tags) + len(spans) + 2, 3), NO_SPAN, np.int32)
    num_found = position = span = 0
    element = len(tags)
    for row in range(len(tags) + 1):
        first = tags[row, START] if row < len(tags) else size
        is_shown = row < len(tags) and _is_shown(tags, row, is_seen, element)
        is_paragraph = is_shown and _is_paragraph(tags, row, is_loose)
        if not is_seen[element] and first > position:
            num_found, position = _cut(found, num_found, position, first, NO_SPAN), first
        while span < len(spans) and spans[span, SPAN_START] <= first:
            start = spans[span, SPAN_START]
            is_text = start < first or spans[span, WEIGHT] > 0
            if start >= position and (is_seen[element] if is_text else is_shown and not is_paragraph):
                position = spans[span, SPAN_STOP]
                num_found = _cut(found, num_found, start, position, span)
            span += 1
        if row == len(tags):
            break
        if first >= position:
            position = tags[row, STOP] if tags[row, FLAGS] & RAW and tags[row, OWNER] == OPENS else tags[row, END]
            if is_paragraph or not is_shown:
                num_found = _cut(found, num_found, first, position, PARAGRAPH_TAG if is_paragraph else NO_SPAN)
        element = element_after(tags, row, element)
    return found[:num_found]


@lean_njit(cache=True)
def _is_shown(tags: Any, row: int, is_seen: Any, element: int) -> Any:
    """Whether this tag is. Of an element too deep only the tags go, and not what it holds."""
    owner = tags[row, OWNER]
    if owner == NOTHING:
        return is_seen[element]
    return owner != TOO_DEEP and is_seen[row if owner == OPENS else owner]


@lean_njit(cache=True)
def _is_paragraph(tags: Any, row: int, is_loose: Any) -> Any:
    """Whether this tag opens or closes a loose element."""
    owner = tags[row, OWNER]
    return is_loose[row] if owner == OPENS else owner >= 0 and is_loose[owner]


@lean_njit(cache=True)
def _cut(found: Any, num_found: int, start: int, stop: int, span: int) -> int:
    """One more range, or the last one longer."""
    if span == NO_SPAN and num_found and found[num_found - 1, 1] == start and found[num_found - 1, 2] == NO_SPAN:
        found[num_found - 1, 1] = stop
        return num_found
    found[num_found, 0], found[num_found, 1], found[num_found, 2] = start, stop, span
    return num_found + 1
