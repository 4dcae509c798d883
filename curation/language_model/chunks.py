r"""Cuts a text into chunks for a language model: at ends of paragraphs, else of lines, else of sentences, and never inside a
formula or code (``` fences and indented blocks). One of these that is longer than the limit makes a longer chunk.

Tokens are those of the whole text: in a chunk by itself there may be one more or less at either end.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.filters.formulas import FORMULA

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 4  # where no tokenizer counts; 3.8 of Llama 3's in mathematical web text
CODE = re.compile(
    r"""
    ^[ ]{0,3}(?P<fence>```+|~~~+)[^\n]*\n (?: (?![ ]{0,3}(?P=fence)) [^\n]*\n )*+ [ ]{0,3}(?P=fence)[^\n]*$
  | ^(?:[ ]{4}|\t)[^\n]*\S[^\n]* (?: \n(?:[ \t]*\n)*+ (?:[ ]{4}|\t)[^\n]* )*+
    """,
    re.VERBOSE | re.MULTILINE,
)
PARAGRAPH_END = re.compile(r"\n(?:[ \t\r]*\n)+")  # not the indentation behind it: that belongs to the code
LINE_END = re.compile(r"\n")
SENTENCE_END = re.compile(r"(?<=[.!?。])\s+")


@dataclass(frozen=True)
class Chunk:
    """`text` begins and ends with a line that is not blank; what stood around it is kept, so that chunks give back the text."""

    before: str
    text: str
    behind: str


def token_starts(text: str, tokenizer: "Tokenizer | None") -> Sequence[int]:
    """Where each token of a text begins."""
    if tokenizer is None:
        return range(0, len(text), CHARACTERS_PER_TOKEN)
    return [start for start, _ in tokenizer.encode(text, add_special_tokens=False).offsets]


def split(text: str, max_tokens: int, starts: Sequence[int]) -> list[Chunk]:
    """At least one chunk; those of white space alone are joined to the one before. `starts`: where each token begins."""
    pieces: list[str] = []
    start = 0
    for end in _ends(text, max_tokens, starts):
        piece, start = text[start:end], end
        if pieces and not piece.strip():
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return [_chunk(piece) for piece in pieces] or [Chunk("", "", "")]


def _chunk(piece: str) -> Chunk:
    end = len(piece.rstrip())
    start = len(piece) - len(piece.lstrip())
    start = piece.rfind("\n", 0, start) + 1 if end else 0  # the indentation of its first line is its own
    return Chunk(piece[:start], piece[start:end], piece[end:])


def _ends(text: str, max_tokens: int, starts: Sequence[int]) -> Iterator[int]:
    """Where each chunk ends: the last paragraph end within the limit, else line end, else sentence end; else the next of any."""
    if len(starts) <= max_tokens:
        yield len(text)
        return
    protected = protected_spans(text)
    levels = [ends_outside(pattern, text, protected) for pattern in (PARAGRAPH_END, LINE_END, SENTENCE_END)]
    everywhere = sorted({place for level in levels for place in level})
    start = 0
    while (behind := bisect_left(starts, start) + max_tokens) < len(starts):  # the first token that is too much
        for level in levels:
            number = bisect_right(level, starts[behind])
            if number and level[number - 1] > start:
                start = level[number - 1]
                break
        else:
            number = bisect_right(everywhere, start)
            if number == len(everywhere):
                break
            start = everywhere[number]
        yield start
    if start < len(text):
        yield len(text)


def protected_spans(text: str) -> list[tuple[int, int]]:
    """Formulas and code, sorted and apart from one another."""
    spans = sorted(match.span() for pattern in (FORMULA, CODE) for match in pattern.finditer(text))
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def ends_outside(pattern: re.Pattern[str], text: str, protected: list[tuple[int, int]]) -> list[int]:
    """The ends of a pattern's matches that lie in no protected span."""
    starts = [start for start, _ in protected]
    places = []
    for match in pattern.finditer(text):
        number = bisect_right(starts, match.end() - 1)  # a cut just before a span is outside it
        if not number or protected[number - 1][1] <= match.end():
            places.append(match.end())
    return places
