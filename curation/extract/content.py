"""Which parts of a page are its content: decided on the weights of elements, without a tree of objects.

Furniture (navigation, banners, comments, what classes name so) goes first, unless it holds most of the page. The core is the
innermost element with all other formulas and most of the text in good blocks; of what stands before it the lead is kept. In the
core, lists and blocks that are mostly links go. A formula outside of a link never goes, nor the block around it, and furniture
with more than a few stays whole; of the formulas in links, `cuts` keeps those that stand nowhere else.

Measured against resiliparse's main content and trafilatura on the gold of trafilatura, Scrapinghub's article-extraction-benchmark
and Mozilla's readability: `python -m curation.benchmark extract --data FOLDER`.
"""

from typing import Any

import numpy as np

from curation.compiled import lean_njit, njit
from curation.extract.attributes import SPACES
from curation.extract.cuts import cuts
from curation.extract.nesting import END, FLAGS, INSIDE_STOP, OPENS, OWNER, PARENT, START, STOP, TAG
from curation.extract.vocabulary import (
    CELL,
    COMMENT,
    CONTENT,
    FIGURE,
    FURNITURE,
    GUTTER,
    HEADING,
    HIDDEN,
    INLINE,
    ITEM,
    LABEL,
    LIST,
    MAIN,
    PAGE,
    PARAGRAPH,
    ROW,
    SECTION,
    TABLE,
    TITLE,
    VERBATIM,
)
from curation.extract.weights import (
    FORMULAS,
    GOOD,
    LINKED,
    LINKED_FORMULAS,
    OWN,
    OWN_FORMULAS,
    OWN_LINKED,
    TEXT,
    add_up,
    flags_inside,
    weigh,
)

# Shares of a page's text above which an element is not what its class or attribute says: wrappers have such names too
MAX_HIDDEN, MAX_FURNITURE, MAX_FURNITURE_AROUND_MAIN, MAX_COMMENTS = 0.8, 0.4, 0.3, 0.7
MAX_STRAY_FORMULAS = 3  # in furniture: with more it is content, an exercise on cookies whose id says so
MAX_LABEL_CHARS = 300  # dates, authors, tags, captions
MAX_FIGURE_CHARS = 500
MIN_GOOD_CHARS = 40  # of a block that counts as prose: shorter ones are as often buttons and teasers
MAX_LINKED = 0.5
MAX_LINKED_PARAGRAPH, MAX_LINKED_TABLE = 0.6, 0.8  # paragraphs and tables have more links than other content
MIN_MARKED, MIN_OF_OUTER_MARK = 0.3, 0.7  # of the good text, in an element marked as content
MIN_DESCENT = 0.75  # of the good text, in the child that becomes the core
MAX_CLIMB, MAX_CLIMBED_TEXT, MIN_LEAD = 4, 1.5, 0.5
# A core with too little is doubted: others are taken, first with short blocks for prose, then without a look at classes, if they
# give much more
TOO_LITTLE, MUCH_MORE, MIN_SHORT_CHARS = 250, 2, 4
_LT, _GT, _ZERO, _NINE = (ord(character) for character in "<>09")


@njit(cache=True)
def choose(data: Any, tags: Any, spans: Any) -> Any:
    """Ranges of the source to leave out or to replace, as `cuts` gives them."""
    is_dropped, core, weight, holders = _choose(data, tags, spans, True, MIN_GOOD_CHARS)
    for with_classes, min_good_chars in ((True, MIN_SHORT_CHARS), (False, MIN_GOOD_CHARS)):
        if weight < TOO_LITTLE:
            more_dropped, more_core, more_weight, _ = _choose(data, tags, spans, with_classes, min_good_chars)
            if more_weight > MUCH_MORE * weight:
                is_dropped, core, weight = more_dropped, more_core, more_weight
    if weight == 0:  # all of it short, or links
        core = -1
        is_dropped[:] = False
    return cuts(data, tags, spans, holders, is_dropped, core)


