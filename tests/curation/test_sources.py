"""Raw files are read whatever state they are in: damage is counted by type and named, the other documents are kept."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from datatrove.data import Document

from curation.book import Book
from curation.sources.read import ReadSource
from recipes.schema import Source


def record(number: int, html: str, content_type: str = "text/html; charset=utf-8", status: str = "200 OK") -> bytes:
    body = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n\r\n{html}".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:0000-{number}>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def members(numbers: range) -> list[bytes]:
    """Gzip members of one record each, as Common Crawl writes them; bodies differ enough to be a few kilobytes."""
    return [gzip.compress(record(n, f"<p>page {n}</p>" + " ".join(str(n * k) for k in range(2000))), mtime=0) for n in numbers]


def read(path: Path, kind: str = "warc", *, as_records: bool = False, **columns: str) -> tuple[list[Document], Book]:
    book = Book(path.parent)
    source = Source(format=kind, path=str(path), columns=columns)  # type: ignore[arg-type]
    return list(ReadSource(source, name="test", location=str(path), as_records=as_records, book=book).run()), book


def ids(documents: list[Document]) -> list[str]:
    return [doc.id for doc in documents]


def uuids(numbers: list[int]) -> list[str]:
    return [f"<urn:uuid:0000-{n}>" for n in numbers]


def test_a_warc_gives_its_pages_with_id_url_date_and_source(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"".join(members(range(3))))
    documents, book = read(tmp_path / "a.warc.gz")
    assert ids(documents) == uuids([0, 1, 2])
    assert documents[1].text.startswith("<p>page 1</p>")
    expected = {"url": "http://example.org/1", "date": "2020-01-01T00:00:00Z", "source": "test", "file": "a.warc.gz"}
    assert documents[1].metadata == expected
    assert book.counts == {"files": 1, "records": 3}


@pytest.mark.parametrize("ending", [".warc", ".warc.zst"])
def test_plain_and_zstd_warcs_are_read(tmp_path: Path, ending: str) -> None:
    plain = b"".join(record(n, f"<p>{n}</p>") for n in range(3))
    content = zstandard.ZstdCompressor().compress(plain) if ending.endswith("zst") else plain
    (tmp_path / f"a{ending}").write_bytes(content)
    documents, _ = read(tmp_path / f"a{ending}")
    assert ids(documents) == uuids([0, 1, 2])


def test_only_successful_html_is_read_and_the_rest_is_counted(tmp_path: Path) -> None:
    records = [record(0, "x"), record(1, "x", "application/pdf"), record(2, "x", status="404 Not Found")]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    documents, book = read(tmp_path / "a.warc")
    assert ids(documents) == uuids([0])
    assert book.counts["skipped"] == {"type_application/pdf": 1, "status_404": 1}


def test_a_truncated_record_is_counted_and_never_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"".join(members(range(3)))[:-700])
    documents, book = read(tmp_path / "a.warc.gz")
    assert ids(documents) == uuids([0, 1])
    assert book.counts["unreadable"] == {"records": {"truncated_record": 1}}
    assert book.names == {"records/truncated_record": ["a.warc.gz"]}


def test_reading_goes_on_behind_a_damaged_gzip_member(tmp_path: Path) -> None:
    parts = members(range(5))
    middle = bytearray(parts[2])
    middle[len(middle) // 2 : len(middle) // 2 + 60] = bytes(60)
    (tmp_path / "a.warc.gz").write_bytes(b"".join([*parts[:2], bytes(middle), *parts[3:]]))
    documents, book = read(tmp_path / "a.warc.gz")
    assert ids(documents) == uuids([0, 1, 3, 4])
    assert sum(book.counts["unreadable"]["records"].values()) == 1


def test_garbage_and_empty_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"nothing like a crawl\n" * 100)
    (tmp_path / "b.warc").write_bytes(b"")
    assert read(tmp_path / "a.warc")[1].counts["unreadable"] == {"records": {"corrupt_warc": 1}}
    assert read(tmp_path / "b.warc")[1].counts["unreadable"] == {"files": {"empty_file": 1}}


def test_jsonl_lines_that_cannot_be_read_are_counted_by_type(tmp_path: Path) -> None:
    lines = [b'{"id": "a", "text": "one"}', b'{"id": "b", "text": ', b'{"id": "c", "text": "\xff\xfe"}', b"[1]", b'{"id": "d"}']
    lines += [b'{"id": "e", "text": "  "}', b'{"id": "f", "text": "six"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    documents, book = read(tmp_path / "a.jsonl", "jsonl")
    assert ids(documents) == ["a", "f"]
    bad = {"invalid_json": 2, "invalid_utf8": 1, "missing_column": 1, "empty_text": 1}
    assert book.counts["unreadable"] == {"records": bad}


def test_a_truncated_gzip_keeps_the_lines_before(tmp_path: Path) -> None:
    content = b"".join(b'{"id": "%d", "text": "%d"}\n' % (n, n * 7919) for n in range(5000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content)[:-2000])
    documents, book = read(tmp_path / "a.jsonl.gz", "jsonl")
    assert 1000 < len(documents) < 5000
    assert book.counts["unreadable"] == {"files": {"truncated_gzip": 1}}


def test_a_truncated_zstd_keeps_the_lines_before_and_is_named(tmp_path: Path) -> None:
    content = b"".join(b'{"id": "%d", "text": "%d"}\n' % (n, n * 7919) for n in range(200_000))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(content)[:-3000])
    documents, book = read(tmp_path / "a.jsonl.zst", "jsonl")
    assert 1000 < len(documents) < 200_000
    assert book.counts["unreadable"]["files"] == {"truncated_zstd": 1}
    plain = b"".join(record(n, "".join(str(k * n) for k in range(9000))) for n in range(200))
    (tmp_path / "a.warc.zst").write_bytes(zstandard.compress(plain)[:-3000])
    documents, book = read(tmp_path / "a.warc.zst")
    assert 10 < len(documents) < 200
    assert sum(sum(kinds.values()) for kinds in book.counts["unreadable"].values()) >= 1


def test_several_zstd_frames_are_one_file(tmp_path: Path) -> None:
    frames = [zstandard.compress(b'{"id": "%d", "text": "x"}\n' % n) for n in range(3)]
    (tmp_path / "a.jsonl.zst").write_bytes(b"".join(frames))
    assert ids(read(tmp_path / "a.jsonl.zst", "jsonl")[0]) == ["0", "1", "2"]


def test_a_file_that_packs_nothing_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b""))
    assert read(tmp_path / "a.jsonl.gz", "jsonl")[1].counts["unreadable"] == {"files": {"empty_file": 1}}


def test_zstd_jsonl_is_read_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(b'{"key": 7, "body": "x", "meta": {"where": "http://e.org"}}\n'))
    [doc], _ = read(tmp_path / "a.jsonl.zst", "jsonl", id="key", text="body", url="meta.where")
    assert (doc.id, doc.text, doc.metadata["url"]) == ("7", "x", "http://e.org")


def test_duplicate_ids_are_counted_and_made_unique(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "a", "text": "one"}\n' * 3)
    documents, book = read(tmp_path / "a.jsonl", "jsonl")
    assert ids(documents) == ["a", "a#2", "a#3"]
    assert book.counts["duplicate_ids"] == 2
    assert book.names["duplicate_ids"] == ["a.jsonl"]


def test_parquet_records_keep_their_mapped_columns(tmp_path: Path) -> None:
    table = pa.table({"uuid": ["u"], "problem": ["1+1?"], "generations": [["so 2", "3"]], "noise": [1]})
    pq.write_table(table, tmp_path / "a.parquet")
    [doc], _ = read(tmp_path / "a.parquet", "parquet", as_records=True, id="uuid", question="problem", thinking="generations.0")
    assert (doc.id, doc.metadata["record"]) == ("u", {"question": "1+1?", "thinking": "so 2"})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    assert read(tmp_path / "b.parquet", "parquet")[1].counts["unreadable"] == {"files": {"corrupt_parquet": 1}}


def test_ranks_share_the_files_without_overlap(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "{name}", "text": "x"}}')
    source = Source(format="jsonl", path="")

    def rank(number: int) -> list[str]:
        reader = ReadSource(source, name="s", location=f"{tmp_path}/*.jsonl", as_records=False, book=Book(tmp_path))
        return ids(list(reader.run(None, number, 2)))

    assert [id_.partition("@")[0] for id_ in rank(0) + rank(1)] == ["a", "c", "e", "b", "d"]


def test_ids_are_the_same_for_any_number_of_ranks_and_no_two_ranks_make_the_same(tmp_path: Path) -> None:
    """Files of one name in two folders, and another source, all with the same ids or none."""
    for place in ("one/2024/a", "one/2025/a", "one/2025/b", "two/a"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        rows = [{"id": "x", "text": "1"}, {"id": "x", "text": "2"}, {"id": "y@one/2024/a.jsonl", "text": "3"}, {"text": "4"}]
        (tmp_path / f"{place}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(format="jsonl", path="")

    def made(num_ranks: int) -> list[str]:
        found = []
        for rank in range(num_ranks):
            book = Book(tmp_path)
            for name in ("one", "two"):
                where = str(tmp_path / name)
                reader = ReadSource(source, name=name, location=where, as_records=False, book=book, is_only=False)
                found += ids(list(reader.run(None, rank, num_ranks)))
            assert book.counts.get("duplicate_ids", 0) == book.counts.get("files", 0)
        return sorted(found)

    assert made(1) == made(2) == made(3) == made(7)
    assert len(set(made(1))) == 16
    assert {"x@one/2024/a.jsonl", "x@one/2025/a.jsonl#2", "x@two/a.jsonl", "one/2025/a.jsonl/3"} <= set(made(1))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_are_chosen_by_their_columns_and_the_others_are_counted(tmp_path: Path, kind: str) -> None:
    """Rows as WildChat has them."""
    rows = [
        {"id": f"{model}-{language}-{toxic}", "model": model, "language": language, "toxic": toxic, "conversation": "Hi"}
        for model in ("gpt-4", "gpt-3.5")
        for language in ("English", "Russian")
        for toxic in (True, False)
    ]
    if kind == "jsonl":
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"conversation": "Hi"}]))
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    where = {"language": ("English",), "toxic": (False,), "model": ("gpt-4", "gpt-5")}
    source = Source(format=kind, path="", columns={"id": "id", "messages": "conversation"}, where=where)
    book = Book(tmp_path)
    reader = ReadSource(source, name="s", location=str(tmp_path / f"a.{kind}"), as_records=True, book=book)
    (document,) = reader.run()
    assert document.id == "gpt-4-English-False"
    assert document.metadata["record"] == {"messages": "Hi"}
    assert book.counts["skipped"] == {"where": 7}
    assert book.counts.get("unreadable") == ({"records": {"missing_column": 1}} if kind == "jsonl" else None)


def test_pages_of_a_warc_have_no_columns_to_be_chosen_by() -> None:
    with pytest.raises(ValueError, match="where chooses rows by their columns, and a warc has none"):
        Source(format="warc", path="", where={"language": ("English",)})


def test_ids_of_the_only_file_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "x#2", "text": "1"}\n' + '{"id": "x", "text": "2"}\n' * 2)
    documents, book = read(tmp_path / "a.jsonl", "jsonl")
    assert ids(documents) == ["x#2", "x", "x#3"]
    assert book.counts["duplicate_ids"] == 1


def test_no_file_at_all_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source 'test': no file matches .*nowhere"):
        read(tmp_path / "nowhere*.jsonl", "jsonl")
