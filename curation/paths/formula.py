r"""What a step claims, beside its wording: numbers, variables, operators and the words that turn a sense, in their order.

So 2/3 is not 3/2, "2 divides 6" not "6 divides 2", 2^{3+4} not 2^3 + 4, and x ∈ A not x ∉ A. The same claim in other words may
look like another one here: steps are rather kept apart than joined wrongly.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from curation.decontaminate.math_tokens import TOKEN, canonical, find_tokens, normalise
from curation.filters.word_lists import items

DECIDING_WORDS = Path(__file__).with_name("deciding_words.txt")
SHORT_WORDS = (
    *("am", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it"),
    *("me", "my", "no", "of", "on", "or", "so", "to", "up", "us", "we"),
)
WORDS_OF_A_LETTER = ("a", "i")
LONGEST_VARIABLE = 4
BINARY = "+-/=<>^"
RAISED = re.compile("[⁰¹²³⁴-⁹]+")
OPENING, CLOSING = "([{", ")]}"
NO_TOKENS = "^|!%∣∥"  # operators that decontamination has no tokens for


def tokens_of(step: str) -> list[str]:
    return [token for token, _, _ in find_tokens(normalise(step))]


@lru_cache(maxsize=10_000)
def numbers_of(step: str) -> frozenset[str]:
    """Kept for the steps of a few questions: each is in several paths."""
    return frozenset(token for token in tokens_of(step) if token[0].isdecimal())


def decides(step: str) -> tuple[str, ...]:
    """What must be equal in steps that say the same."""
    signs = [("", ""), *_signs(normalise(RAISED.sub(r"^\g<0>", step))), ("", "")]
    kept: list[str] = []
    for (before, _), (sign, written), (behind, _) in zip(signs, signs[1:], signs[2:], strict=False):
        if not sign[0].isalpha() or sign in _deciding_words():
            kept.append(sign)
        elif _is_variable(written, before, behind):
            kept.append(written)
    return tuple(_without_lone_brackets(kept))


def _signs(text: str) -> Iterator[tuple[str, str]]:
    """Tokens, and between them brackets and what else there is of operators; each also as it is written."""
    matches = [match for match in TOKEN.finditer(text) if match.lastgroup != "quote"]
    places = [(0, 0), *(match.span() for match in matches), (len(text), len(text))]
    for (_, end), (start, behind) in pairwise(places):
        yield from ((char, char) for char in text[end:start] if _is_operator(char))
        written = text[start:behind]
        token = canonical(written) if written else ""
        if token:
            yield token, written


def _is_operator(char: str) -> bool:
    return char in OPENING + CLOSING + NO_TOKENS or (not char.isascii() and unicodedata.category(char) == "Sm")


def _is_variable(written: str, before: str, behind: str) -> bool:
    """Also products and names of points: xy, AB, ABC. What may be a word is one unless an operator stands beside it."""
    if len(written) > LONGEST_VARIABLE or not written.isascii() or written.lower() in SHORT_WORDS:
        return False
    may_be_word = written.lower() in WORDS_OF_A_LETTER or (len(written) > 2 and not written.isupper())
    return not may_be_word or any(other and other[0] in BINARY for other in (before, behind))


def _without_lone_brackets(signs: list[str]) -> list[str]:
    """Brackets group what stands in them: {2} is 2, and {2 + 3} is not; [2, 3) is not (2, 3]. One without its other goes."""
    whole: list[list[str]] = [[]]
    opened: list[str] = []
    for sign in signs:
        if sign in OPENING:
            whole.append([])
            opened.append(sign)
        elif sign in CLOSING:
            if opened:
                inner, opening = whole.pop(), opened.pop()
                whole[-1] += inner if len(inner) < 2 else [opening, *inner, sign]
        else:
            whole[-1].append(sign)
    return [sign for part in whole for sign in part]


@cache
def _deciding_words() -> frozenset[str]:
    return frozenset(items(DECIDING_WORDS.read_text(encoding="utf-8").splitlines()))
