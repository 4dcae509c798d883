"""Reading and writing documents: ours against datatrove's readers and writers, and what working in parts costs.

Both sides read the same JSON lines and WARC records, and parquet shards as their own writers leave them; rows of a shard, which
dedup leaves, are read against a shard that was written anew. `quality` tells megabytes of text a second of both.
"""

import gzip
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow.compute as pc
import zstandard
from datatrove.data import Document

from curation.benchmark.corpus import write_corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size

SEED = 1
PARTS = 2  # a rank's are 50,000 documents each, and cost less


def comparisons(size: Size) -> Iterator[Comparison]:
    documents = size.or_else(8_000)
    write_corpus(size.scratch / f"io_{documents}", documents, seed=SEED, data=size.data)
    arguments = (documents, size.scratch)
    pairs: list[tuple[str, Callable[..., Work], Callable[..., Work]]] = [
        ("datatrove ParquetWriter (snappy)", write_shard, write_parquet),
        ("datatrove ParquetWriter (zstd)", write_shard, write_parquet_zstd),
        ("datatrove JsonlWriter (gzip)", write_shard, write_jsonl_gzip),
        ("datatrove JsonlWriter (zstd)", write_shard, write_jsonl_zstd),
        ("datatrove ParquetReader", read_ours, read_parquet),
        ("datatrove JsonlReader (zstd)", read_source, read_jsonl),
        ("datatrove WarcReader", read_warc, read_warc_stock),
        ("a shard that has its texts itself", read_rows, read_kept),
        ("the same in one part", copy_in_parts, copy_in_one_part),
    ]
    for against, ours, stock in pairs:
        comparison = partial(compare, "io", against=against, documents=documents, repeats=size.repeats)
        yield _with_rates(comparison(ours=Way(ours, arguments), stock=Way(stock, arguments), judge=_judge))


def _judge(ours: tuple[int, int], stock: tuple[int, int]) -> dict[str, Any]:
    return {"same": ours == stock, "documents": ours[0], "characters": ours[1]}


def _with_rates(comparison: Comparison) -> Comparison:
    characters = comparison.quality.pop("characters")
    comparison.quality["ours_mb_per_second"] = characters / comparison.ours_seconds / 1e6
    comparison.quality["stock_mb_per_second"] = characters / comparison.stock_seconds / 1e6
    return comparison


# ---------------------------------------------------------------------------------------------------- writing


def write_shard(documents: int, scratch: Path) -> Work:
    from curation.shards import ShardWriter

    docs = _documents(documents, scratch)

    def work() -> tuple[int, int]:
        writer = ShardWriter(scratch / "shard.parquet")
        for doc in docs:
            writer.write(doc)
        writer.close()
        return _count(docs)

    return _warmed(work)


def write_parquet(documents: int, scratch: Path, compression: str = "snappy") -> Work:
    from datatrove.pipeline.writers import ParquetWriter

    return _write_stock(lambda folder: ParquetWriter(folder, compression=compression), documents, scratch)


def write_parquet_zstd(documents: int, scratch: Path) -> Work:
    return write_parquet(documents, scratch, "zstd")


def write_jsonl_gzip(documents: int, scratch: Path, compression: str = "gzip") -> Work:
    from datatrove.pipeline.writers import JsonlWriter

    return _write_stock(lambda folder: JsonlWriter(folder, compression=compression), documents, scratch)


def write_jsonl_zstd(documents: int, scratch: Path) -> Work:
    return write_jsonl_gzip(documents, scratch, "zstd")


def _write_stock(make: Callable[[str], Any], documents: int, scratch: Path) -> Work:
    docs = _documents(documents, scratch)

    def work() -> tuple[int, int]:
        with make(str(_emptied(scratch / "stock"))) as writer:
            for doc in docs:
                writer.write(doc)
        return _count(docs)

    return _warmed(work)


# ---------------------------------------------------------------------------------------------------- reading


def read_ours(documents: int, scratch: Path) -> Work:
    from curation.shards import read_shard

    write_shard(documents, scratch)()
    return _warmed(lambda: _count(read_shard(scratch / "shard.parquet")))


def read_parquet(documents: int, scratch: Path) -> Work:
    from datatrove.pipeline.readers import ParquetReader

    write_parquet(documents, scratch)()
    reader = ParquetReader(str(scratch / "stock"))
    return _warmed(lambda: _count(reader.run()))


