"""Reads raw files: WARC, jsonl and parquet, plain, gzip or zstd, local or remote (fsspec).

What cannot be read is counted by type and its file is named; it never stops the other documents. Kinds of damage:

of files    missing_file, empty_file, unreadable_file, truncated_gzip, corrupt_gzip, truncated_zstd, corrupt_zstd,
            corrupt_parquet, encrypted_parquet, and what a file is instead: arc_archive, html_file ... (`unpack.py`)
of records  corrupt_gzip, truncated_gzip, corrupt_warc, corrupt_warc_header, truncated_record, wrong_length, record_too_large,
            corrupt_http_header, corrupt_http_body (`warc.py`); line_too_long, invalid_utf8, invalid_json,
            missing_column, not_text, empty_text, bad_id, bad_value, corrupt_row_group

A rank that begins again reads the file at hand once more up to the record where it was, without making documents of it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.readers.base import BaseReader

from curation.book import Book
from curation.sources.identity import Identities, short_names
from curation.sources.unpack import DAMAGE, ForeignFile, compression, damage, lines, unpacked
from curation.sources.values import BadValue, column_values, lookup
from curation.sources.warc import Damaged, Skipped, read_warc
from recipes.schema import Source
from recipes.shards import DOCUMENT_SCHEMA, ShardFile, has_rows

BATCH_ROWS = 1_000
ENCRYPTED = b"PARE"


def list_files(location: str) -> list[str]:
    """Files behind a path, folder or glob, sorted; the order decides which rank reads which."""
    fs, path = fsspec.core.url_to_fs(location)
    if any(c in path for c in "*?["):
        found = fs.glob(path)
    elif fs.isdir(path):
        found = fs.find(path)
    else:
        found = [path] if fs.exists(path) else []
    return [fs.unstrip_protocol(name) if "://" in location else name for name in sorted(found)]


class ReadSource(BaseReader):
    """One source of a page. For text sources documents carry text, for record sources metadata["record"]. `is_only`: the page
    has no other source."""

    name = "source"

    def __init__(self, source: Source, *, name: str, location: str, as_records: bool, book: Book, is_only: bool = True):
        super().__init__()
        self.source = source
        self.source_name = name
        self.location = location
        self.as_records = as_records
        self.book = book
        self.is_only = is_only
        self.memory = [0, 0]  # files that were read to their end, records of the next one
        self._record = 0  # of the file at hand; lines, rows or WARC records
        self._ids = Identities(name, book)

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        if data:
            yield from data
        files = list_files(self.location)
        if not files:
            raise ValueError(f"source {self.source_name!r}: no file matches {self.location}")
        self._ids.is_only_file = self.is_only and len(files) == 1
        mine, names = files[rank::world_size], short_names(files)[rank::world_size]
        fs = fsspec.core.url_to_fs(self.location)[0]
        sizes = [_size(fs, file) for file in mine]
        self.book.bytes_total += sum(sizes)
        before = self.book.bytes_read + sum(sizes[: self.memory[0]])
        for number in range(self.memory[0], len(mine)):
            yield from self._read_file(mine[number], names[number], before)
            before += sizes[number]
            self.book.bytes_read = before
            self.memory = [number + 1, 0]

    def _read_file(self, file: str, name: str, bytes_before: int) -> Iterator[Document]:
        self._record = 0
        has_told = self.memory[1] > 0
        if not has_told:
            self.book.count("files")
        told = -1 if has_told else self._num_told()
        read: dict[str, Callable[[IO[bytes], str], Iterator[Document]]] = {
            "warc": self._read_warc,
            "jsonl": self._read_jsonl,
            "parquet": self._read_parquet,
        }
        try:
            with fsspec.open(file, "rb").open() as stream:
                for doc in read[self.source.format](stream, name):
                    self.book.count("records")
                    self.book.bytes_read = bytes_before + stream.tell()
                    self._finish(doc, name)
                    self.memory = [self.memory[0], self._record]
                    yield doc
        except ForeignFile as foreign:
            self._unreadable(foreign.kind, name, "files")
        except OSError as error:
            self._unreadable("missing_file" if isinstance(error, FileNotFoundError) else "unreadable_file", name, "files")
        if self._num_told() == told:
            self.book.unreadable("empty_file", name, "files")  # or packed nothing

    def _was_read(self, num_records: int = 1) -> bool:
        """Goes on by so many records of the file, and says whether all of them were read before the rank began again."""
        self._record += num_records
        return self._record <= self.memory[1]

    def _unreadable(self, kind: str, file: str, what: str = "records", n: int = 1) -> None:
        if self._record >= self.memory[1]:  # else it was counted before the rank began again
            self.book.unreadable(kind, file, what, n)

    def _num_told(self) -> int:
        """Records read, skipped or counted as unreadable so far."""
        counts = self.book.counts
        unreadable = counts.get("unreadable", {})
        groups = [unreadable.get("records", {}), unreadable.get("files", {}), counts.get("skipped", {})]
        return int(counts.get("records", 0)) + sum(sum(group.values()) for group in groups)

    def _finish(self, doc: Document, file: str) -> None:
        """Gives a document an id of its own, and where it comes from."""
        doc.id = self._ids.unique(doc.id, file)
        doc.metadata["source"] = self.source_name
        doc.metadata["file"] = file

    # ------------------------------------------------------------------------------------------------ formats

    def _read_warc(self, stream: IO[bytes], file: str) -> Iterator[Document]:
        for found in read_warc(stream, compression(stream), self._was_read):
            if isinstance(found, Damaged):
                self._unreadable(found.kind, file, found.what)
            elif isinstance(found, Skipped):
                if self._record > self.memory[1]:
                    self.book.count("skipped", found.why)
            else:
                found.id = found.id or self._ids.of_place(file, self._record)
                yield found

    def _read_jsonl(self, stream: IO[bytes], file: str) -> Iterator[Document]:
        packed_as = compression(stream)
        try:
            for line in lines(unpacked(stream)):
                if self._was_read():
                    continue
                if line is None:
                    self._unreadable("line_too_long", file)
                elif line.strip():
                    row = self._parse(line, file)
                    doc = self._from_row(row, file, self._record - 1) if row is not None else None
                    if doc is not None:
                        yield doc
        except DAMAGE as error:
            self._unreadable(damage(error, packed_as), file, "files")

    def _parse(self, line: bytes, file: str) -> dict[str, Any] | None:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            try:
                line.decode()
                self._unreadable("invalid_json", file)
            except UnicodeDecodeError:
                self._unreadable("invalid_utf8", file)
            return None
        if isinstance(row, dict):
            return row
        self._unreadable("invalid_json", file)
        return None

    def _read_parquet(self, stream: IO[bytes], file: str) -> Iterator[Document]:
        is_encrypted = stream.read(len(ENCRYPTED)) == ENCRYPTED
        if stream.seek(0, 2) == 0:
            return
        try:
            table = pq.ParquetFile(stream)
            rows = _rows(stream, file) if has_rows(table.schema_arrow) else None
            columns = self._columns(DOCUMENT_SCHEMA.names if rows else table.schema_arrow.names)
        except (pa.ArrowException, OSError):
            self._unreadable("encrypted_parquet" if is_encrypted else "corrupt_parquet", file, "files")
            return
        for group in range(table.num_row_groups):
            num_rows, before = table.metadata.row_group(group).num_rows, self._record
            if before + num_rows < self.memory[1]:
                self._record += num_rows
                continue
            try:
                found = rows.batches(group, BATCH_ROWS, columns) if rows else table.iter_batches(BATCH_ROWS, [group], columns)
                for batch in found:
                    yield from self._from_batch(batch, file)
            except (pa.ArrowException, OSError):  # the other groups are whole
                lost = before + num_rows - self._record
                self._record = before + num_rows
                self._unreadable("corrupt_row_group", file, n=lost)

    def _columns(self, names: Sequence[str]) -> list[str] | None:
        """Those of a file that documents are made of; None: all."""
        if self.as_records and not self.source.columns:
            return None
        paths = [*self.source.columns.values(), *self.source.where]
        wanted = {"id", "url", "date", "text", *paths, *(path.split(".")[0] for path in paths)}
        return [name for name in names if name in wanted]

    def _from_batch(self, batch: pa.RecordBatch, file: str) -> Iterator[Document]:
        names = batch.schema.names
        for values in zip(*map(column_values, batch.columns), strict=True) if names else [()] * batch.num_rows:
            if self._was_read():
                continue
            bad = next((value for value in values if isinstance(value, BadValue)), None)
            if bad is not None:
                self._unreadable(bad.kind, file)
                continue
            doc = self._from_row(dict(zip(names, values, strict=True)), file, self._record - 1)
            if doc is not None:
                yield doc

    def _from_row(self, row: dict[str, Any], file: str, index: int) -> Document | None:
        columns = self.source.columns
        try:
            if any(lookup(row, theirs) not in values for theirs, values in self.source.where.items()):
                self.book.count("skipped", "where")
                return None
            fields = {ours: lookup(row, theirs) for ours, theirs in columns.items()}
        except (KeyError, IndexError, TypeError, ValueError):
            self._unreadable("missing_column", file)
            return None
        for ours in ("id", "url", "date", *(() if self.as_records else ("text",))):
            if ours not in columns and ours in row:
                fields[ours] = row[ours]
        given = fields.pop("id", None)
        is_broken = any(isinstance(fields.get(key), bytes) for key in ("url", "date"))
        if is_broken or isinstance(given, dict | list):
            self._unreadable("invalid_utf8" if is_broken else "bad_id", file)
            return None
        identity = self._ids.of_row(given.hex() if isinstance(given, bytes) else given, file, index)
        metadata = {key: None if fields.get(key) is None else str(fields[key]) for key in ("url", "date")}
        fields = {key: value for key, value in fields.items() if key not in metadata}
        if self.as_records:
            return Document(text="", id=identity, metadata={**metadata, "record": fields if columns else row})
        text = self._text(fields.pop("text", None), file)
        return None if text is None else Document(text=text, id=identity, metadata={**metadata, **fields})

    def _text(self, value: Any, file: str) -> str | None:
        """Text, or None when there is none, which is then counted."""
        try:
            text = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            self._unreadable("invalid_utf8", file)
            return None
        if isinstance(text, str) and text.strip():
            return text
        self._unreadable("empty_text" if isinstance(text, str) else "missing_column" if text is None else "not_text", file)
        return None


def _rows(stream: IO[bytes], file: str) -> ShardFile:
    """A shard whose texts lie in another file, beside it."""
    path = Path(getattr(stream, "name", ""))
    if not path.is_file():
        raise ValueError(
            f"{file} has rows of another shard in place of texts, which are found beside local files alone; write it whole, "
            "before it is moved, with: python -m curation.shards FOLDER OUT"
        )
    return ShardFile(path)


def _size(fs: Any, file: str) -> int:
    """0 where a file cannot be asked: reading it will say why."""
    try:
        return int(fs.size(file) or 0)
    except OSError:
        return 0
