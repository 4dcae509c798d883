"""Filters: each measures a document, writes what it measured into `doc.metadata`, then decides.

`filter(doc)` answers True, or (False, rule); the name in FILTERS is the reason under which a document is dropped, the
rule says which limit it broke. Formulas never count as words, symbols or repetition (`formulas.py`), and there is no
rule against `{`: the stock Gopher and C4 rules keep about 3 % of a mathematical corpus.
"""

from datatrove.pipeline.filters.base_filter import BaseFilter

from curation.filters.boilerplate import BoilerplateFilter
from curation.filters.language import LanguageFilter
from curation.filters.length import LengthFilter
from curation.filters.math_classifier import MathClassifierFilter
from curation.filters.repetition import RepetitionFilter
from curation.filters.url import UrlFilter
from curation.filters.words import WordsFilter

FILTERS: dict[str, type[BaseFilter]] = {
    "url": UrlFilter,
    "language": LanguageFilter,
    "length": LengthFilter,
    "words": WordsFilter,
    "repetition": RepetitionFilter,
    "boilerplate": BoilerplateFilter,
    "math_classifier": MathClassifierFilter,
}
