"""The datatrove steps that stages share: reading and writing shards, progress, drops, and each rank's record."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.shards import ShardWriter, num_documents, read_shard
from recipes.manifest import NUM_EXAMPLES, RankRecord, describe_files, output_files, write_rank
from recipes.stage import Reports

DOCUMENTS = "documents"


class Begin(PipelineStep):
    """First: tells the book its rank."""

    name = "begin"

    def __init__(self, book: Book):
        super().__init__()
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        self.book.rank = rank
        self.book.started = time.time()
        return data


class ReadDocuments(PipelineStep):
    """The shard of this rank that the stage before wrote."""

    name = "documents"

    def __init__(self, documents: Path, book: Book):
        super().__init__()
        self.documents = documents
        self.book = book
        self.memory = 0  # rows that were read

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        shard = self.documents / DOCUMENTS / f"{rank:05d}.parquet"
        self.book.bytes_total = num_documents(shard)  # counted in documents here: as good a measure of the way
        for doc in read_shard(shard, first=self.memory):
            self.memory += 1
            self.book.bytes_read = self.memory
            yield doc


class Progress(PipelineStep):
    """Counts what comes in, and a few times a second says how far it is."""

    name = "progress"

    def __init__(self, folder: Path, book: Book):
        super().__init__()
        self.folder = folder
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        reports = Reports(self.folder, rank, "documents")
        before = done = self.book.counts.get("documents_in", 0)
        num_chars = 0
        for doc in data or ():
            done += 1
            num_chars += len(doc.text)
            if reports.is_due:
                reports.tell(done, self._total(done))
            yield doc
        self.book.count("documents_in", n=done - before)
        self.book.count("characters_in", n=num_chars)
        reports.tell(done, self._total(done))

    def _total(self, done: int) -> int | None:
        book = self.book
        return max(done, done * book.bytes_total // book.bytes_read) if book.bytes_read else None


class WriteDocuments(PipelineStep):
    name = "write"

    def __init__(self, book: Book):
        super().__init__()
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        writer = ShardWriter(self.book.folder / DOCUMENTS / f"{rank:05d}.parquet")
        num_docs = num_chars = 0
        for doc in data or ():
            if num_docs < NUM_EXAMPLES:
                self.book.example("kept", doc)
            writer.write(doc)
            num_docs += 1
            num_chars += len(doc.text)
            yield doc
        writer.close()
        self.book.count("documents_out", n=num_docs)
        self.book.count("characters_out", n=num_chars)


class Close(PipelineStep):
    """Last: hashes the rank's files and leaves the rank's record."""

    name = "record"

    def __init__(self, folder: Path, book: Book, describe: Callable[[], dict[str, Any]] | None):
        super().__init__()
        self.folder = folder
        self.book = book
        self.describe = describe

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        if self.describe is not None and rank == 0:
            self.book.examples["details"] = [self.describe()]
        outputs = output_files(self.folder) if self.book.outputs is None else self.book.outputs
        write_rank(
            self.folder,
            RankRecord(
                rank=rank,
                counts=self.book.counts,
                examples=self.book.examples,
                names=self.book.names,
                files=describe_files(self.folder, outputs),
                started=self.book.started,
            ),
        )


class Whole(PipelineStep):
    """A stage that is one function over all documents: its counts and details become the rank's record."""

    name = "whole"

    def __init__(self, work: Callable[[], tuple[dict[str, Any], dict[str, Any]]], book: Book):
        super().__init__()
        self.work = work
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        counts, details = self.work()
        self.book.counts |= counts
        self.book.examples["details"] = [details]


class MinChars(PipelineStep):
    name = "min_chars"

    def __init__(self, min_chars: int, book: Book):
        super().__init__()
        self.min_chars = min_chars
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        for doc in data or ():
            if len(doc.text) < self.min_chars:
                self.book.drop(doc, "read_too_short")
            else:
                yield doc


class CountMarked(PipelineStep):
    """Counts documents that carry a mark, and keeps a few as examples; they are not dropped."""

    name = "marked"

    def __init__(self, key: str, book: Book):
        super().__init__()
        self.key = key
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        for doc in data or ():
            if self.key in doc.metadata:
                self.book.count("marked", self.key)
                self.book.example(f"marked/{self.key}", doc, why=doc.metadata[self.key])
            yield doc
