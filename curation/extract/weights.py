"""Compiled: how much text, linked text and formulas each element of a page holds."""

from typing import Any

import numpy as np

from curation.compiled import lean_njit, njit
from curation.extract.attributes import SPACES
from curation.extract.nesting import END, FLAGS, OPENS, OWNER, PARENT, START, STOP
from curation.extract.vocabulary import INLINE, LINK, RAW, UNSEEN, VOID

# Columns of an element's weights, in characters other than spaces. OWN: of a block, without the blocks in it.
TEXT, LINKED, GOOD, FORMULAS, LINKED_FORMULAS, OWN, OWN_LINKED, OWN_FORMULAS = range(8)
NUM_SUMMED = 5
# Columns of a span of the source that is written differently: a formula, or a tag (which weighs nothing). IDENTITY: the same
# number for the same formula, -1 for none.
SPAN_START, SPAN_STOP, WEIGHT, IDENTITY = range(4)

# What stands for a character outside Latin-1. It counts twice: twenty Chinese characters say as much as forty letters.
_BEYOND_LATIN = ord("?")


@njit(cache=True)
def weigh(data: Any, tags: Any, spans: Any, is_dropped: Any) -> Any:
    """Weights of each element, those of its descendants not yet added: the last row is the page itself, the parent of all.
    And the element that holds the text right before each tag, -2 where there is none; and the one that holds each span.

    Sets `is_dropped` of elements whose content no reader sees, and of all in them.
    """
    num_tags = len(tags)
    weights = np.zeros((num_tags + 1, 8), np.int64)
    is_linked = np.zeros(num_tags + 1, np.bool_)
    block = np.full(num_tags + 1, num_tags)
    holder = np.full(num_tags + 1, -2)
    span_holder = np.full(len(spans), num_tags)
    position = span = 0
    element = num_tags
    for row in range(num_tags + 1):
        start = tags[row, START] if row < num_tags else len(data)
        before = weights[element, TEXT]
        while span < len(spans) and spans[span, SPAN_START] <= start:
            _add(weights, element, block, is_linked, is_dropped, _length(data, position, spans[span, SPAN_START]))
            _add(weights, element, block, is_linked, is_dropped, spans[span, WEIGHT])
            span_holder[span] = element
            is_seen = spans[span, WEIGHT] > 0 and not is_dropped[element]
            is_formula = is_seen and not is_linked[element]
            weights[element, LINKED_FORMULAS] += is_seen and is_linked[element]
            weights[element, FORMULAS] += is_formula
            weights[block[element], OWN_FORMULAS] += is_formula
            position = max(position, spans[span, SPAN_STOP])
            span += 1
        _add(weights, element, block, is_linked, is_dropped, _length(data, position, start))
        if weights[element, TEXT] > before:
            holder[row] = element
        if row == num_tags:
            break
        flags, parent = tags[row, FLAGS], tags[row, PARENT]
        position = max(position, tags[row, STOP] if flags & RAW else tags[row, END])
        if tags[row, OWNER] == OPENS:
            is_dropped[row] = is_dropped[parent] or flags & UNSEEN != 0
            is_linked[row] = is_linked[parent] or flags & LINK != 0
            block[row] = (block[parent] if parent >= 0 else num_tags) if flags & INLINE else row
        element = element_after(tags, row, element)
    return weights, holder, span_holder


@lean_njit(cache=True)
def element_after(tags: Any, row: int, element: int) -> int:
    """The element that holds what follows this tag, after `element` held what stands before it. The page is the last row."""
    parent = tags[row, PARENT]
    if tags[row, OWNER] == OPENS:
        element = row if tags[row, STOP] > tags[row, END] and not tags[row, FLAGS] & (VOID | RAW) else parent
    elif tags[row, OWNER] >= 0:
        element = parent
    return element if element >= 0 else len(tags)


@lean_njit(cache=True)
def add_up(tags: Any, weights: Any, is_dropped: Any) -> None:
    """Adds the weights of elements that are not dropped to those around them."""
    for row in range(len(tags) - 1, -1, -1):
        if tags[row, OWNER] == OPENS and not is_dropped[row]:
            for column in range(NUM_SUMMED):
                weights[tags[row, PARENT], column] += weights[row, column]  # PARENT -1 is the last row: the page


@njit(cache=True)
def flags_inside(tags: Any) -> Any:
    """Flags of each element and of all in it."""
    flags = np.zeros(len(tags) + 1, np.int32)
    for row in range(len(tags) - 1, -1, -1):
        if tags[row, OWNER] == OPENS:
            flags[row] |= tags[row, FLAGS]
            flags[tags[row, PARENT]] |= flags[row]
    return flags


@lean_njit(cache=True)
def _add(weights: Any, element: int, block: Any, is_linked: Any, is_dropped: Any, length: int) -> None:
    if length <= 0 or is_dropped[element]:
        return
    weights[element, TEXT] += length
    weights[block[element], OWN] += length
    if is_linked[element]:
        weights[element, LINKED] += length
        weights[block[element], OWN_LINKED] += length


@lean_njit(cache=True)
def _length(data: Any, start: int, stop: int) -> int:
    length = 0
    for position in range(start, stop):
        length += 2 if data[position] == _BEYOND_LATIN else not SPACES[data[position]]
    return length
