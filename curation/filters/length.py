"""Documents with too few or too many words; a formula counts as one word. Texts without spaces between words need
limits of their own."""

from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema


class LengthFilter(Filter):
    name = "length"
    columns = ("num_words",)

    def __init__(self, params: schema.LengthFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        return {"num_words": batch.words["num_words"] + batch.words["num_formulas"]}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        yield "too_short", measured["num_words"] < self.params.min_words
        yield "too_long", measured["num_words"] > self.params.max_words
