"""Gopher's quality rules (Rae et al. 2021, section A.1.1) on the words outside formulas.

Words are what stands between spaces, as in the paper. datatrove's GopherQualityFilter counts punctuation marks as words
of their own, so that LaTeX breaks its rule on alphabetic words.
"""

import re

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.filters.formulas import formula_characters, replace_formulas
from curation.filters.word_lists import read_lists
from recipes import schema

SYMBOL = re.compile(r"#|\.\.\.|…")
TRUNCATED = re.compile(r"[^\W\d_]\s?(?:\.\.\.|…)$")  # after a letter: "4, 7, 11, ..." is a sequence
BULLET = re.compile(r"\s*[•‣◦▪●*–-]\s")  # with a space after it: "-3" is a number
EDGES = re.compile(r"^[\W_]+|[\W_]+$")


class WordsFilter(BaseFilter):
    """The stop-word rule is for English; other languages want `min_stop_words: 0`."""

    name = "words"

    def __init__(self, params: schema.WordsFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        measured = measure_words(doc.text)
        doc.metadata["words"] = measured
        params = self.params
        if not measured["num_words"]:
            return False, "no_words"
        if measured["mean_word_length"] < params.min_mean_word_length:
            return False, "short_words"
        if measured["mean_word_length"] > params.max_mean_word_length:
            return False, "long_words"
        if measured["alphabetic_share"] < params.min_alphabetic_share:
            return False, "not_alphabetic"
        if measured["num_stop_words"] < params.min_stop_words:
            return False, "few_stop_words"
        if measured["formula_share"] > params.max_formula_share:
            return False, "formulas_only"
        if measured["symbol_share"] > params.max_symbol_share:
            return False, "symbols"
        if measured["bullet_line_share"] > params.max_bullet_line_share:
            return False, "bullet_lines"
        if measured["ellipsis_line_share"] > params.max_ellipsis_line_share:
            return False, "ellipsis_lines"
        return True


def measure_words(text: str) -> dict[str, float]:
    """What the rules look at; shares between 0 and 1, but for symbols a word."""
    plain = replace_formulas(text)
    pieces = plain.split()
    words = [word for word in (EDGES.sub("", piece) for piece in pieces) if word]
    lines = [line for line in plain.splitlines() if line.strip()]
    num_characters = len("".join(text.split()))
    measured = {
        "num_words": len(words),
        "mean_word_length": sum(map(len, words)) / max(len(words), 1),
        "alphabetic_share": sum(any(map(str.isalpha, word)) for word in words) / max(len(words), 1),
        "num_stop_words": len(read_lists(("stop_words",)).intersection(word.lower() for word in words)),
        "formula_share": formula_characters(text) / max(num_characters, 1),
        "symbol_share": len(SYMBOL.findall(plain)) / max(len(pieces), 1),
        "bullet_line_share": sum(BULLET.match(line) is not None for line in lines) / max(len(lines), 1),
        "ellipsis_line_share": sum(TRUNCATED.search(line.rstrip()) is not None for line in lines) / max(len(lines), 1),
    }
    return {name: round(value, 4) for name, value in measured.items()}
