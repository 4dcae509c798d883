r"""Whether a rewriting says what its source says: numbers, formulas, words, length, and none of a chat model's manners.

Mathematics is compared in the tokens of decontamination (decontaminate/math_tokens.py), so that x², $x^2$ and $x^{2}$ are one
(x_2, too), but with the case and the ALPHABETS of letters: x is neither X nor $\mathbf{x}$. A formula of the answer is known
when its tokens stand in a row anywhere in the source. A number outside of formulas is compared with its minus sign and its %.
Numbers that only count list items or steps are nobody's. These are checks of form: a number in another's place passes, and so
does a sentence turned into its contrary.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from curation.decontaminate.math_tokens import TOKEN, canonical, find_tokens, normalise
from curation.filters.formulas import FORMULA
from recipes.schema import RewriteStage

GIVEAWAYS = Path(__file__).with_name("giveaways.tsv")  # where it stands TAB phrase, lower case
ENDS_CHARS = 200  # of an answer's beginning and end in which phrases are looked for
ENUMERATION = re.compile(
    r"^[ \t]*(?:(?:answer|solution):[ \t]*)?(?:[#>*-]+[ \t]*)?\**(?:(?:step|part|example|case)[ \t]+)?"
    r"\(?\d{1,2}(?:[.):]|(?=\*\*))",
    re.M | re.I,
)
ALPHABETS = {  # of letters that mean something else in them; decontamination leaves them out as layout
    r"\mathbb": "DOUBLE-STRUCK",
    r"\mathbf": "BOLD",
    r"\mathcal": "SCRIPT",
    r"\mathfrak": "FRAKTUR",
    r"\bf": "BOLD",
    r"\bm": "BOLD",
    r"\boldsymbol": "BOLD",
}
LETTERLIKE = re.compile("[\u2102-\u2131\U0001d400-\U0001d7ff]")  # ℝ is $\mathbb{R}$, 𝐱 is $\mathbf{x}$
SUPERSCRIPT_MINUS = re.compile("⁻([⁰¹²³⁴-⁹]+)")
SUBTRACTION = re.compile(  # 3-5, x-5, |x|-5, 20°-25°, but not: is -5, (-5
    r"(?: [\w)\]}][|!']? | [%-] | (?: [\d)\]}%] | [\w)\]}][|!] | \\circ | (?<![^\W\d_])[^\W\d_] ) \s+ )-\Z", re.VERBOSE
)
LOOKED_BACK_CHARS = 12  # for what stands before a minus sign
PERCENT = re.compile(r"\s*(?:\\?%|per\s?cent\b)", re.I)
LOOP_WORDS = 40  # as many words at the end, said three times: a model that did not stop by itself


@dataclass(frozen=True)
class Traits:
    """What of a text is compared. `line` is all its tokens in one string, each with a space on both sides. Numbers that say
    something are `values` outside of formulas (-5%) and `digits` inside; `known_values` and `tokens` hold all numbers."""

    tokens: frozenset[str]
    values: frozenset[str]
    known_values: frozenset[str]
    digits: frozenset[str]
    formulas: tuple[str, ...]
    ngrams: frozenset[tuple[str, ...]]
    line: str

    def has_formula(self, formula: str) -> bool:
        """As a formula, or in a row of tokens: formulas inside figures are no tokens of the text."""
        return f" {formula} " in self.line or formula in self.formulas

    def share_of_numbers(self, of: "Traits") -> float:
        """Of the other text's numbers, those here. Inside formulas the digits are enough: has_formula sees their signs."""
        here = len(of.values & self.known_values) + len(of.digits & self.tokens)
        return here / (len(of.values) + len(of.digits)) if of.values or of.digits else 1.0


def traits(text: str, overlap_words: int) -> Traits:
    tokens, plain = _tokens(text), _plain_numbers(text)
    counted = ENUMERATION.sub(" ", plain)
    formulas = (" ".join(_formula_tokens(formula)) for formula in _formulas(text))
    return Traits(
        tokens=frozenset(tokens),
        values=frozenset(_values(FORMULA.sub("x", counted))),
        known_values=frozenset(_values(FORMULA.sub("x", plain))).union(*map(_values, _formulas(plain))),
        digits=frozenset(token for formula in _formulas(counted) for token in _tokens(formula) if token[0].isdecimal()),
        formulas=tuple(formula for formula in formulas if formula),
        ngrams=frozenset(zip(*(islice(tokens, start, None) for start in range(overlap_words)))),
        line=f" {' '.join(_formula_tokens(text))} ",
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
        ("numbers_added", theirs.share_of_numbers(ours) < bounds.min_numbers_known),
        ("numbers_lost", ours.share_of_numbers(theirs) < bounds.min_numbers_kept),
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


def _formula_tokens(text: str) -> list[str]:
    """Tokens with their letters' case; a command for an alphabet is one token with the letters behind it."""
    tokens, alphabet = [], ""
    for match in TOKEN.finditer(normalise(LETTERLIKE.sub(_with_alphabet, text))):
        piece = match.group()
        token = canonical(piece) if match.lastgroup != "quote" else ""
        if token:
            tokens.append(alphabet + (piece if token == piece.lower() else token))
        alphabet = ALPHABETS.get(piece, "" if token else alphabet)
    return tokens


def _with_alphabet(letter: re.Match[str]) -> str:
    name = unicodedata.name(letter.group(), "").replace("BLACK-LETTER", "FRAKTUR")
    return next((f"{command} " for command, named in ALPHABETS.items() if named in name), "") + letter.group()


def _plain_numbers(text: str) -> str:
    """The normalised text, with the minus sign of 10⁻⁵ as that of 10^-5."""
    return normalise(SUPERSCRIPT_MINUS.sub(lambda match: "^-" + unicodedata.normalize("NFKC", match[1]), text))


def _formulas(text: str) -> list[str]:
    return [match.group() for match in FORMULA.finditer(text)]


def _values(text: str) -> Iterator[str]:
    """Numbers with their minus sign, where it is one and nothing is subtracted, and with %."""
    for match in TOKEN.finditer(text):
        if match.group()[0].isdecimal():
            before = text[max(match.start() - LOOKED_BACK_CHARS, 0) : match.start()]
            sign = "-" if before.endswith("-") and not SUBTRACTION.search(before) else ""
            yield sign + canonical(match.group()) + ("%" if PERCENT.match(text, match.end()) else "")


def _share(of: frozenset[str] | frozenset[tuple[str, ...]] | tuple[str, ...], is_there: Callable[..., bool]) -> float:
    """The share of things that are there; 1 when there are none."""
    return sum(map(is_there, of)) / len(of) if of else 1.0
