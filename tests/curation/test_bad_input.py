"""Whatever a file holds, what cannot be read is counted by type and named, and what lies beside it is unharmed: lines of JSON."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
import zstandard

import curation.sources.unpack
from curation.book import Book
from curation.sources.read import ReadSource
from recipes.schema import Source
from tests.curation.bad_files import Row, check, damaged, line, own_id, read_between


def between(*lines: bytes) -> bytes:
    return line("1") + b"".join(text + b"\n" for text in lines) + line("9")


def packed(pack: Callable[[bytes], bytes] = gzip.compress, num_lines: int = 3000) -> bytes:
    """Numbers that are hard to pack, so that there is something to cut."""
    draw = random.Random(5)
    return pack(b"".join(line(str(n), draw.randbytes(20).hex()) for n in range(num_lines)))


def tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("inside.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inside.jsonl", content)
    return out.getvalue()


BOTH, INVALID = ["1", "9"], {"invalid_json": 1}
TWO = line("1") + line("9")
JSONL: dict[str, Row] = {
    "empty": ("jsonl", b"", [], {"empty_file": 1}),
    "blank lines only": ("jsonl", b"\n  \n\n", [], {"empty_file": 1}),
    "packed nothing": ("jsonl.gz", gzip.compress(b""), [], {"empty_file": 1}),
    "cut inside its last line": ("jsonl", TWO[:-5], ["1"], INVALID),
    "an array in a line": ("jsonl", between(b"[1, 2]"), BOTH, INVALID),
    "scalars": ("jsonl", between(b"5", b'"x"', b"null", b"true"), BOTH, {"invalid_json": 4}),
    "one array of records, over many lines": ("jsonl", json.dumps([{"id": "x"}], indent=1).encode(), [], {"invalid_json": 5}),
    "NaN": ("jsonl", between(b'{"id": "x", "text": "t", "score": NaN}'), BOTH, INVALID),
    "a number beyond all floats": ("jsonl", between(b'{"id": 1e400, "text": "t"}'), BOTH, INVALID),
    "a key twice: the last one counts": ("jsonl", between(b'{"id": "x", "text": "", "text": "t"}'), ["1", "x", "9"], {}),
    "half of a surrogate pair": ("jsonl", between(b'{"id": "x", "text": "\\ud800"}'), BOTH, INVALID),
    "both halves": ("jsonl", between(b'{"id": "x", "text": "\\ud835\\udc00"}'), ["1", "x", "9"], {}),
    "nested 100,000 deep": ("jsonl", between(b"[" * 100_000 + b"]" * 100_000), BOTH, INVALID),
    "lines that end in CR LF": ("jsonl", TWO.replace(b"\n", b"\r\n"), BOTH, {}),
    "lines that end in CR": ("jsonl", TWO.replace(b"\n", b"\r"), [], INVALID),
    "byte order mark": ("jsonl", b"\xef\xbb\xbf" + TWO, BOTH, {}),
    "UTF-16": ("jsonl", TWO.decode().encode("utf-16"), [], {"utf16_text": 1}),
    "UTF-16 without a mark": ("jsonl", TWO.decode().encode("utf-16-le"), [], {"utf16_text": 1}),
    "a line of Latin-1": ("jsonl", between('{"id": "x", "text": "caf\xe9"}'.encode("latin-1")), BOTH, {"invalid_utf8": 1}),
    "a NUL byte in a text": ("jsonl", between(b'{"id": "x", "text": "a\0b"}'), BOTH, INVALID),
    "an escaped NUL": ("jsonl", between(b'{"id": "x", "text": "a\\u0000b"}'), ["1", "x", "9"], {}),
    "a block of NUL bytes, as a crash leaves it": ("jsonl", TWO + bytes(4096), BOTH, INVALID),
    "random bytes": ("jsonl", b"{" + bytes(random.Random(1).choices(range(128, 192), k=999)), [], {"invalid_utf8": 1}),
    "texts that are none": ("jsonl", between(*(line("x", t).strip() for t in (5, ["a"], {"a": 1}, True))), BOTH, {"not_text": 4}),
    "no text": ("jsonl", between(b'{"id": "x"}', b'{"id": "x", "text": null}'), BOTH, {"missing_column": 2}),
    "blank text": ("jsonl", between(line("x", " \t").strip()), BOTH, {"empty_text": 1}),
    "ids that are numbers": ("jsonl", line(0) + line(7) + line(1.5) + line(True), ["0", "7", "1.5", "True"], {}),
    "ids that are structures": ("jsonl", between(line({"a": 1}).strip(), line(["a"]).strip()), BOTH, {"bad_id": 2}),
    "ids that are none": ("jsonl", line(None) + line(""), ["s/b.jsonl/0", "s/b.jsonl/1"], {}),
    "ids with slashes, spaces and line ends": ("jsonl", line("../a b") + line("a\nb\0"), ["../a b", "a\nb\0"], {}),
    "an id of 100 kB": (
        "jsonl",
        line("x" * 100_000) + line("x" * 100_001),
        [f"{'x' * 100}...{xxhash.xxh3_128_hexdigest('x' * length + '@s/b.jsonl')}" for length in (100_000, 100_001)],
        {"long_ids": 2},
    ),
    "ids twice": ("jsonl", line("x") * 3 + line("a"), ["x", "x#2", "x#3", "a"], {"duplicate_ids": 2}),
    "an id like those of repeated ones": ("jsonl", line("x#2") + line("x") * 2, ["x#2", "x", "x#2"], {"duplicate_ids": 1}),
    "gzip cut in its header": ("jsonl.gz", packed()[:5], [], {"truncated_gzip": 1}),
    "gzip cut before its check sum": ("jsonl.gz", packed(num_lines=3)[:-8], ["0", "1", "2"], {"truncated_gzip": 1}),
    "gzip with garbage behind it": ("jsonl.gz", packed(num_lines=3) + b"garbage", ["0", "1", "2"], {"corrupt_gzip": 1}),
    "gzip with zeros behind it": ("jsonl.gz", packed(num_lines=3) + bytes(9999), ["0", "1", "2"], {}),
    "gzip of two members": ("jsonl.gz", gzip.compress(line("1")) + gzip.compress(line("9")), BOTH, {}),
    "gzip without its suffix": ("jsonl", gzip.compress(TWO), BOTH, {}),
    "a gzip suffix and no gzip": ("jsonl.gz", TWO, BOTH, {}),
    "zstd with a gzip suffix": ("jsonl.gz", zstandard.compress(TWO), BOTH, {}),
    "zstd cut in its header": ("jsonl.zst", packed(zstandard.compress)[:8], [], {"truncated_zstd": 1}),
    "zstd cut before its end": ("jsonl.zst", packed(zstandard.compress, 3)[:-1], [], {"truncated_zstd": 1}),
    "zstd with garbage behind it": (
        "jsonl.zst",
        packed(zstandard.compress, 3) + b"garbage!",
        ["0", "1", "2"],
        {"corrupt_zstd": 1},
    ),
    "zstd with a frame to skip": ("jsonl.zst", b"\x50\x2a\x4d\x18\x01\0\0\0x" + zstandard.compress(TWO), BOTH, {}),
    "an error page instead of gzip": ("jsonl.gz", b"<!DOCTYPE html><title>404</title>", [], {"html_file": 1}),
    "an error page in gzip": ("jsonl.gz", gzip.compress(b"\n<html><p>503</p></html>"), [], {"html_file": 1}),
    "a tar archive": ("jsonl.gz", gzip.compress(tar(TWO)), [], {"tar_archive": 1}),
    "a zip archive": ("jsonl.gz", zipped(TWO), [], {"zip_archive": 1}),
    "bzip2": ("jsonl.gz", bz2.compress(TWO), [], {"bzip2_file": 1}),
    "xz": ("jsonl.gz", lzma.compress(TWO), [], {"xz_file": 1}),
    "a PDF": ("jsonl", b"%PDF-1.4\n", [], {"pdf_file": 1}),
    "a folder": ("jsonl", lambda path: (path / "inside").mkdir(parents=True), [], {}),
}


@pytest.mark.parametrize("name", JSONL)
def test_jsonl(tmp_path: Path, name: str) -> None:
    check(tmp_path, "jsonl", JSONL[name])


@pytest.mark.parametrize(("suffix", "pack", "kind"), [("gz", gzip.compress, "gzip"), ("zst", zstandard.compress, "zstd")])
def test_lines_before_damage_are_kept(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], kind: str) -> None:
    whole = packed(pack, 30_000)
    for content, damage in ((whole[:-3000], f"truncated_{kind}"), (damaged(whole, -3000), f"corrupt_{kind}")):
        ids, good, book = read_between(tmp_path, "jsonl", f"jsonl.{suffix}", content)
        assert good == ["a", "c"]
        assert ids == [str(n) for n in range(len(ids))]
        assert 20_000 < len(ids) < 30_000
        assert book.counts["unreadable"]["files"] == {damage: 1}
        assert sum(book.counts["unreadable"].get("records", {}).values()) < 300  # lines of damaged bytes


def test_a_line_of_100_mb_is_stepped_over_in_little_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "huge.gz", "wb", compresslevel=1) as file:
        file.write(line("1") + b'{"id": "x", "text": "')
        for _ in range(100):
            file.write(b"a" * 1_000_000)
        file.write(b'"}\n' + line("9"))
    content = (tmp_path / "huge.gz").read_bytes()
    (tmp_path / "huge.gz").unlink()
    tracemalloc.start()
    ids, good, book = read_between(tmp_path, "jsonl", "jsonl.gz", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (ids, good, book.counts["unreadable"]) == (BOTH, ["a", "c"], {"records": {"line_too_long": 1}})
    assert peak < 4 * curation.sources.unpack.MAX_LINE_BYTES


def test_urls_and_dates_become_texts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line("1", url=5, date=2020) + line("2", url={"a": 1}, date=None))
    source = Source(format="jsonl", path="")
    documents = list(ReadSource(source, name="s", location=str(tmp_path), as_records=False, book=Book(tmp_path)).run())
    assert [(doc.metadata["url"], doc.metadata["date"]) for doc in documents] == [("5", "2020"), ("{'a': 1}", None)]


def test_a_link_to_nothing_is_counted(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere", tmp_path / "b.jsonl")
    (tmp_path / "a.jsonl").write_bytes(TWO)
    book = Book(tmp_path)
    reader = ReadSource(Source(format="jsonl", path=""), name="s", location=f"{tmp_path}/*.jsonl", as_records=False, book=book)
    assert [own_id(doc) for doc in reader.run()] == BOTH
    assert book.counts["unreadable"] == {"files": {"missing_file": 1}}


def test_a_folder_named_like_a_file_is_counted(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").mkdir()
    (tmp_path / "c.jsonl").write_bytes(TWO)
    book = Book(tmp_path)
    reader = ReadSource(Source(format="jsonl", path=""), name="s", location=f"{tmp_path}/*.jsonl", as_records=False, book=book)
    assert [own_id(doc) for doc in reader.run()] == BOTH
    assert book.counts["unreadable"] == {"files": {"unreadable_file": 1}}
