"""Gopher's quality rules (Rae et al. 2021, section A.1.1) on the words outside formulas.

Words are what stands between spaces, as in the paper, without the signs at their ends. datatrove's GopherQualityFilter counts
punctuation marks as words of their own, so that LaTeX breaks its rule on alphabetic words.
"""

from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter, share
from recipes import schema


class WordsFilter(Filter):
    """The stop-word rule is for English; other languages want `min_stop_words: 0`. A bullet has a space after it ("-3" is a
    number), and a line is cut off where its ellipsis follows a letter ("4, 7, 11, ..." is a sequence)."""

    name = "words"
    columns = (
        "words.num_words",
        "words.mean_word_length",
        "words.alphabetic_share",
        "words.num_stop_words",
        "words.formula_share",
        "words.symbol_share",
        "words.bullet_line_share",
        "words.ellipsis_line_share",
    )

    def __init__(self, params: schema.WordsFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        """Shares between 0 and 1, but for symbols a word."""
        counts = batch.words
        return {
            "words.num_words": counts["num_words"],
            "words.mean_word_length": share(counts["word_characters"], counts["num_words"]),
            "words.alphabetic_share": share(counts["num_alphabetic"], counts["num_words"]),
            "words.num_stop_words": counts["num_stop_words"],
            "words.formula_share": share(counts["formula_characters"], counts["num_characters"]),
            "words.symbol_share": share(counts["num_symbols"], counts["num_pieces"]),
            "words.bullet_line_share": share(counts["num_bullet_lines"], counts["num_lines"]),
            "words.ellipsis_line_share": share(counts["num_ellipsis_lines"], counts["num_lines"]),
        }

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        params = self.params
        yield "no_words", measured["words.num_words"] == 0
        yield "short_words", measured["words.mean_word_length"] < params.min_mean_word_length
        yield "long_words", measured["words.mean_word_length"] > params.max_mean_word_length
        yield "not_alphabetic", measured["words.alphabetic_share"] < params.min_alphabetic_share
        yield "few_stop_words", measured["words.num_stop_words"] < params.min_stop_words
        yield "formulas_only", measured["words.formula_share"] > params.max_formula_share
        yield "symbols", measured["words.symbol_share"] > params.max_symbol_share
        yield "bullet_lines", measured["words.bullet_line_share"] > params.max_bullet_line_share
        yield "ellipsis_lines", measured["words.ellipsis_line_share"] > params.max_ellipsis_line_share