def read_rows(documents: int, scratch: Path) -> Work:
    """What dedup leaves where it drops every eighth document: rows of the shard before."""
    from curation.shards import RowWriter, read_shard
    from recipes.shards import ShardFile

    write_shard(documents, scratch)()
    shard, path = ShardFile(scratch / "shard.parquet"), scratch / "rows.parquet"
    writer = RowWriter(path, shard.texts, path.parent)
    for group in range(shard.num_groups):
        rows = shard.rows(group)
        writer.write(rows.filter(pc.not_equal(pc.bit_wise_and(rows["row"], 7), 7)), num_chars=0)
    writer.close()
    return _warmed(lambda: _count(read_shard(path)))


def read_kept(documents: int, scratch: Path) -> Work:
    from curation.shards import ShardWriter, read_shard

    path = scratch / "kept.parquet"
    writer = ShardWriter(path)
    for number, doc in enumerate(_documents(documents, scratch)):
        if number % 8 != 7:
            writer.write(doc)
    writer.close()
    return _warmed(lambda: _count(read_shard(path)))


def read_source(documents: int, scratch: Path) -> Work:
    return _read_source("jsonl", _write_lines(documents, scratch), scratch)


def read_warc(documents: int, scratch: Path) -> Work:
    return _read_source("warc", _write_warc(documents, scratch), scratch)


def _read_source(kind: Literal["jsonl", "warc"], file: Path, scratch: Path) -> Work:
    from curation.book import Book
    from curation.sources.read import ReadSource
    from recipes.schema import Source

    def work() -> tuple[int, int]:
        source = Source(format=kind, path="")
        return _count(ReadSource(source, name="s", location=str(file), as_records=False, book=Book(scratch)).run())

    return _warmed(work)


def read_jsonl(documents: int, scratch: Path) -> Work:
    from datatrove.pipeline.readers import JsonlReader

    reader = JsonlReader(str(_write_lines(documents, scratch).parent))
    return _warmed(lambda: _count(reader.run()))


def read_warc_stock(documents: int, scratch: Path) -> Work:
    from datatrove.pipeline.readers import WarcReader

    reader = WarcReader(str(_write_warc(documents, scratch).parent))
    return _warmed(lambda: _count(reader.run()))


def _write_lines(documents: int, scratch: Path) -> Path:
    file = _emptied(scratch / "lines") / "00000.jsonl.zst"
    with zstandard.open(file, "wb") as out:
        for doc in _documents(documents, scratch):
            out.write(orjson.dumps({"id": doc.id, "text": doc.text, **doc.metadata}) + b"\n")
    return file


def _write_warc(documents: int, scratch: Path) -> Path:
    """A gzip member a record, as Common Crawl has them."""
    file = _emptied(scratch / "warc") / "00000.warc.gz"
    with open(file, "wb") as out:
        for doc in _documents(documents, scratch):
            body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><p>{doc.text}</p></html>".encode()
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{doc.id}>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
                f"WARC-Target-URI: {doc.metadata['url']}\r\nContent-Type: application/http; msgtype=response\r\n"
                f"WARC-Identified-Payload-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            out.write(gzip.compress(head.encode() + body + b"\r\n\r\n", 6, mtime=0))
    return file


# ---------------------------------------------------------------------------------------------------- parts


def copy_in_parts(documents: int, scratch: Path, parts: int = PARTS) -> Work:
    """A stage that does nothing but read and write: the one that parts cost most, compared with its work."""
    import curation.parts
    from curation.book import Book
    from curation.parts import InParts, working_folder
    from curation.steps import DOCUMENTS, ReadDocuments, WriteDocuments

    (scratch / DOCUMENTS).mkdir(exist_ok=True)
    write_shard(documents, scratch)()
    (scratch / "shard.parquet").replace(scratch / DOCUMENTS / "00000.parquet")
    out = scratch / f"parts_{parts}"
    curation.parts.PART_DOCUMENTS = -(-documents // parts)

    def work() -> tuple[int, int]:
        _emptied(out)
        book = Book(working_folder(out, 0))
        reader = ReadDocuments(scratch, book)
        InParts(out, [reader], [WriteDocuments(book)], book).run(reader.run(None), 0, 1)  # type: ignore[arg-type]
        return book.counts["documents_out"], book.counts["characters_out"]

    return _warmed(work)


def copy_in_one_part(documents: int, scratch: Path) -> Work:
    return copy_in_parts(documents, scratch, parts=1)


def _documents(number: int, scratch: Path) -> list[Document]:
    from curation.shards import read_shard

    shards = sorted((scratch / f"io_{number}" / "documents").glob("*.parquet"))
    return [doc for shard in shards for doc in read_shard(shard)]


def _warmed(work: Work) -> Work:
    """The first time loads libraries and asks for memory."""
    work()
    return work


def _count(docs: Any) -> tuple[int, int]:
    """Documents and characters."""
    num_docs = num_chars = 0
    for doc in docs:
        num_docs += 1
        num_chars += len(doc.text)
    return num_docs, num_chars


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
