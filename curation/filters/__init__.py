"""Filters: each measures documents into columns, then decides by its thresholds.

The name in FILTERS is the reason under which a document is dropped, the rule says which limit it broke. Formulas never count as
words, symbols or repetition (`formulas.py`), and there is no rule against `{`: the stock Gopher and C4 rules keep about 3 % of a
mathematical corpus. All counts of characters, words and lines come from one compiled pass (`batch.py`).
"""

from curation.filters.boilerplate import BoilerplateFilter
from curation.filters.filter import Filter
from curation.filters.hesitation import HesitationFilter
from curation.filters.language import LanguageFilter
from curation.filters.length import LengthFilter
from curation.filters.math_score import MathScoreFilter
from curation.filters.problem_format import ProblemFormatFilter
from curation.filters.repetition import RepetitionFilter
from curation.filters.scripts import ScriptsFilter
from curation.filters.tokens import TokensFilter
from curation.filters.url import UrlFilter
from curation.filters.words import WordsFilter

FILTERS: dict[str, type[Filter]] = {
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
    "math_classifier": MathScoreFilter,
}
