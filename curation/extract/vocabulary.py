"""What the compiled passes know of HTML: tags and their traits, attributes worth reading, words in classes. As hash tables.

The words are in lists/tags.tsv and lists/class_words.tsv. A hash is FNV-1a of the lower-case letters, 64 bits.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.extract.tables import lines

# Traits of a tag, and flags of an element
VOID, INLINE, RAW, VERBATIM, UNSEEN, FURNITURE, FORMULA, LINK = (1 << bit for bit in range(8))
PARAGRAPH, ITEM, TERM, ROW, CELL, SECTION, OPTION, LIST, TABLE, HEADING = (1 << bit for bit in range(8, 18))
MAIN, TITLE, FIGURE, PAGE = (1 << bit for bit in range(18, 22))
DRAWING, COMMENT, LABEL, CONTENT, HIDDEN, ARTICLE, BODY, GUTTER, BULLETS = (1 << bit for bit in range(22, 31))
_TRAITS = {
    "void": VOID,
    "inline": INLINE,
    "raw": RAW,
    "verbatim": VERBATIM,
    "unseen": UNSEEN,
    "furniture": FURNITURE,
    "formula": FORMULA,
    "link": LINK,
    "paragraph": PARAGRAPH,
    "item": ITEM,
    "term": TERM,
    "row": ROW,
    "cell": CELL,
    "section": SECTION,
    "option": OPTION,
    "list": LIST,
    "table": TABLE,
    "heading": HEADING,
    "main": MAIN,
    "title": TITLE,
    "figure": FIGURE,
    "page": PAGE,
    "drawing": DRAWING,
    "comment": COMMENT,
    "label": LABEL,
    "content": CONTENT,
    "article": ARTICLE,
    "body": BODY,
    "gutter": GUTTER,
    "bullets": BULLETS,
}
# How the value of an attribute is read
WORDS, STYLE, IS_HIDDEN, ADDRESS, LATEX, ALT = range(1, 7)
_ATTRIBUTES = {
    **dict.fromkeys(("class", "id", "role", "itemprop", "type"), WORDS),
    "style": STYLE,
    "hidden": IS_HIDDEN,
    "src": ADDRESS,
    "data-src": ADDRESS,
    "data-lazy-src": ADDRESS,
    "alt": ALT,
}

NUM_TAGS = 4096  # the known ones from 1 on; elements of a page's own, such as <x-note>, by their hash from 512 on
FIRST_OWN_TAG = 512
_SLOTS = 1024
FNV_BASIS, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3

Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]


class Vocabulary(NamedTuple):
    """Hash tables, as keys and values; `traits` by the number of a tag."""

    tags: Table
    attributes: Table
    words: Table
    traits: npt.NDArray[np.int32]


@cache
def vocabulary() -> Vocabulary:
    tags = _traits_by_name("tags.tsv")
    traits = np.zeros(NUM_TAGS, np.int32)
    traits[1 : len(tags) + 1] = list(tags.values())
    traits[FIRST_OWN_TAG:] = INLINE
    attributes = _ATTRIBUTES | dict.fromkeys(lines("latex_attributes.txt"), LATEX)
    return Vocabulary(
        tags=_table({name: tag_number(name) for name in tags}),
        attributes=_table(attributes),
        words=_table(_traits_by_name("class_words.tsv")),
        traits=traits,
    )


@cache
def tag_numbers() -> dict[str, int]:
    return {name: number for number, name in enumerate(_traits_by_name("tags.tsv"), start=1)}


@cache
def tag_names() -> dict[int, str]:
    return {number: name for name, number in tag_numbers().items()}


def tag_number(name: str) -> int:
    """The number of a tag that lists/tags.tsv knows."""
    return tag_numbers()[name]


def _traits_by_name(file: str) -> dict[str, int]:
    columns = (line.split("\t") for line in lines(file))
    return {name: sum(_TRAITS[trait] for trait in traits.split()) for name, traits in columns}


def fnv(name: str) -> int:
    value = FNV_BASIS
    for letter in name.encode():
        value = (value ^ letter) * FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return value


def _table(values: dict[str, int]) -> Table:
    """Open addressing; an empty slot has the key 0."""
    assert len(values) < _SLOTS // 2
    keys, found = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.int32)
    for name, value in values.items():
        key = fnv(name)
        slot = key % _SLOTS
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], found[slot] = key, value
    return keys, found
