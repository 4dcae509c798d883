"""The "wait" rate of a chain of thought: how many of a thousand words turn it round. Small models that were trained on long
chains may say nothing else any more (o1 reproduction notes), and so do chains that were cut off in such a loop."""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from curation.filters.word_lists import read_lists
from recipes import schema


class HesitationFilter(Filter):
    name = "hesitation"
    columns = ("hesitation.words", "hesitation.per_1000_words")

    def __init__(self, params: schema.HesitationFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        pattern = _pattern(self.params.word_lists)
        found = np.array([len(pattern.findall(text.lower())) for text in batch.texts], np.int64)
        num_words = batch.words["num_words"]
        return {"hesitation.words": found, "hesitation.per_1000_words": np.round(1000 * found / np.maximum(num_words, 1), 2)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """A short text may say "but" twice."""
        often = measured["hesitation.per_1000_words"] > self.params.max_per_1000_words
        yield "too_often", often & (measured["hesitation.words"] >= self.params.min_words)


@cache
def _pattern(lists: tuple[str, ...]) -> re.Pattern[str]:
    words = sorted(read_lists(lists), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")
