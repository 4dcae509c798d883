"""Writing and reading shards (`recipes/shards.py`).

Columns travel whole between Arrow and Python, metadata through orjson. What is left is mostly zstd: a document of 3.7 kB costs
16 microseconds to write and 7 to read; datatrove's ParquetWriter and ParquetReader are measured in `curation/benchmark/io.py`.
"""

import argparse
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document

from recipes import exits
from recipes.shards import DOCUMENT_SCHEMA, ShardFile, row_schema

ROWS_PER_GROUP = 2_000
CHARS_PER_GROUP = 64_000_000  # a group is in memory whole, and pages of HTML are a hundred times as long as texts
JSON_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME


class _Writer(ABC):
    """A shard under a temporary name until it is closed. The same documents give the same bytes."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file = pq.ParquetWriter(
            self._temporary,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,  # no text comes twice
            write_statistics=["id"],
        )

    def close(self) -> None:
        self._flush()
        self._file.close()
        self._temporary.replace(self.path)

    @abstractmethod
    def _flush(self) -> None:
        """Writes what waits, as a row group."""


class ShardWriter(_Writer):
    """Writes documents."""

    def __init__(self, path: Path):
        super().__init__(path, DOCUMENT_SCHEMA)
        self._begin_group()

    def _begin_group(self) -> None:
        self._ids: list[str] = []
        self._texts: list[str] = []
        self._metadata: list[bytes] = []
        self._num_chars = 0

    def write(self, doc: Document) -> None:
        self._ids.append(doc.id)
        self._texts.append(doc.text)
        self._metadata.append(as_json(doc.metadata))
        self._num_chars += len(doc.text)
        if len(self._ids) >= ROWS_PER_GROUP or self._num_chars >= CHARS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._ids:
            metadata = pa.array(self._metadata, pa.large_binary()).view(pa.large_string())  # orjson writes UTF-8
            columns = [_strings(self._ids, pa.string()), _strings(self._texts, pa.large_string()), metadata]
            self._file.write_table(pa.table(columns, schema=DOCUMENT_SCHEMA))
            self._begin_group()


class RowWriter(_Writer):
    """Writes rows of a shard whose texts stay where they are: in `texts`. `folder`: where the file will lie in the end."""

    def __init__(self, path: Path, texts: Path, folder: Path):
        self._schema = row_schema(texts, folder)
        super().__init__(path, self._schema)
        self._tables: list[pa.Table] = []
        self._num_chars = 0  # of the texts of these

    def write(self, rows: pa.Table, num_chars: int) -> None:
        """`num_chars`: of their texts, which a reader has in memory by row groups."""
        if self._num_chars + num_chars > CHARS_PER_GROUP:
            self._flush()
        self._tables.append(rows.cast(self._schema))
        self._num_chars += num_chars
        if sum(map(len, self._tables)) >= ROWS_PER_GROUP // 2:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._tables])
        if len(table):
            self._file.write_table(table, row_group_size=len(table))
        self._tables, self._num_chars = [], 0


def read_shard(path: Path, first: int = 0) -> Iterator[Document]:
    """Documents of a shard that an earlier stage wrote, in order, from row `first` on."""
    with _unchanged(path):
        shard = ShardFile(path)
        for group in range(shard.num_groups):
            num_rows = shard.num_rows(group)
            if first < num_rows:
                ids, texts, metadata = (column.to_pylist() for column in shard.documents(group).columns)
                for i in range(first, num_rows):
                    yield Document(text=texts[i], id=ids[i], metadata=orjson.loads(metadata[i]))
            first = max(0, first - num_rows)


def write_with_texts(folder: Path, out: Path) -> int:
    """Writes a folder's shards anew, each document with its text, for programs that know no rows of other shards (what dedup
    leaves). Returns the number of documents."""
    shards = sorted(folder.glob("[0-9]*.parquet"))
    if not shards:
        raise ValueError(f"{folder} has no shards; name a stage's folder `documents`, or one of those in `dropped`")
    num_docs = 0
    for shard in shards:
        writer = ShardWriter(out / shard.name)
        for doc in read_shard(shard):
            writer.write(doc)
            num_docs += 1
        writer.close()
    return num_docs


def num_documents(path: Path) -> int:
    with _unchanged(path):
        return ShardFile(path).num_documents


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.shards", description=write_with_texts.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    try:
        print(f"{write_with_texts(arguments.folder, arguments.out)} documents")
    except ValueError as error:
        return exits.of_mistake(error)
    return exits.DONE


if __name__ == "__main__":
    sys.exit(main())
