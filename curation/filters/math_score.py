"""The mathematics score of a trained fastText classifier (`curation/classifier`), and thresholds on it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.classifier.origin import year_of
from curation.classifier.scores import Score, score_by
from curation.classifier.thresholds import ALL
from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema

NO_YEAR = 0


class MathScoreFilter(Filter):
    """`params.model` is the path of a model: a stage's name is resolved before, and so is a threshold that a stage chooses.
    `score` tells the scores where the model itself is not to be asked."""

    name = "math_classifier"
    columns = ("math_score", "year")
    unnoted = ("year",)

    def __init__(
        self, params: schema.MathClassifierFilter, exclusion_writer: DiskWriter | None = None, score: Score | None = None
    ):
        super().__init__(exclusion_writer)
        if params.min_score == "chosen":
            raise ValueError("min_score=chosen is for pages, whose stages choose; set a number, or numbers by year")
        self.min_score = params.min_score if isinstance(params.min_score, dict) else {ALL: float(params.min_score)}
        self.score = score or score_by(Path(params.model))

    def measure(self, batch: Batch) -> Columns:
        years = [year_of(doc.metadata.get("date")) or NO_YEAR for doc in batch.documents]
        scores = self.score(batch.documents) if batch.documents else np.zeros(0)
        return {"math_score": scores, "year": np.array(years, np.int32)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        limits = np.array([self.min_score[threshold] for threshold in self._thresholds(measured)], np.float64)
        yield "low_score", measured["math_score"] < limits

    def judged_by(self, measured: Columns) -> list[str] | None:
        return self._thresholds(measured) if len(self.min_score) > 1 else None

    def _thresholds(self, measured: Columns) -> list[str]:
        """The year of each document, `all` for those of other years and of none."""
        return [year if year in self.min_score else ALL for year in map(str, measured["year"].tolist())]
