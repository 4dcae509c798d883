"""A shard read as Arrow tables, for steps that look at texts through kernels: most documents never become Python objects."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.book import Book
from recipes.stage import report_progress


def read_tables(shard: Path, rank: int, book: Book, stage: Path) -> Iterator[pa.Table]:
    """Row group by row group (id, text, metadata); counts documents and says in the stage's folder how far it is."""
    file = pq.ParquetFile(shard)
    done = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, use_threads=False).combine_chunks()
        yield table
        done += len(table)
        report_progress(stage, rank, done, file.metadata.num_rows, "documents")
    book.count("documents_in", n=done)


def only_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A column that lies in one piece, as that piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
