"""What the ranks of deduplication read, as Arrow tables: most documents never become Python objects. A rank that was killed goes
on behind the tables of its last whole part (curation/parts.py)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.key_ranges import SortedFiles
from recipes.shards import ShardFile
from recipes.stage import Reports


class ReadShard(PipelineStep):
    """The documents of this rank, a row group at a time: id, text, metadata, or without their `texts` id, row, metadata. `stage`
    hears of progress."""

    name = "shard"

    def __init__(self, documents: Path, book: Book, *, stage: Path, texts: bool = True):
        super().__init__()
        self.documents = documents
        self.book = book
        self.stage = stage
        self.texts = texts
        self.memory = 0  # row groups that were read

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[pa.Table]:  # type: ignore[override]
        shard = ShardFile(self.documents / f"{rank:05d}.parquet")
        self.book.count("documents_in", n=0)
        report = Reports(self.stage, rank, "documents")
        for group in range(self.memory, shard.num_groups):
            self.memory += 1
            self.book.count("documents_in", n=shard.num_rows(group))
            yield (shard.documents(group) if self.texts else shard.rows(group)).combine_chunks()
            report(self.book.counts["documents_in"], shard.num_documents)


class ReadRanges(PipelineStep):
    """This rank's share of sorted files, a range of keys at a time."""

    name = "ranges"

    def __init__(self, files: Sequence[Path], stage: Path):
        super().__init__()
        self.files = files
        self.stage = stage
        self.memory = 0  # ranges that were read

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[pa.Table]:  # type: ignore[override]
        files, report = SortedFiles(self.files), Reports(self.stage, rank, "ranges")
        ranges = list(files.ranges(rank, world_size))
        for low, high in ranges[self.memory :]:
            self.memory += 1
            yield files.read(low, high)
            report(self.memory, len(ranges))


def only_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A column that lies in one piece, as that piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
