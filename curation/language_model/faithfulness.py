"""Whether a rewriting says what its source says: numbers, formulas, words, length, and none of a chat model's manners.

Mathematics is compared in the tokens of decontamination (decontaminate/math_tokens.py), so that x², $x^2$ and $x^{2}$ are one
(x_2, too): a formula of the answer is known when its tokens stand in a row anywhere in the source. Numbers that only count
list items or steps are nobody's. These are checks of form: a number in another's place passes, and so does a sentence turned into
its contrary.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from curation.decontaminate.math_tokens import find_tokens, normalise
from curation.filters.formulas import FORMULA
from recipes.schema import RewriteStage

GIVEAWAYS = Path(__file__).with_name("giveaways.tsv")  # where it stands TAB phrase, lower case
ENDS_CHARS = 200  # of an answer's beginning and end in which phrases are looked for
ENUMERATION = re.compile(
    r"^[ \t]*(?:(?:answer|solution):[ \t]*)?(?:[#>*-]+[ \t]*)?\**(?:(?:step|part|example|case)[ \t]+)?"
    r"\(?\d{1,2}(?:[.):]|(?=\*\*))",
    re.M | re.I,
)
LOOP_WORDS = 40  # as many words at the end, said three times: a model that did not stop by itself


@dataclass(frozen=True)
class Traits:
    """What of a text is compared. `line` is all its tokens in one string, each with a space on both sides; `numbers` are those
    that say something, `tokens` holds all."""

    tokens: frozenset[str]
    numbers: frozenset[str]
    formulas: tuple[str, ...]
    ngrams: frozenset[tuple[str, ...]]
    line: str

    def has_formula(self, formula: str) -> bool:
        """As a formula, or in a row of tokens: formulas inside figures are no tokens of the text."""
        return f" {formula} " in self.line or formula in self.formulas


def traits(text: str, overlap_words: int) -> Traits:
    tokens = _tokens(text)
    uncounted = ENUMERATION.sub(" ", text)
    counted = tokens if uncounted == text else _tokens(uncounted)
    formulas = (" ".join(_tokens(match.group())) for match in FORMULA.finditer(text))
    return Traits(
        tokens=frozenset(tokens),
        numbers=frozenset(token for token in counted if token[0].isdecimal()),
        formulas=tuple(formula for formula in formulas if formula),
        ngrams=frozenset(zip(*(islice(tokens, start, None) for start in range(overlap_words)))),
        line=f" {' '.join(tokens)} ",
    )


def problem(answer: str, source: str, bounds: RewriteStage) -> str:
    """The first reason not to take the answer for the source; "" when there is none."""
    return _manners(answer, source, bounds) or _content(answer, source, bounds)


def _manners(answer: str, source: str, bounds: RewriteStage) -> str:
    """What a chat model does instead of the work, or around it."""
    first_line = answer[:ENDS_CHARS].lstrip("*_#>\"' \n").split("\n", 1)[0]
    return _first(
        ("empty", not answer.strip()),
        ("refusal", _gives_away("refusal", answer[:ENDS_CHARS], source)),
        ("preamble", _gives_away("preamble", first_line, source)),
        ("closing_remark", _gives_away("closing", answer[-ENDS_CHARS:], source)),
        ("repetition", _has_loop(answer) and not _has_loop(source)),
        ("too_short", len(answer) < bounds.min_length * len(source)),
        ("too_long", len(answer) > bounds.max_length * len(source)),
    )


def _content(answer: str, source: str, bounds: RewriteStage) -> str:
    theirs, ours = traits(source, bounds.overlap_words), traits(answer, bounds.overlap_words)
    overlap = _share(ours.ngrams, theirs.ngrams.__contains__)
    return _first(
        ("numbers_added", _share(ours.numbers, theirs.tokens.__contains__) < bounds.min_numbers_known),
        ("numbers_lost", _share(theirs.numbers, ours.tokens.__contains__) < bounds.min_numbers_kept),
        ("formulas_added", _share(ours.formulas, theirs.has_formula) < bounds.min_formulas_known),
        ("formulas_lost", _share(theirs.formulas, ours.has_formula) < bounds.min_formulas_kept),
        ("overlap_low", overlap < bounds.min_overlap),
        ("overlap_high", overlap > bounds.max_overlap),
    )


def _first(*checks: tuple[str, bool]) -> str:
    return next((name for name, is_bad in checks if is_bad), "")


def _gives_away(where: str, part: str, source: str) -> bool:
    """Whether a phrase stands in this part of the answer that the source does not have anywhere."""
    part, source = _plain(part), _plain(source)
    return any(phrase in part and phrase not in source for phrase in _giveaways()[where])


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").split()) + " "


@cache
def _giveaways() -> dict[str, tuple[str, ...]]:
    phrases: dict[str, list[str]] = {}
    for line in GIVEAWAYS.read_text(encoding="utf-8").splitlines():
        where, phrase = line.split("\t")
        phrases.setdefault(where, []).append(phrase)
    return {where: tuple(found) for where, found in phrases.items()}


def _has_loop(answer: str) -> bool:
    words = answer.split()
    return len(words) >= 3 * LOOP_WORDS and " ".join(words).count(" ".join(words[-LOOP_WORDS:])) >= 3


def _tokens(text: str) -> list[str]:
    return [token for token, _, _ in find_tokens(normalise(text))]


def _share(of: frozenset[str] | frozenset[tuple[str, ...]] | tuple[str, ...], is_there: Callable[..., bool]) -> float:
    """The share of things that are there; 1 when there are none."""
    return sum(map(is_there, of)) / len(of) if of else 1.0
