"""The classifier's score of every document, with what thresholds and sites are chosen by; without the texts.

What one stage has scored, later ones read from its table by the documents' ids: a rank of a million documents takes 150 MB so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.batches import batches
from curation.book import Book
from curation.classifier import load_model, score
from curation.classifier.origin import site_of, year_of

SCORES = "scores"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("site", pa.string()),
        ("year", pa.int32()),
        ("characters", pa.int64()),
        ("score", pa.float64()),
    ]
)
COLUMNS = {SCORES: "score", "features": "math_score"}  # of the tables of a score stage, and of a filter's measurements
Score = Callable[[Sequence[Document]], npt.NDArray[np.float64]]


def score_by(model: Path) -> Score:
    """Scores to four digits, as every record shows them and every threshold judges them."""

    def ask(documents: Sequence[Document]) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = np.array(score(load_model(model), [doc.text for doc in documents]), np.float64)
        return scores.round(4)

    return ask


class ScoredBefore:
    """The scores that an earlier stage left in its folder `tables`, of the shard of the book's rank. A `Score`."""

    def __init__(self, tables: Path, book: Book):
        self.tables = tables
        self.book = book
        self._scores: dict[str, float] = {}

    def __call__(self, documents: Sequence[Document]) -> npt.NDArray[np.float64]:
        self._scores = self._scores or self._read()
        unknown = next((doc.id for doc in documents if doc.id not in self._scores), None)
        if unknown is not None:
            raise ValueError(
                f"{self.tables} has no score of document {unknown!r}: it has changed since its stage wrote it; remove the "
                "stage's folder and run its page again"
            )
        return np.array([self._scores[doc.id] for doc in documents], np.float64)

    def _read(self) -> dict[str, float]:
        table = pq.read_table(self.tables / f"{self.book.rank:05d}.parquet", columns=["id", COLUMNS[self.tables.name]])
        return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


class WriteScores(PipelineStep):
    """Leaves scores/<rank>.parquet. Yields nothing."""

    name = "scores"

    def __init__(self, score: Score, book: Book):
        super().__init__()
        self.score = score
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        path = self.book.folder / SCORES / f"{rank:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as file:
            for documents in batches(data):
                table = self._score(documents)
                file.write_table(table)
                self._count(table["score"].to_numpy())
        temporary.replace(path)

    def _count(self, scores: npt.NDArray[np.float64]) -> None:
        """By tenths, for the histogram of the report."""
        tenths, numbers = np.unique(np.minimum(scores * 10, 9).astype(int), return_counts=True)
        for tenth, number in zip(tenths.tolist(), numbers.tolist(), strict=True):
            self.book.count("scores", "math_score", f"{tenth / 10:.1f}", n=number)

    def _score(self, documents: list[Document]) -> pa.Table:
        columns = [
            [doc.id for doc in documents],
            [site_of(doc.metadata.get("url")) for doc in documents],
            [year_of(doc.metadata.get("date")) for doc in documents],
            [len(doc.text) for doc in documents],
            self.score(documents),
        ]
        return pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)
