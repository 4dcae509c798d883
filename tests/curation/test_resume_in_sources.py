"""A reader that begins again in the middle of its files gives the documents that follow, and ends with the same counts."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from datatrove.data import Document

from curation.book import Book
from curation.sources.read import ReadSource
from recipes.schema import Source
from tests.curation.bad_files import damaged, line, table, warc

LINES = [line("x") + b"broken\n", line("y") + line("x"), b"\n\xff\xfe\n", line("z", " "), line("x") + b"[]\n"]
RECORDS = [
    warc(0),
    warc(1, warc="Content-Length: 120\r\n"),
    warc(2),
    warc(3, status="HTTP/1.1 404 Not Found"),
    warc(4),
    warc(4),
    warc(5, b"\xff" * 20, http="Content-Encoding: br\r\n"),
    warc(6, warc="Content-Length: 99999999\r\n"),
    warc(7),
]


def broken_table() -> bytes:
    rows = 12
    content = table(id=[f"{n % 7}" for n in range(rows)], text=["text", None, " "] * (rows // 3))
    return damaged(content, len(content) // 3, b"\xff" * 30)


FILES: dict[str, tuple[str, str, list[bytes]]] = {
    "jsonl": ("jsonl", "jsonl", [b"".join(LINES), b"", b"".join(LINES)]),
    "cut gzip": ("jsonl", "jsonl.gz", [gzip.compress(b"".join(LINES) * 30)[:-9], gzip.compress(b"".join(LINES))]),
    "cut zstd": ("jsonl", "jsonl.zst", [b"".join(map(zstandard.compress, LINES * 3))[:-2], zstandard.compress(b"".join(LINES))]),
    "parquet": ("parquet", "parquet", [broken_table(), b"PAR1 not really", table(id=["1", "a", "b"], text=["x", "y", "z"])]),
    "plain WARC": ("warc", "warc", [b"".join(RECORDS), b"garbage", b"".join(RECORDS[::-1])]),
    "gzipped WARC": (
        "warc",
        "warc.gz",
        [b"".join(map(gzip.compress, RECORDS)), b"".join(map(gzip.compress, RECORDS[::-1]))[:-30]],
    ),
    "one member": ("warc", "warc.gz", [gzip.compress(b"".join(RECORDS[2:])), gzip.compress(b"".join(RECORDS[:1] * 3))]),
    "damaged members": ("warc", "warc.gz", [damaged(b"".join(map(gzip.compress, RECORDS * 3)), at) for at in (500, 1500, 3000)]),
    "zstd WARC": (
        "warc",
        "warc.zst",
        [b"".join(map(zstandard.compress, RECORDS[2:])), b"".join(map(zstandard.compress, RECORDS[2:]))[:-40]],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_reader_goes_on_behind_every_document(tmp_path: Path, name: str) -> None:
    kind, suffix, contents = FILES[name]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.{suffix}").write_bytes(content)

    def reader(book: Book) -> ReadSource:
        return ReadSource(Source(format=kind, path=""), name="s", location=str(tmp_path), as_records=False, book=book)  # type: ignore[arg-type]

    whole, moments = read_with_moments(reader, Book(tmp_path))
    assert len(moments) > 5
    for number, (memory, state) in enumerate(moments):
        book = Book(tmp_path)
        book.counts, book.names = copy.deepcopy(state["counts"]), copy.deepcopy(state["names"])
        book.seen.update(state["ids"])
        again = reader(book)
        again.memory = memory
        rest = [as_tuple(doc) for doc in again.run()]
        assert rest == whole["documents"][number + 1 :]
        assert (book.counts, book.names) == (whole["counts"], whole["names"])
        assert again.memory == [len(contents), 0]


def read_with_moments(
    reader: Callable[[Book], ReadSource], book: Book
) -> tuple[dict[str, Any], list[tuple[Any, dict[str, Any]]]]:
    """What reading gives, and what was to be remembered behind each document."""
    documents, moments = [], []
    whole = reader(book)
    for doc in whole.run():
        documents.append(as_tuple(doc))
        state = {"counts": book.counts, "names": book.names, "ids": book.new_ids}
        moments.append((json.loads(json.dumps(whole.memory)), json.loads(json.dumps(state))))
    return {"documents": documents, "counts": book.counts, "names": book.names}, moments


def as_tuple(doc: Document) -> tuple[Any, ...]:
    return doc.id, doc.text, sorted(doc.metadata.items(), key=lambda item: item[0])
