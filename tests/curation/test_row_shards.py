"""Shards whose texts lie in another shard: what they give is what a shard with these texts would."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document

import curation.shards
from curation.book import Book
from curation.shards import RowWriter, ShardWriter, num_documents, read_shard
from curation.sources.read import ReadSource
from recipes.schema import Source
from recipes.shards import DOCUMENT_SCHEMA, ShardFile, has_documents, has_rows

NUM_DOCS, ROWS_PER_GROUP = 100, 8
DOCS = [
    Document(text=f"text {i} " * (i % 5) + "é∑" * (i % 3), id=f"d{i}", metadata={"url": f"https://x/{i}"})
    for i in range(NUM_DOCS)
]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation.shards, "ROWS_PER_GROUP", ROWS_PER_GROUP)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    writer = ShardWriter(tmp_path / "run" / "read" / "documents" / "00000.parquet")
    for doc in DOCS:
        writer.write(doc)
    writer.close()
    return writer.path


def choose(shard: Path, stays: list[bool], stage: str = "dedup", *, chars: int = 10) -> Path:
    """Rows of a shard, as a stage that works elsewhere until it is done leaves them."""
    source = ShardFile(shard)
    working, final = shard.parents[2] / stage / "logs" / "working" / "00000.parquet", shard.parents[2] / stage / "documents"
    writer = RowWriter(working, source.texts, final)
    done = 0
    for group in range(source.num_groups):
        rows = source.rows(group)
        here = stays[done : done + len(rows)]
        writer.write(rows.filter(pa.array(here, pa.bool_())), num_chars=chars)
        done += len(rows)
    writer.close()
    final.mkdir(parents=True)
    return working.replace(final / "00000.parquet")


def told(docs: Any) -> list[tuple[str, str, dict[str, Any]]]:
    return [(doc.id, doc.text, doc.metadata) for doc in docs]


def written(docs: list[Document], number: int, text: str) -> bytes:
    """A shard of these documents, one of them with another text, which may be as long as its own."""
    with TemporaryDirectory() as folder:
        writer = ShardWriter(Path(folder) / "00000.parquet")
        for place, doc in enumerate(docs):
            changed = doc.text.replace("t", text, 1) if len(text) == 1 else text
            writer.write(Document(text=changed if place == number else doc.text, id=doc.id, metadata=doc.metadata))
        writer.close()
        return writer.path.read_bytes()


SHARES = {"all": 1.0, "most": 0.85, "half": 0.5, "few": 0.05, "none": 0.0}


@pytest.mark.parametrize("share", SHARES)
def test_rows_give_the_documents_that_were_chosen(shard: Path, share: str) -> None:
    stays = (np.random.default_rng(7).random(NUM_DOCS) < SHARES[share]).tolist()
    wanted = [doc for doc, is_kept in zip(DOCS, stays, strict=True) if is_kept]
    path = choose(shard, stays)
    assert num_documents(path) == len(wanted)
    for first in range(0, len(wanted) + 1, 7):
        assert told(read_shard(path, first)) == told(wanted[first:])
    rows = ShardFile(path)
    tables = [rows.documents(group) for group in range(rows.num_groups)]
    assert all(table.schema == DOCUMENT_SCHEMA for table in tables)
    for place, doc in enumerate(wanted):
        assert rows.document(place) == {"id": doc.id, "text": doc.text, "metadata": json.dumps(doc.metadata).replace(" ", "")}
    assert "text" not in pq.read_schema(path).names
    assert has_rows(pq.read_schema(path))
    assert has_documents(pq.read_schema(path))


def test_a_shard_with_texts_gives_its_rows_and_documents(shard: Path) -> None:
    whole = ShardFile(shard)
    rows = pa.concat_tables([whole.rows(group) for group in range(whole.num_groups)])
    assert rows["row"].to_pylist() == list(range(NUM_DOCS))
    assert [whole.document(place)["text"] for place in range(NUM_DOCS)] == [doc.text for doc in DOCS]
    with pytest.raises(IndexError, match="no row 100"):
        whole.document(NUM_DOCS)


def test_rows_of_rows_are_rows_of_the_shard_that_has_the_texts(shard: Path) -> None:
    first = choose(shard, [i % 3 > 0 for i in range(NUM_DOCS)])
    kept = [doc for i, doc in enumerate(DOCS) if i % 3]
    second = choose(first, [i % 2 > 0 for i in range(len(kept))], "again")
    assert ShardFile(second).texts == shard
    shutil.rmtree(first.parent)
    assert told(read_shard(second)) == told(kept[1::2])


def test_row_groups_end_by_what_their_texts_take(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation.shards, "CHARS_PER_GROUP", 40)
    few = [i % 8 == 0 for i in range(NUM_DOCS)]
    assert ShardFile(choose(shard, few, "short", chars=10)).num_groups == 4
    assert ShardFile(choose(shard, few, "longer", chars=30)).num_groups == 13
    assert ShardFile(choose(shard, few, "too_long", chars=50)).num_groups == 13


def test_results_can_be_moved(shard: Path, tmp_path: Path) -> None:
    path = choose(shard, [True] * NUM_DOCS)
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    (tmp_path / "run").rename(moved)
    assert told(read_shard(moved / path.relative_to(tmp_path / "run"))) == told(DOCS)


def test_texts_that_are_gone_or_changed_are_an_error_that_names_them(shard: Path) -> None:
    path = choose(shard, [True] * NUM_DOCS)
    content = shard.read_bytes()
    changed = f"{path} lie in {shard}, which has changed since; remove the folders of both stages"
    damages = [content[:-100], content[:2000] + b"?" + content[2001:], b"", b"PAR1"]
    for damage in [written(DOCS, number, "%") for number in (1, 51, 99)] + damages:
        assert damage != content
        shard.write_bytes(damage)
        with pytest.raises(ValueError, match=changed):
            list(read_shard(path))
    shard.write_bytes(written(DOCS[::-1], 0, DOCS[-1].text))
    with pytest.raises(ValueError, match=changed):
        ShardFile(path).document(0)
    shard.unlink()
    with pytest.raises(ValueError, match=f"{path} lie in {shard}, which is gone; run its page again"):
        ShardFile(path).document(0)
    shard.write_bytes(content)
    assert told(read_shard(path)) == told(DOCS)


def test_shards_of_rows_are_written_with_their_texts(shard: Path, tmp_path: Path) -> None:
    path = choose(shard, [i % 5 > 0 for i in range(NUM_DOCS)])
    command = [sys.executable, "-m", "curation.shards"]
    done = subprocess.run([*command, str(path.parent), str(tmp_path / "out")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "80 documents\n"), done.stderr
    rows = pq.read_table(tmp_path / "out" / "00000.parquet").to_pylist()
    assert [(row["id"], row["text"]) for row in rows] == [(doc.id, doc.text) for doc in DOCS if int(doc.id[1:]) % 5]
    assert pq.read_schema(tmp_path / "out" / "00000.parquet") == DOCUMENT_SCHEMA
    wrong = subprocess.run([*command, str(tmp_path / "run"), str(tmp_path / "out")], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        f"error: {tmp_path}/run has no shards; name a stage's folder `documents`, or one of those in `dropped`\n",
    )


def test_rows_that_lie_where_their_texts_cannot_be_found_are_refused(shard: Path, tmp_path: Path) -> None:
    path = choose(shard, [True] * NUM_DOCS)
    with fsspec.open("memory://rows/00000.parquet", "wb") as file:
        file.write(path.read_bytes())
    source = Source(format="parquet", path="")
    reader = ReadSource(source, name="s", location="memory://rows/00000.parquet", as_records=False, book=Book(tmp_path / "book"))
    with pytest.raises(ValueError, match=r"has rows of another shard in place of texts.*python -m curation.shards FOLDER OUT"):
        list(reader.run())


@pytest.mark.parametrize("as_records", [False, True])
def test_a_source_of_a_page_may_be_rows(shard: Path, tmp_path: Path, as_records: bool) -> None:
    stays = [i % 5 > 0 for i in range(NUM_DOCS)]
    book = Book(tmp_path / "book")
    reader = ReadSource(
        Source(format="parquet", path=""), name="s", location=str(choose(shard, stays)), as_records=as_records, book=book
    )
    wanted = [doc for doc in DOCS if int(doc.id[1:]) % 5 and (as_records or doc.text.strip())]
    found = list(reader.run())
    assert [doc.id for doc in found] == [doc.id for doc in wanted]
    assert [doc.metadata["record"]["text"] if as_records else doc.text for doc in found] == [doc.text for doc in wanted]
