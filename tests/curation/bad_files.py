"""Bad files between good ones: how they are made, read and judged. Used by the tests of bad input.

A row is one bad file, put between two good ones: what it is, the ids that are read from it all the same, what is counted.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document

from curation.book import Book
from curation.sources.read import ReadSource
from recipes.schema import Source

Make = bytes | Callable[[Path], None]
Row = tuple[str, Make, list[str], dict[str, int]]  # suffix, content, ids that are read, kinds that are counted


def read_between(tmp_path: Path, kind: str, suffix: str, make: Make) -> tuple[list[str], list[str], Book]:
    """Ids from the bad file, ids from the good files around it, what was counted."""
    good: dict[str, Callable[[str], bytes]] = {"warc": warc, "jsonl": line, "parquet": lambda id_: table(id=[id_], text=["good"])}
    for name in ("a", "c"):
        (tmp_path / f"{name}.{suffix}").write_bytes(good[kind](name))
    bad = tmp_path / f"b.{suffix}"
    make(bad) if callable(make) else bad.write_bytes(make)
    book = Book(tmp_path)
    source = Source(format=kind, path="")  # type: ignore[arg-type]
    documents = list(ReadSource(source, name="s", location=str(tmp_path), as_records=False, book=book).run())
    ids: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    for doc in documents:
        ids[str(doc.metadata["file"])[0]].append(own_id(doc))
    return ids["b"], ids["a"] + ids["c"], book


def own_id(doc: Document) -> str:
    """An id without what says that it is of this file of source "s"."""
    return doc.id.replace(f"@s/{doc.metadata['file']}", "")


def check(tmp_path: Path, kind: str, row: Row) -> None:
    suffix, make, expected_ids, expected = row
    ids, good, book = read_between(tmp_path, kind, suffix, make)
    assert good == ["a", "c"]
    assert ids == expected_ids
    unreadable = book.counts.get("unreadable", {})
    counted = {kind: number for kinds in unreadable.values() for kind, number in kinds.items()}
    counted |= {key: book.counts[key] for key in ("duplicate_ids", "long_ids") if key in book.counts}
    assert counted == expected
    for what, kinds in unreadable.items():
        assert all(book.names[f"{what}/{kind}"] == [f"b.{suffix}"] for kind in kinds)


def line(id_: Any, text: Any = "text", **more: Any) -> bytes:
    return json.dumps({"id": id_, "text": text, **more}).encode() + b"\n"


def table(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=2, compression="zstd")
    return out.getvalue()


def warc(id_: Any, body: bytes = b"<p>page</p>", *, http: str = "", warc: str = "", status: str = "HTTP/1.1 200 OK") -> bytes:
    content = f"{status}\r\nContent-Type: text/html\r\n{http}\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: {id_}\r\n"
        f"WARC-Target-URI: http://example.org/{id_}\r\nContent-Type: application/http; msgtype=response\r\n{warc}"
    )
    length = "" if "Content-Length" in warc else f"Content-Length: {len(content)}\r\n"
    return f"{head}{length}\r\n".encode() + content + b"\r\n\r\n"


def damaged(content: bytes, at: int, new: bytes = bytes(16)) -> bytes:
    at %= len(content)
    return content[:at] + new + content[at + len(new) :]
