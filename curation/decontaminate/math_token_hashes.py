"""The tokens of math_tokens.py as hashes: one compiled pass over UTF-8 bytes, 4 to 6 µs a kB.

The two lowest bits of a hash tell numbers and words from all else, so that numbers can be taken for the same one, and words be
counted, without another pass.
"""

import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_kernels import (
    BACKSLASH,
    COMPARISON,
    DIGIT,
    FNV_PRIME,
    FNV_START,
    FOREIGN,
    IDEOGRAPH,
    LAYOUT,
    LETTER,
    MINUS,
    NUM_SPELLING_SLOTS,
    PLAIN,
    SIGN,
    SPACE,
    UNDERSCORE,
    WORD,
    WORD_BYTES,
    find_all,
    foreign_runs,
)
from curation.decontaminate.math_tokens import FIGURE, FIGURE_END, IDEOGRAPHS, changes, fold, spellings

Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
_FIGURE = FIGURE.encode()


class Tokens(NamedTuple):
    """Tokens of several texts in a row; text i has those from offsets[i] to offsets[i + 1]. Places are bytes of its normalised
    text."""

    hashes: Hashes
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    offsets: Offsets


def find_hashes(texts: list[str]) -> Tokens:
    encoded = [text.encode() if text.isascii() and FIGURE not in text else normalised_bytes(text) for text in texts]
    sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
    bounds = np.r_[0, np.cumsum(sizes)]
    content = np.frombuffer(b"".join(encoded), np.uint8)
    hashes, starts, ends = np.empty(len(content), np.uint64), np.empty(len(content), np.int32), np.empty(len(content), np.int32)
    offsets = np.empty(len(bounds), np.int64)
    find_all(content, bounds, _kinds(), _kinds_of_bytes(), _spelling_table(), hashes, starts, ends, offsets)
    return Tokens(hashes[: offsets[-1]], starts[: offsets[-1]], ends[: offsets[-1]], offsets)


def normalised_bytes(text: str) -> bytes:
    """`normalise(text)` in UTF-8."""
    content = text.encode("utf-8", "surrogatepass")
    if len(content) == len(text) and FIGURE not in text:
        return content
    parts, done = [], 0
    for start, end in _changes(text, content):
        parts += [content[done:start], _fold_bytes(content[start:end])]
        done = end
    return b"".join([*parts, content[done:]]) if parts else content


def original_places(text: str, places: Sequence[int]) -> list[int]:
    """Which characters of a text became the bytes that stand at these ascending places in its normalised ones."""
    content = text.encode("utf-8", "surrogatepass")
    found: list[int] = []
    shift = 0
    for start, end in _changes(text, content):
        piece, folded = content[start:end], _fold_bytes(content[start:end])
        while len(found) < len(places) and (place := places[len(found)] - shift) < start + len(folded):
            found.append(place if place < start else start + _inside(piece, place - start))
        shift += len(folded) - len(piece)
    found += [place - shift for place in places[len(found) :]]
    return [len(content[:place].decode("utf-8", "surrogatepass")) for place in found]


def _inside(piece: bytes, place: int) -> int:
    """Where the character of a changed piece begins that became the byte at `place` in it."""
    characters = [c.encode("utf-8", "surrogatepass") for c in piece.decode("utf-8", "surrogatepass")]
    ends = list(accumulate(len(_fold_bytes(c)) for c in characters))
    return sum(map(len, characters[: min(bisect_right(ends, place), len(characters) - 1)]))


def _changes(text: str, content: bytes) -> Iterator[tuple[int, int]]:
    """What normalising changes, in bytes. Runs outside ASCII are found compiled: `re` takes longer than all the rest."""
    if len(content) == len(text):
        yield from _figures(text)
    elif FIGURE in text:
        num_chars = num_bytes = 0
        for start, end in changes(text):
            first = num_bytes + len(text[num_chars:start].encode("utf-8", "surrogatepass"))
            num_chars, num_bytes = end, first + len(text[start:end].encode("utf-8", "surrogatepass"))
            yield first, num_bytes
    else:
        done = 0
        ends = iter(foreign_runs(np.frombuffer(content, np.uint8)).tolist())
        for start, end in zip(ends, ends, strict=True):
            yield start - (start > done and _begins_with_accent(content[start:end])), end
            done = end


def _figures(text: str) -> Iterator[tuple[int, int]]:
    start = text.find(FIGURE)
    while start >= 0:
        end = text.find(FIGURE_END, start)
        end = len(text) if end < 0 else end + len(FIGURE_END)
        yield start, end
        start = text.find(FIGURE, end)


def _fold_bytes(piece: bytes) -> bytes:
    return b" " if piece.startswith(_FIGURE) else _fold_foreign(piece)


@lru_cache(maxsize=1 << 16)
def _fold_foreign(piece: bytes) -> bytes:
    return fold(piece.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1 << 16)
def _begins_with_accent(piece: bytes) -> bool:
    return unicodedata.combining(piece.decode("utf-8", "surrogatepass")[0]) > 0


@cache
def _kinds() -> Bytes:
    """What every character of Unicode is to the tokens' pattern, asked of `re` itself. 1.1 MB."""
    kinds = np.zeros(sys.maxunicode + 1, np.uint8)
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    patterns = {LETTER: r"[^\W\d_]+", DIGIT: r"\d+", SPACE: r"\s+", IDEOGRAPH: f"[{IDEOGRAPHS}]+"}
    for kind, pattern in patterns.items():
        for run in re.finditer(pattern, everything):
            kinds[run.start() : run.end()] = kind
    for kind, characters in {UNDERSCORE: "_", BACKSLASH: "\\", MINUS: "-", COMPARISON: "<>!", SIGN: "+/="}.items():
        kinds[[ord(c) for c in characters]] = kind
    return kinds


@cache
def _kinds_of_bytes() -> Bytes:
    """What a byte is that begins a character."""
    kinds = np.full(256, FOREIGN, np.uint8)
    kinds[:128] = _kinds()[:128]
    return kinds


def _hash(piece: str) -> int:
    hashed = FNV_START
    for byte in piece.encode():
        hashed = ((hashed ^ byte) * FNV_PRIME) % 2**64
    return hashed


@cache
def _spelling_table() -> tuple[Hashes, Hashes, npt.NDArray[np.int8]]:
    """Unmixed hashes of written pieces, in slots by their lowest bits, with those of the tokens, and the tokens' marks."""
    keys, tokens = np.zeros(NUM_SPELLING_SLOTS, np.uint64), np.zeros(NUM_SPELLING_SLOTS, np.uint64)
    marks = np.zeros(NUM_SPELLING_SLOTS, np.int8)
    for written, token in spellings().items():
        if written.isascii():
            slot = _hash(written) % NUM_SPELLING_SLOTS
            while keys[slot]:
                slot = (slot + 1) % NUM_SPELLING_SLOTS
            is_word = token.isalpha() and len(token) >= WORD_BYTES
            keys[slot], tokens[slot] = _hash(written), _hash(token)
            marks[slot] = WORD if is_word else PLAIN if token else LAYOUT
    return keys, tokens, marks
