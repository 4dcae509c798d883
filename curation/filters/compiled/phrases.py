"""Lines that hold a phrase of a list, as whole words: one row of counts a document.

The phrases are a tree: `tree[node, symbol]` is the next node, `symbols[point]` the symbol of a character. A search begins at
every character that no letter or digit stands before, and mostly ends with the second one.
"""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Symbols = NDArray[np.uint16]
Nodes = NDArray[np.int32]
SPACE, LINE_BREAK, WORD = 1, 16, 64  # bits of curation.filters.characters
ON_PAGE, ON_LINE = 1, 2  # bits of `ends`: a phrase that tells of its page, or of its line
COLUMNS = ("num_lines", "num_phrase_lines", "has_page_phrase")


@njit(cache=True, nogil=True)
def _phrases_at(points: Points, i: int, end: int, classes: Bytes, symbols: Symbols, tree: Nodes, ends: Bytes) -> int:
    """The kinds of the phrases that begin at i."""
    node, found = 0, 0
    while i < end:
        node = tree[node, symbols[points[i]]]
        if not node:
            return found
        i += 1
        if ends[node] and (i >= end or not classes[points[i]] & WORD):
            found |= ends[node]
    return found


@njit(cache=True, nogil=True)
def find_phrases(
    points: Points, offsets: Integers, classes: Bytes, symbols: Symbols, tree: Nodes, ends: Bytes, max_line_words: int
) -> Integers:
    """Lines of more than `max_line_words` never count: one that mentions cookies is a paragraph of an article."""
    counts = np.zeros((len(offsets) - 1, 3), np.int64)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            num_words, found, is_in_word, may_begin = 0, 0, False, True
            while i < end:
                point = points[i]
                bits = classes[point]
                if bits & LINE_BREAK:
                    break
                if bits & SPACE:
                    is_in_word = False
                elif not is_in_word:
                    is_in_word = True
                    num_words += 1
                if may_begin and tree[0, symbols[point]]:
                    found |= _phrases_at(points, i, end, classes, symbols, tree, ends)
                may_begin = not bits & WORD
                i += 1
            counts[d, 0] += num_words > 0
            counts[d, 1] += (found & ON_LINE) != 0 and num_words <= max_line_words
            counts[d, 2] |= found & ON_PAGE
            i += 1
    return counts
