"""Gopher's repetition rules (Rae et al. 2021, table A1), formulas left out of the n-grams.

A line, paragraph or n-gram is a duplicate from its second occurrence on; n-gram shares are characters of words over all
characters but white space, formulas included.
"""

from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter, share
from recipes import schema

_PARTS = ("line", "paragraph")
_NGRAMS = (*(f"top_{n}gram" for n in (2, 3, 4)), *(f"duplicate_{n}gram" for n in range(5, 11)))


class RepetitionFilter(Filter):
    name = "repetition"
    columns = (
        *(f"repetition.duplicate_{part}{kind}" for part in _PARTS for kind in ("s", "_characters")),
        *(f"repetition.{rule}" for rule in _NGRAMS),
    )

    def __init__(self, params: schema.RepetitionFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        counts, num_characters = batch.repetition, batch.words["num_characters"]
        measured = {}
        for part in _PARTS:
            measured[f"repetition.duplicate_{part}s"] = share(counts[f"duplicate_{part}s"], counts[f"num_{part}s"])
            characters = share(counts[f"duplicate_{part}_characters"], counts[f"{part}_characters"])
            measured[f"repetition.duplicate_{part}_characters"] = characters
        for rule in _NGRAMS:
            measured[f"repetition.{rule}"] = np.minimum(share(counts[rule], num_characters), 1.0)
        return measured

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        limits = {
            "duplicate_lines": self.params.max_duplicate_line_share,
            "duplicate_line_characters": self.params.max_duplicate_line_character_share,
            "duplicate_paragraphs": self.params.max_duplicate_paragraph_share,
            "duplicate_paragraph_characters": self.params.max_duplicate_paragraph_character_share,
            **{f"top_{n}gram": limit for n, limit in self.params.max_top_ngram_share.items()},
            **{f"duplicate_{n}gram": limit for n, limit in self.params.max_duplicate_ngram_share.items()},
        }
        for rule, limit in limits.items():
            yield rule, measured[f"repetition.{rule}"] > limit
