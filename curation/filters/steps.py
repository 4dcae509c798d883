"""Two stages make a filter: one measures every document and writes the columns, the next one decides by thresholds.

Columns lie in features/NNNNN.parquet in the order of the documents, with their ids and without their texts. A changed threshold
asks for the second stage alone.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.batches import batches
from curation.book import Book
from curation.filters.batch import Batch
from curation.filters.filter import Filter

FEATURES = "features"
SCORE = "math_score"
ROWS_PER_GROUP = 10_000


class WriteFeatures(PipelineStep):
    """Measures documents by all filters. A later one measures also what an earlier one will drop: which does is not known yet."""

    name = "features"

    def __init__(self, filters: Sequence[Filter], book: Book):
        super().__init__()
        self.filters = filters
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        path = self.book.folder / FEATURES / f"{rank:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        schema = self._measure([]).schema
        waiting: list[pa.Table] = []
        with pq.ParquetWriter(temporary, schema, compression="zstd") as file:
            for documents in batches(data):
                waiting.append(self._measure(documents))
                if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                    file.write_table(pa.concat_tables(waiting), row_group_size=ROWS_PER_GROUP)
                    waiting = []
                yield from documents
            file.write_table(pa.concat_tables([schema.empty_table(), *waiting]))
        temporary.replace(path)

    def _measure(self, documents: list[Document]) -> pa.Table:
        batch = Batch(documents)
        columns: dict[str, Any] = {"id": pa.array([doc.id for doc in documents], pa.string())}
        for each in self.filters:
            measured = each.measure(batch)
            for name in each.columns:
                values = measured[name]
                columns[name] = pa.array(values, pa.string() if values.dtype == object else None)
        return pa.table(columns)


class DropByFeatures(PipelineStep):
    """Drops documents by what was measured: the first filter that says no names the reason. What was measured up to it is
    written into the metadata of kept and dropped documents."""

    name = "filter"

    def __init__(self, filters: Sequence[Filter], features: Path, book: Book):
        super().__init__()
        self.filters = filters
        self.features = features
        self.book = book
        self.memory = 0  # documents that were judged

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        path = self.features / FEATURES / f"{rank:05d}.parquet"
        table = pq.read_table(path)  # 200 bytes a document
        for documents in batches(data):
            rows = table.slice(self.memory, len(documents))
            self.memory += len(documents)
            if rows["id"].to_pylist() != [doc.id for doc in documents]:
                raise ValueError(
                    f"{path} does not hold the documents of its shard in their order: one of the two has changed since; "
                    "remove the folders of both stages and run their page again"
                )
            yield from self._decide(documents, rows)

    def _decide(self, documents: list[Document], rows: pa.Table) -> Iterator[Document]:
        judged = []
        for each in self.filters:
            measured = {name: rows[name].to_numpy() for name in each.columns}
            names, broken = each.broken(measured)
            judged.append((each.name, names, broken.tolist(), each.notes(measured), each.judged_by(measured)))
        for number, doc in enumerate(documents):
            dropped = None
            for reason, names, broken, notes, thresholds in judged:
                doc.metadata.update(notes[number])
                if SCORE in notes[number]:
                    self.book.count("scores", SCORE, f"{min(int(doc.metadata[SCORE] * 10), 9) / 10:.1f}")  # by tenths
                if thresholds is not None:
                    self.book.count("judged_by", reason, thresholds[number], "dropped" if broken[number] >= 0 else "kept")
                if broken[number] >= 0:
                    dropped = reason, names[broken[number]]
                    break
            if dropped:
                self.book.drop(doc, *dropped)
            else:
                yield doc