@njit(cache=True)
def _choose(data: Any, tags: Any, spans: Any, with_classes: bool, min_good_chars: int) -> Any:
    """Elements to drop, the element that holds the rest (-1: the page), its good text, the elements that hold the spans."""
    is_dropped = np.zeros(len(tags) + 1, np.bool_)
    weights, holder, span_holder = weigh(data, tags, spans, is_dropped)
    inside = flags_inside(tags)
    if inside[-1] & GUTTER:
        _drop_gutters(data, tags, is_dropped)
    if with_classes:
        before = weights.copy()
        add_up(tags, before, is_dropped)
        _drop_furniture(tags, before, inside, is_dropped)
    _find_good(tags, weights, is_dropped, min_good_chars)
    add_up(tags, weights, is_dropped)
    core = _core(tags, weights, is_dropped)
    top = _climb(tags, weights, core)
    _drop_around(tags, weights, inside, is_dropped, core, top)
    _drop_links(tags, weights, is_dropped, core, top)
    _drop_bare_headings(tags, weights, holder, is_dropped, top)
    return is_dropped, top, weights[core, GOOD], span_holder


@lean_njit(cache=True)
def _drop_furniture(tags: Any, weights: Any, inside: Any, is_dropped: Any) -> None:
    page = max(1, weights[-1, TEXT])
    for row in range(len(tags)):
        if tags[row, OWNER] != OPENS or is_dropped[row]:
            continue
        if is_dropped[tags[row, PARENT]]:
            is_dropped[row] = True
            continue
        flags, length = tags[row, FLAGS], weights[row, TEXT]
        is_cut = flags & FURNITURE and not flags & (INLINE | PARAGRAPH | HEADING)  # of those nothing would be left out
        if flags & PAGE or weights[row, FORMULAS] > (MAX_STRAY_FORMULAS if is_cut else 0):
            continue
        share = length / page
        holds_main = inside[row] & (MAIN | CONTENT | TITLE) != 0
        is_furniture = share < (MAX_FURNITURE_AROUND_MAIN if holds_main else MAX_FURNITURE)
        is_label = length < MAX_LABEL_CHARS and not flags & INLINE
        is_picture = length < MAX_FIGURE_CHARS and not inside[row] & (TABLE | VERBATIM)
        is_dropped[row] = flags & FURNITURE and is_furniture
        if weights[row, FORMULAS]:
            continue
        is_dropped[row] |= (
            (flags & HIDDEN and share < MAX_HIDDEN)
            or (flags & COMMENT and share < MAX_COMMENTS)
            or (flags & LABEL and is_label)
            or (flags & FIGURE and is_picture)
        )


@lean_njit(cache=True)
def _drop_gutters(data: Any, tags: Any, is_dropped: Any) -> None:
    """Line numbers beside code: elements of such a class that hold nothing but digits. No character is looked at three times."""
    other = -1  # the last one found that is no digit
    for row in range(len(tags)):
        is_named = tags[row, OWNER] == OPENS and tags[row, FLAGS] & GUTTER != 0
        if not is_named or tags[row, END] <= other < tags[row, INSIDE_STOP] or is_dropped[tags[row, PARENT]]:
            continue
        position, num_digits = tags[row, END], 0
        while position < tags[row, INSIDE_STOP]:
            character = data[position]
            if character == _LT:
                while position < tags[row, INSIDE_STOP] and data[position] != _GT:
                    position += 1
            elif not SPACES[character] and not _ZERO <= character <= _NINE:
                other = position
                break
            num_digits += _ZERO <= character <= _NINE
            position += 1
        is_dropped[row] = num_digits > 0 and position >= tags[row, INSIDE_STOP]


@lean_njit(cache=True)
def _find_good(tags: Any, weights: Any, is_dropped: Any, min_chars: int) -> None:
    """Blocks of prose: long enough or with a formula, and not mostly links."""
    for row in range(len(tags)):
        if is_dropped[tags[row, PARENT]]:
            is_dropped[row] = True
        if tags[row, OWNER] != OPENS or is_dropped[row] or tags[row, FLAGS] & (INLINE | HEADING):
            continue
        own = weights[row, OWN]
        if weights[row, OWN_FORMULAS] or (own >= min_chars and weights[row, OWN_LINKED] < MAX_LINKED * own):
            weights[row, GOOD] = own


