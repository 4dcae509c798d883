"""Texts as arrays of code points, and what each code point is: the ground that compiled loops over characters stand on.

The classes come from Python's own Unicode tables, so that a loop and a regular expression agree on what a letter, a digit or
a space is. Surrogates stand alone as they are: nothing here can fail on a text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

SPACE, ALNUM, ALPHA, DECIMAL, LINE_BREAK, BULLET, WORD = 1, 2, 4, 8, 16, 32, 64  # bits of a class
FORMULA_MARK = 0x10FFFF  # stands for a formula that was taken out: a noncharacter, and white space in the classes
UNICODE_SIZE = 0x110000
ASSIGNED = 0x40000  # beyond it are private and special characters only
_PATTERNS = {
    SPACE: re.compile(r"\s"),
    ALNUM: re.compile(r"[^\W_]"),
    DECIMAL: re.compile(r"\d"),
    LINE_BREAK: re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"),  # where str.splitlines ends a line
    BULLET: re.compile("[•‣◦▪●*–-]"),
    WORD: re.compile(r"\w"),
}


@dataclass(frozen=True)
class Characters:
    """Documents one behind the other: document d is points[offsets[d] : offsets[d + 1]]."""

    points: NDArray[np.uint32]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.points.flags.writeable = False  # all alike: numba compiles a loop once more for arrays that may be written


def to_characters(texts: Sequence[str]) -> Characters:
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return Characters(np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32), offsets)


@cache
def classes() -> NDArray[np.uint8]:
    """The bits of every code point."""
    everything = "".join(map(chr, range(ASSIGNED)))
    bits = np.zeros(UNICODE_SIZE, dtype=np.uint8)
    for bit, pattern in _PATTERNS.items():
        bits[[match.start() for match in pattern.finditer(everything)]] |= bit
    bits[:ASSIGNED][np.fromiter(map(str.isalpha, everything), dtype=bool, count=ASSIGNED)] |= ALPHA
    bits[FORMULA_MARK] = SPACE
    return bits


@cache
def lower_case() -> NDArray[np.uint32]:
    """The lower-case form of every code point where that is one code point, else itself."""
    forms = np.arange(UNICODE_SIZE, dtype=np.uint32)
    for point in range(ASSIGNED):
        lower = chr(point).lower()
        if len(lower) == 1:
            forms[point] = ord(lower)
    return forms
