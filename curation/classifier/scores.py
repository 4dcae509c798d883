"""The classifier's score of every document, with what thresholds and sites are chosen by; without the texts."""

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


class WriteScores(PipelineStep):
    """Leaves scores/<rank>.parquet. Yields nothing."""

    name = "scores"

    def __init__(self, model: Path, book: Book):
        super().__init__()
        self.model = model
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
        found = score(load_model(self.model), [doc.text for doc in documents])
        columns = [
            [doc.id for doc in documents],
            [site_of(doc.metadata.get("url")) for doc in documents],
            [year_of(doc.metadata.get("date")) for doc in documents],
            [len(doc.text) for doc in documents],
            [round(value, 4) for value in found],
        ]
        return pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)
