"""Documents with too few or too many tokens of the page's tokenizer: a chain of thought longer than the model's context never
shows its question beside its answer. Costs what tokenizing costs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema


class TokensFilter(Filter):
    """`tokenizer` is the folder of the one that counts; judging needs none."""

    name = "tokens"
    columns = ("num_tokens",)

    def __init__(self, params: schema.TokensFilter, exclusion_writer: DiskWriter | None = None, tokenizer: Path | None = None):
        super().__init__(exclusion_writer)
        self.params = params
        self.tokenizer = tokenizer

    def measure(self, batch: Batch) -> Columns:
        """Those of the text alone, without the tokens that every document gets around it."""
        from curation.tokens.tokenizer import open_tokenizer

        if self.tokenizer is None:
            raise ValueError("the filter `tokens` counts with a tokenizer; give it the folder of one")
        opened = open_tokenizer(self.tokenizer, schema.TokenizeStage(do="tokenize", end_of_text=False), ())
        texts = batch.texts
        return {"num_tokens": opened.encode(texts).lengths if texts else np.zeros(0, np.int64)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        yield "too_short", measured["num_tokens"] < self.params.min_tokens
        yield "too_long", measured["num_tokens"] > self.params.max_tokens
