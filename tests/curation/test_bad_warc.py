"""Whatever a file holds, what cannot be read is counted by type and named, and what lies beside it is unharmed: WARC."""

import gzip
import random
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from curation.book import Book
from curation.sources.read import ReadSource
from recipes.schema import Source
from tests.curation.bad_files import Row, check, damaged, warc


def around(middle: bytes, pack: Callable[[bytes], bytes] = bytes) -> bytes:
    return b"".join(pack(warc(n)) if isinstance(n, int) else n for n in (0, 1, middle, 8, 9))


def in_chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def body_row(body: bytes, http: str, damage: str = "") -> Row:
    return "warc", around(warc("x", body, http=f"{http}\r\n")), REST if damage else ALL, {damage: 1} if damage else {}


REST, ALL = ["0", "1", "8", "9"], ["0", "1", "x", "8", "9"]
ENDLESS = warc("x", warc="Content-Length: 99999999999\r\n")
PAGE = b"<p>" + b"hello " * 300 + b"</p>"
CHUNKS = in_chunk(PAGE)
MEMBER = gzip.compress(warc("x", random.Random(3).randbytes(3000).hex().encode()), mtime=0)
CHUNKED, GZIP, DEFLATE = "Transfer-Encoding: chunked", "Content-Encoding: gzip", "Content-Encoding: deflate"
BROTLI, ZSTD = "Content-Encoding: br", "Content-Encoding: zstd"
WARC: dict[str, Row] = {
    "empty": ("warc", b"", [], {"empty_file": 1}),
    "garbage": ("warc.gz", b"nothing like a crawl\n" * 99, [], {"corrupt_warc": 1}),
    "an error page": ("warc.gz", b"<html><p>AccessDenied", [], {"html_file": 1}),
    "an S3 error": ("warc.gz", b'<?xml version="1.0"?><Error/>', [], {"html_file": 1}),
    "an ARC file": ("warc.gz", gzip.compress(b"filedesc://x.arc 0.0.0.0 2011 text/plain 9\n"), [], {"arc_archive": 1}),
    "three bytes": ("warc.gz", MEMBER[:3], [], {"corrupt_warc": 1}),
    "length too long by some bytes": ("warc", around(warc("x", warc="Content-Length: 120\r\n")), REST, {"wrong_length": 1}),
    "length too long by everything": ("warc", around(ENDLESS), REST, {"truncated_record": 1}),
    "the same in gzip": (
        "warc.gz",
        around(gzip.compress(ENDLESS), gzip.compress),
        REST,
        {"truncated_record": 1},
    ),
    "length too short": ("warc", around(warc("x", PAGE, warc="Content-Length: 99\r\n")), ALL, {"corrupt_warc": 1}),
    "length not a number": (
        "warc",
        around(warc("x", warc="Content-Length: many\r\n")),
        REST,
        {"corrupt_http_header": 1, "corrupt_warc": 1},
    ),
    "length below nothing": (
        "warc",
        around(warc("x", warc="Content-Length: -7\r\n")),
        REST,
        {"corrupt_http_header": 1, "corrupt_warc": 1},
    ),
    "no length": (
        "warc",
        around(warc("x").replace(b"Content-Length", b"X-Length")),
        REST,
        {"corrupt_warc_header": 1, "corrupt_warc": 1},
    ),
    "version 0.18": ("warc", around(warc("x").replace(b"WARC/1.0", b"WARC/0.18")), ALL, {}),
    "version 1.1": ("warc", around(warc("x").replace(b"WARC/1.0", b"WARC/1.1")), ALL, {}),
    "a version of another world": ("warc", around(warc("x").replace(b"WARC/1.0", b"WARC/9.9")), REST, {"corrupt_warc": 1}),
    "a header without a colon": ("warc", around(warc("x", warc="no colon\r\n")), ALL, {}),
    "a header of 100 kB": ("warc", around(warc("x", warc=f"X: {'y' * 100_000}\r\n")), REST, {"corrupt_warc": 1}),
    "garbage between records": ("warc", around(b"garbage " * 99), REST, {"corrupt_warc": 1}),
    "garbage between members": ("warc.gz", around(b"garbage " * 99, gzip.compress), REST, {"corrupt_gzip": 1}),
    "zeros between records": ("warc", around(bytes(999)), REST, {"corrupt_warc": 1}),
    "a member with damage": ("warc.gz", around(damaged(MEMBER, 999), gzip.compress), REST, {"corrupt_gzip": 1}),
    "a member cut in the middle": ("warc.gz", around(MEMBER[:999], gzip.compress), REST, {"corrupt_gzip": 1}),
    "a last member cut in its body": ("warc.gz", around(b"", gzip.compress) + MEMBER[:-900], REST, {"truncated_record": 1}),
    "a last member cut in its header": ("warc.gz", around(b"", gzip.compress) + MEMBER[:50], REST, {"truncated_gzip": 1}),
    "a last record cut in its body": ("warc", around(b"") + warc("x", PAGE)[:-99], REST, {"truncated_record": 1}),
    "a last record cut in its header": ("warc", around(b"") + warc("x")[:60], REST, {"corrupt_warc_header": 1}),
    "all records in one member": ("warc.gz", gzip.compress(around(b"")), REST, {}),
    "zstd cut": ("warc.zst", zstandard.compress(around(warc("x", PAGE)))[:-1], [], {"truncated_zstd": 1}),
    "a wrong length in zstd": ("warc.zst", zstandard.compress(around(ENDLESS)), REST, {"truncated_record": 1}),
    "garbage in zstd": ("warc.zst", zstandard.compress(around(b"garbage " * 99)), REST, {"corrupt_warc": 1}),
    "a frame a record, the last one cut": (
        "warc.zst",
        around(b"", zstandard.compress) + zstandard.compress(warc("x"))[:-9],
        REST,
        {"truncated_zstd": 1},
    ),
    "gzip without its suffix": ("warc", around(gzip.compress(warc("x")), gzip.compress), ALL, {}),
    "no record id": (
        "warc",
        around(warc("x").replace(b"WARC-Record-ID", b"X-Record-ID")),
        ["0", "1", "s/b.warc/3", "8", "9"],
        {},
    ),
    "a record id twice": ("warc", around(warc("1")), ["0", "1", "1#2", "8", "9"], {"duplicate_ids": 1}),
    "no HTTP status": ("warc", around(warc("x", status="hello")), REST, {"corrupt_http_header": 1}),
    "chunks": body_row(CHUNKS, CHUNKED),
    "chunks that were joined, and their header left": body_row(PAGE, CHUNKED),
    "chunks cut": body_row(CHUNKS[:-99], CHUNKED, "corrupt_http_body"),
    "chunks with garbage": body_row(CHUNKS[:-5] + b"what?", CHUNKED, "corrupt_http_body"),
    "gzip body": body_row(gzip.compress(PAGE), GZIP),
    "gzip body in chunks": body_row(in_chunk(gzip.compress(PAGE)), f"{CHUNKED}\r\n{GZIP}"),
    "gzip body that was unpacked, and its header left": body_row(PAGE, GZIP),
    "gzip body cut": body_row(gzip.compress(PAGE)[:-9], GZIP, "corrupt_http_body"),
    "gzip body broken": body_row(damaged(gzip.compress(PAGE), 12, b"\xff\xff"), GZIP, "corrupt_http_body"),
    "deflate body": body_row(zlib.compress(PAGE), DEFLATE),
    "deflate body without a header": body_row(raw_deflate(PAGE), DEFLATE),
    "deflate body broken": body_row(b"\xff" * 50, DEFLATE, "corrupt_http_body"),
    "brotli body": body_row(brotli.compress(PAGE), BROTLI),
    "brotli body cut": body_row(brotli.compress(PAGE)[:-5], BROTLI, "corrupt_http_body"),
    "brotli body broken": body_row(b"\xff" * 50, BROTLI, "corrupt_http_body"),
    "zstd body": body_row(zstandard.compress(PAGE), ZSTD),
    "zstd body cut": body_row(zstandard.compress(PAGE)[:-5], ZSTD, "corrupt_http_body"),
    "a body that unpacks to 128 MB": body_row(gzip.compress(bytes(1 << 27), 1), GZIP, "record_too_large"),
    "an encoding that nobody knows": body_row(PAGE, "Content-Encoding: compress"),
    "a charset that the bytes are not in": body_row(b"<p>caf\xe9</p>", "X-Charset: utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARC)
def test_warc(tmp_path: Path, name: str) -> None:
    check(tmp_path, "warc", WARC[name])


PEERS = {  # pages that can be read, kinds that are counted; what warcio's tests say of these files stands behind
    "bad.arc": (0, {"arc_archive": 1}),
    "example-bad-non-chunked.warc.gz": (1, {}),  # all records in one gzip member
    "example-bad.warc.gz.bad": (1, {}),  # likewise, recompressed by a broken tool
    "example-digest.warc": (0, {}),  # requests only
    "example-iana.org-chunked.warc": (1, {}),
    "example-resource.warc.gz": (0, {}),  # a resource, no response
    "example-space-in-target-uri.warc.gz": (0, {}),
    "example-space-in-url.arc": (0, {"arc_archive": 1}),
    "example-trunc.warc": (0, {"corrupt_http_body": 1, "corrupt_warc": 1}),  # lengths too short: body and next header are hit
    "example-wget-bad-target-uri.warc.gz": (1, {}),  # <http://example.com/>
    "example-wrong-chunks.warc.gz": (1, {}),  # says chunked and is not
    "example.arc": (0, {"arc_archive": 1}),
    "example.arc.gz": (0, {"arc_archive": 1}),
    "example.warc": (1, {}),
    "example.warc.gz": (1, {}),
    "post-test.warc.gz": (0, {}),  # JSON answers
}


@pytest.mark.parametrize("name", PEERS)
def test_files_of_warcio_s_tests(shared_data: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(shared_data / "peer-tests" / "warcio_test_warcs.tar.gz") as archive:
        [member] = [member for member in archive.getmembers() if Path(member.name).name == name]
        stream = archive.extractfile(member)
        assert stream is not None
        (tmp_path / name).write_bytes(stream.read())
    book = Book(tmp_path)
    source = Source(format="warc", path="")
    documents = list(ReadSource(source, name="s", location=str(tmp_path / name), as_records=False, book=book).run())
    counted = {kind: number for kinds in book.counts.get("unreadable", {}).values() for kind, number in kinds.items()}
    assert (len(documents), counted) == PEERS[name]
    assert all("<title>" in doc.text and str(doc.metadata["url"]).startswith("http") for doc in documents)
    assert documents or counted or book.counts["skipped"]
