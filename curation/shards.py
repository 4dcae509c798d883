"""Shards: parquet files of documents (id, text, metadata as JSON) that stages leave for one another.

Columns travel whole between Arrow and Python, metadata through orjson. What is left is mostly zstd: a document of 3.7 kB costs
16 microseconds to write and 7 to read; datatrove's ParquetWriter and ParquetReader are measured in `curation/benchmark/io.py`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document

DOCUMENT_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("metadata", pa.large_string())])
ROWS_PER_GROUP = 2_000
CHARS_PER_GROUP = 64_000_000  # a group is in memory whole, and pages of HTML are a hundred times as long as texts
JSON_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME


class ShardWriter:
    """A parquet file of documents under a temporary name until it is closed. The same documents give the same bytes."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file = pq.ParquetWriter(
            self._temporary,
            DOCUMENT_SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,  # no text comes twice
            write_statistics=["id"],
        )
        self._begin_group()

    def _begin_group(self) -> None:
        self._ids: list[str] = []
        self._texts: list[str] = []
        self._metadata: list[bytes] = []
        self._tables: list[pa.Table] = []
        self._num_chars = 0

    def write(self, doc: Document) -> None:
        if self._tables:
            self._flush()
        self._ids.append(doc.id)
        self._texts.append(doc.text)
        self._metadata.append(as_json(doc.metadata))
        self._num_chars += len(doc.text)
        if len(self._ids) >= ROWS_PER_GROUP or self._num_chars >= CHARS_PER_GROUP:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Rows of another shard, in groups of their own. Small tables wait for others."""
        if not len(table):
            return
        if self._ids:
            self._flush()
        self._tables.append(table.cast(DOCUMENT_SCHEMA))
        self._num_chars += table.nbytes
        if sum(map(len, self._tables)) >= ROWS_PER_GROUP // 2 or self._num_chars >= CHARS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()
        self._temporary.replace(self.path)

    def _flush(self) -> None:
        if self._tables:
            table = pa.concat_tables(self._tables)
            self._file.write_table(table, row_group_size=len(table))
            self._begin_group()
        elif self._ids:
            metadata = pa.array(self._metadata, pa.large_binary()).view(pa.large_string())  # orjson writes UTF-8
            columns = [_strings(self._ids, pa.string()), _strings(self._texts, pa.large_string()), metadata]
            self._file.write_table(pa.table(columns, schema=DOCUMENT_SCHEMA))
            self._begin_group()


def read_shard(path: Path, first: int = 0) -> Iterator[Document]:
    """Documents of a shard that an earlier stage wrote, in order, from row `first` on."""
    with _unchanged(path):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            num_rows = file.metadata.row_group(group).num_rows
            if first < num_rows:
                ids, texts, metadata = (column.to_pylist() for column in file.read_row_group(group).columns)
                for i in range(first, num_rows):
                    yield Document(text=texts[i], id=ids[i], metadata=orjson.loads(metadata[i]))
            first = max(0, first - num_rows)


def num_documents(path: Path) -> int:
    with _unchanged(path):
        return int(pq.read_metadata(path).num_rows)


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): it has changed since its stage wrote it; remove the stage's folder and run its "
            "page again"
        ) from error


def as_json(metadata: dict[str, Any]) -> bytes:
    """One JSON text with sorted keys: any filter may add a field without changing the files' schema."""
    try:
        return orjson.dumps(metadata, default=_as_known, option=JSON_OPTIONS)
    except TypeError:  # keys that are not texts, integers beyond 64 bits, halves of surrogate pairs
        return orjson.dumps(_plain(metadata), option=JSON_OPTIONS)


def _as_known(value: Any) -> Any:
    """A set has no order of its own, and its texts another one in every process."""
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_well_formed(str(key)): _plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside) for inside in value]
    if isinstance(value, set | frozenset):
        return _plain(_as_known(value))
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return _well_formed(str(value))


def _strings(values: list[str], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_well_formed(value) for value in values], kind)


def _well_formed(text: str) -> str:
    """Half of a surrogate pair, which UTF-8 has no form for, becomes the sign for what cannot be read."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