@njit(cache=True)
def _core(tags: Any, weights: Any, is_dropped: Any) -> int:
    """The innermost element with all formulas and most good text, from the one on that is marked as content."""
    core, marked = -1, 0
    best = np.full(len(tags) + 1, -1)
    for row in range(len(tags)):
        good, flags, parent = weights[row, GOOD], tags[row, FLAGS], tags[row, PARENT]
        if tags[row, OWNER] != OPENS or is_dropped[row] or weights[row, FORMULAS] < weights[-1, FORMULAS]:
            continue
        if best[parent] < 0 or good > weights[best[parent], GOOD]:
            best[parent] = row
        if flags & (MAIN | CONTENT) and good >= MIN_MARKED * weights[-1, GOOD] and good >= MIN_OF_OUTER_MARK * marked:
            core, marked = row, good
    while True:
        child = best[core]
        if child < 0 or weights[child, GOOD] < MIN_DESCENT * weights[core, GOOD]:
            return core
        if tags[child, FLAGS] & (PARAGRAPH | LIST | INLINE | ITEM | TABLE | ROW | CELL | VERBATIM):
            return core
        core = child


@lean_njit(cache=True)
def _climb(tags: Any, weights: Any, core: int) -> int:
    """The element around the core in which a lead is looked for."""
    top = core
    for _ in range(MAX_CLIMB):
        parent = tags[top, PARENT] if top >= 0 else -1
        if parent < 0 or tags[parent, FLAGS] & PAGE or weights[parent, GOOD] > MAX_CLIMBED_TEXT * weights[core, GOOD]:
            return top
        top = parent
        if tags[top, FLAGS] & MAIN:
            return top
    return top


@lean_njit(cache=True)
def _drop_around(tags: Any, weights: Any, inside: Any, is_dropped: Any, core: int, top: int) -> None:
    """Around the core nothing stays but prose and the title before it."""
    if core == top:
        return
    for row in range(top + 1, len(tags)):
        start, stop = tags[row, START], tags[row, STOP]
        if start >= tags[top, STOP]:
            return
        is_related = start <= tags[core, START] < stop or tags[core, START] <= start < tags[core, STOP]
        if tags[row, OWNER] != OPENS or is_dropped[row] or is_related:
            continue
        is_lead = weights[row, GOOD] >= MIN_LEAD * weights[row, TEXT] or inside[row] & TITLE or tags[row, FLAGS] & INLINE
        is_dropped[row] = start > tags[core, START] or not is_lead


@lean_njit(cache=True)
def _drop_links(tags: Any, weights: Any, is_dropped: Any, core: int, top: int) -> None:
    for row in range(top + 1, len(tags)):
        if top >= 0 and tags[row, START] >= tags[top, STOP]:
            return
        is_dropped[row] |= is_dropped[tags[row, PARENT]]
        flags, length = tags[row, FLAGS], weights[row, TEXT]
        if tags[row, OWNER] != OPENS or is_dropped[row] or weights[row, FORMULAS] or not length:
            continue
        holds_core = core >= 0 and tags[row, START] <= tags[core, START] < tags[row, STOP]
        if holds_core or flags & (INLINE | ITEM | ROW | CELL | SECTION):
            continue
        if weights[row, LINKED_FORMULAS] and not flags & LIST:
            continue
        limit = MAX_LINKED_PARAGRAPH if flags & PARAGRAPH else MAX_LINKED_TABLE if flags & TABLE else MAX_LINKED
        is_dropped[row] = weights[row, LINKED] > limit * length


@lean_njit(cache=True)
def _drop_bare_headings(tags: Any, weights: Any, holder: Any, is_dropped: Any, top: int) -> None:
    """Headings that another of the same rank follows, or the end: what they announced was dropped. Titles stay."""
    heading = -1
    for row in range(top + 1, len(tags) + 1):
        is_past = row == len(tags) or (top >= 0 and tags[row, START] >= tags[top, STOP])
        is_text = holder[row] >= 0 and not is_dropped[holder[row]]
        if is_text and heading >= 0 and (is_past or tags[row, START] >= tags[heading, STOP]):
            heading = -1
        if is_past:
            break
        if tags[row, OWNER] != OPENS or is_dropped[row] or not tags[row, FLAGS] & HEADING or tags[row, FLAGS] & TITLE:
            continue
        if heading >= 0 and tags[row, TAG] <= tags[heading, TAG]:  # h2 is known by a lower number than h3
            is_dropped[heading] = not weights[heading, FORMULAS] and not weights[heading, LINKED_FORMULAS]
        heading = row
    if heading >= 0:
        is_dropped[heading] = not weights[heading, FORMULAS] and not weights[heading, LINKED_FORMULAS]
