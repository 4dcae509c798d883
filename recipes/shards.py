"""Shards of documents, which stages leave for one another: parquet files of id, text and metadata (as JSON).

A stage that changes no texts need not write them again: its shards have `row` where others have `text`. The file's metadata
name the shard in whose rows the texts lie, by its path from the folder of the file (so that results can be moved) and by the
hash of its content (so that rows never mean other texts).
"""

import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

DOCUMENT_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("metadata", pa.large_string())])
ROWS_AT_ONCE = 16  # decoded on the way to one document
_TEXTS, _HASH = b"midtrain.texts", b"midtrain.texts_hash"
_CHUNK_BYTES = 1 << 20


def row_schema(texts: Path, folder: Path) -> pa.Schema:
    """Of a shard in `folder` whose texts are those of another one."""
    fields = [pa.field("row", pa.int64()) if field.name == "text" else field for field in DOCUMENT_SCHEMA]
    return pa.schema(fields, {_TEXTS: os.path.relpath(texts, folder), _HASH: shard_hash(texts)})


def shard_hash(file: Path) -> bytes:
    """Of a file's content: a tenth of the time that reading its documents takes, once for each state of the file."""
    known = file.stat()
    return _content_hash(file, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=16)
def _content_hash(file: Path, changed: int, size: int) -> bytes:
    found = xxhash.xxh3_128()
    with open(file, "rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest().encode()


def has_documents(schema: pa.Schema) -> bool:
    """Whether a parquet file is a shard: signatures of documents, for one, are none."""
    return {"id", "metadata"} <= set(schema.names) and ("text" in schema.names or has_rows(schema))


def has_rows(schema: pa.Schema) -> bool:
    """Whether a parquet file is a shard whose texts lie in another one."""
    return _TEXTS in (schema.metadata or {})


class ShardFile:
    """A shard that is read a row group at a time. `texts`: the file in whose rows its texts lie, mostly itself."""

    def __init__(self, path: Path):
        self.path = path
        self._file = pq.ParquetFile(path)
        self._schema = self._file.schema_arrow
        self.has_texts = not has_rows(self._schema)
        self.texts = path if self.has_texts else Path(os.path.normpath(path.parent / self._schema.metadata[_TEXTS].decode()))
        self._ends = _ends(self._file)
        self._last: tuple[int, pa.ChunkedArray] | None = None  # row group of texts that was read, and its texts

    @property
    def num_documents(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def num_groups(self) -> int:
        return int(self._file.num_row_groups)

    def num_rows(self, group: int) -> int:
        return int(self._file.metadata.row_group(group).num_rows)

    def documents(self, group: int) -> pa.Table:
        """By DOCUMENT_SCHEMA."""
        if self.has_texts:
            return self._file.read_row_group(group, columns=DOCUMENT_SCHEMA.names, use_threads=False)
        found = self.rows(group)
        return pa.table([found["id"], self._take(found["row"].to_numpy()), found["metadata"]], schema=DOCUMENT_SCHEMA)

    def batches(self, group: int, num_rows: int, columns: Sequence[str] | None = None) -> list[pa.RecordBatch]:
        """What `documents` gives, these columns of it, as batches of at most so many rows."""
        found: list[pa.RecordBatch] = self.documents(group).select(columns or DOCUMENT_SCHEMA.names).to_batches(num_rows)
        return found

    def rows(self, group: int) -> pa.Table:
        """Documents without their texts, which are not read: id, row (of `texts`), metadata."""
        if not self.has_texts:
            return self._file.read_row_group(group, use_threads=False)
        found = self._file.read_row_group(group, columns=["id", "metadata"], use_threads=False)
        return found.add_column(1, "row", pa.array(np.arange(self._ends[group] - len(found), self._ends[group])))

    def document(self, place: int) -> dict[str, Any]:
        """One document; of its row group those before it are decoded a few at a time and let go."""
        found = _row(self._file, self._ends, place, self._schema.names)
        if not self.has_texts:
            lent = _row(self._lender, self._lender_ends, found.pop("row"), ["id", "text"])
            if lent["id"] != found["id"]:
                raise self._changed()
            found |= lent
        return found

    @cached_property
    def _lender(self) -> pq.ParquetFile:
        """The file that has the texts."""
        if not self.texts.is_file():
            raise ValueError(
                f"the texts of {self.path} lie in {self.texts}, which is gone; run its page again, and copy such shards with: "
                "python -m curation.shards"
            )
        try:
            return pq.ParquetFile(self.texts)
        except (pa.ArrowException, OSError) as error:
            raise self._changed() from error

    def _changed(self) -> ValueError:
        return ValueError(
            f"the texts of {self.path} lie in {self.texts}, which has changed since; remove the folders of both stages and run "
            "their page again"
        )

    @cached_property
    def _lender_ends(self) -> npt.NDArray[np.int64]:
        return _ends(self._lender)

    def _take(self, rows: npt.NDArray[np.int64]) -> pa.ChunkedArray:
        """Texts by their rows, which ascend; before the first ones it is made sure that they are still the same."""
        taken = []
        groups = np.searchsorted(self._lender_ends, rows, side="right")
        if self._last is None and shard_hash(self.texts) != self._schema.metadata[_HASH]:
            raise self._changed()
        for group in np.unique(groups).tolist():
            if self._last is None or self._last[0] != group:
                self._last = group, self._lender.read_row_group(group, columns=["text"], use_threads=False)["text"]
            texts = self._last[1]
            taken.append(texts.take(pa.array(rows[groups == group] - (self._lender_ends[group] - len(texts)))))
        chunks = [chunk for column in taken for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.large_string())


def _ends(file: pq.ParquetFile) -> npt.NDArray[np.int64]:
    """Rows up to the end of each row group."""
    return np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=np.int64)


def _row(file: pq.ParquetFile, ends: npt.NDArray[np.int64], row: int, columns: list[str] | None) -> dict[str, Any]:
    group = int(np.searchsorted(ends, row, side="right"))
    if group == len(ends):
        raise IndexError(f"there is no row {row}")
    left = row - (int(ends[group - 1]) if group else 0)
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, row_groups=[group], columns=columns):
        if left < len(batch):
            found: dict[str, Any] = pa.Table.from_batches([batch]).slice(left, 1).to_pylist()[0]
            return found
        left -= len(batch)
    raise AssertionError("a row group holds fewer rows than its file says")
