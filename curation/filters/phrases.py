"""Phrases of word lists as a tree of characters, for one walk over a text that finds them all."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from curation.filters.characters import UNICODE_SIZE, lower_case
from curation.filters.word_lists import read_lists

ON_PAGE, ON_LINE = 1, 2
SAME = {"’": "'"}  # typed either way

Tree = tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.uint8]]


class Phrases:
    """`tree` holds the symbol of every character (0: in no phrase), the next node by node and symbol, and the kinds of the
    phrases that end at each node."""

    def __init__(self, *, page_lists: tuple[str, ...], line_lists: tuple[str, ...]):
        self.tree = _grow(page_lists, line_lists)


@cache
def _grow(page_lists: tuple[str, ...], line_lists: tuple[str, ...]) -> Tree:
    kinds: dict[str, int] = {}
    for names, kind in ((page_lists, ON_PAGE), (line_lists, ON_LINE)):
        for phrase in read_lists(names):
            for other, same in SAME.items():
                phrase = phrase.replace(other, same)
            kinds[phrase] = kinds.get(phrase, 0) | kind
    alphabet = {char: number for number, char in enumerate(sorted(set("".join(kinds))), start=1)}
    nodes: list[dict[str, int]] = [{}]
    ends = [0]
    for phrase in sorted(kinds):
        node = 0
        for char in phrase:
            if char not in nodes[node]:
                nodes[node][char] = len(nodes)
                nodes.append({})
                ends.append(0)
            node = nodes[node][char]
        ends[node] = kinds[phrase]
    tree = np.zeros((len(nodes), len(alphabet) + 1), dtype=np.int32)
    for row, children in zip(tree, nodes, strict=True):
        for char, child in children.items():
            row[alphabet[char]] = child
    return _symbols(alphabet), tree, np.array(ends, dtype=np.uint8)


def _symbols(alphabet: dict[str, int]) -> NDArray[np.uint16]:
    by_lower = np.zeros(UNICODE_SIZE, dtype=np.uint16)
    for char, number in alphabet.items():
        by_lower[ord(char)] = number
    for other, same in SAME.items():
        by_lower[ord(other)] = alphabet.get(same, 0)
    return by_lower[lower_case()]
