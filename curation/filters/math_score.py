"""The mathematics score of a trained fastText classifier (`curation/classifier`), and a threshold on it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.classifier import load_model, score
from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema


class MathScoreFilter(Filter):
    """`params.model` is the path of a model.bin: a stage's name is resolved before."""

    name = "math_classifier"
    columns = ("math_score",)

    def __init__(self, params: schema.MathClassifierFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        scores = score(load_model(Path(self.params.model)), batch.texts) if batch.documents else []
        return {"math_score": np.round(np.array(scores, dtype=np.float64), 4)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        yield "low_score", measured["math_score"] < self.params.min_score
