"""Samples on the report: drawn at random from the documents that a stage kept and dropped, with their formulas marked."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_files import HOSTILE, LATEX, change, example, passed, write_documents
from report_page import Page
from report_road import Road, make_road

from curation.shards import RowWriter
from recipes.report import samples
from recipes.report.figures import clean
from recipes.report.formulas import mark_formulas
from recipes.report.make import render
from recipes.report.record import Record, read_records
from recipes.report.samples import NUM_SAMPLES, SAMPLE_CHARS, excerpt, samples_of
from recipes.shards import ShardFile
from recipes.stage import Stage


def read_stage(road: Road, name: str) -> Record:
    return next(record for record in read_records(road.folders) if record.stage == name)


def filtering(road: Road, sizes: list[int]) -> Stage:
    """A stage that kept `sizes` documents in so many shards."""
    stage = road.stage("curate/x", "clean", "filter", "curation")
    for shard, size in enumerate(sizes):
        write_documents(stage.folder / "documents" / f"{shard:05d}.parquet", [f"{shard}, {i}" for i in range(size)], f"{shard}")
    return road.finish(stage, passed(sum(sizes), 9, sum(sizes), 9), examples={"kept": [example("first", "the first one")]})


def test_samples_are_different_documents_of_the_stage_and_the_same_every_time(road: Road) -> None:
    record = read_stage(road, "clean")
    kept, language, repetition = samples_of(record)
    assert [kind.kind for kind in (kept, language, repetition)] == ["kept", "dropped/language", "dropped/repetition"]
    assert kept.is_random
    assert language.is_random
    drawn = {row["id"] for row in repetition.rows}
    assert len(drawn) == NUM_SAMPLES
    assert drawn <= {f"urn:repeated-{i}" for i in range(9)}
    assert samples_of(record)[2] == repetition
    assert all(row["text"] == clean_bytes(HOSTILE) and row["why"] == "other_language" for row in language.rows)
    assert dict(language.rows[0]["told"]) == {"language": "xx", "language score": 0.31}


def test_samples_of_rows_have_the_texts_of_the_shard_they_are_of(tmp_path: Path) -> None:
    road = Road(tmp_path)
    before = filtering(road, [40])
    stage = road.stage("curate/x", "dedup", "dedup", "curation", documents=before)
    shard = ShardFile(before.folder / "documents" / "00000.parquet")
    rows = pa.concat_tables([shard.rows(group) for group in range(shard.num_groups)])
    for folder, begin in (("documents", 0), ("dropped/near_duplicate", 20)):
        writer = RowWriter(stage.folder / folder / "00000.parquet", shard.texts, stage.folder / folder)
        writer.write(rows.slice(begin, 20), num_chars=0)
        writer.close()
    road.finish(stage, passed(40, 9, 20, 9))
    kept, dropped = samples_of(read_stage(road, "dedup"))
    assert (kept.is_random, dropped.is_random) == (True, True)
    assert {int(row["text"].split(", ")[1]) < 20 for row in kept.rows} == {True}
    assert {int(row["text"].split(", ")[1]) < 20 for row in dropped.rows} == {False}
    assert len(kept.rows) == len(dropped.rows) == NUM_SAMPLES
    shard.path.unlink()
    assert samples_of(read_stage(road, "dedup")) == []  # nor does this manifest name any


def clean_bytes(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def test_another_fingerprint_draws_other_documents_and_every_document_may_be_drawn(tmp_path: Path) -> None:
    stage = filtering(Road(tmp_path), [30, 0, 30])
    drawn = set()
    for number in range(150):
        change(stage.folder, fingerprint=f"{number}")
        [record] = read_records([stage.folder])
        rows = samples_of(record)[0].rows
        assert len(rows) == NUM_SAMPLES
        drawn |= {row["id"] for row in rows}
    assert len(drawn) == 60  # one is missed once in 30 such tests by chance; the seeds are fixed


def test_a_few_documents_are_all_drawn_once(tmp_path: Path) -> None:
    [record] = read_records([filtering(Road(tmp_path), [2]).folder])
    assert sorted(row["text"] for row in samples_of(record)[0].rows) == ["0, 0", "0, 1"]


def test_of_thousands_of_shards_a_few_files_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = filtering(Road(tmp_path), [50])
    outputs = [{"path": f"documents/{shard:05d}.parquet", "bytes": 1000 + shard} for shard in range(3000)]
    for output in outputs[1:]:
        os.link(stage.folder / "documents" / "00000.parquet", stage.folder / str(output["path"]))
    change(stage.folder, outputs=outputs)
    opened: list[Path] = []

    class Counted(pq.ParquetFile):  # type: ignore[misc]
        def __init__(self, path: Path, *more: Any, **named: Any):
            opened.append(path)
            super().__init__(path, *more, **named)

    monkeypatch.setattr(samples.pq, "ParquetFile", Counted)
    [record] = read_records([stage.folder])
    assert len(samples_of(record)[0].rows) == NUM_SAMPLES
    assert len(opened) == NUM_SAMPLES
    assert len(set(opened)) == NUM_SAMPLES


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_where_documents_are_gone_or_damaged_the_examples_on_record_are_shown(tmp_path: Path, harm: str) -> None:
    stage = filtering(Road(tmp_path), [5])
    file = stage.folder / "documents" / "00000.parquet"
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:100])
    [record] = read_records([stage.folder])
    [told] = samples_of(record)
    assert not told.is_random
    assert [row["text"] for row in told.rows] == ["the first one"]
    assert "1 on record of 5" in render("curate/x", [stage.folder])


def test_the_page_shows_drawn_samples_of_each_reason(page: Page) -> None:
    shown = "".join(page.texts)
    assert "3 drawn at random of 1,800" in shown
    assert "3 drawn at random of 500" in shown
    assert shown.count(clean(HOSTILE)) == 3


def test_long_texts_end_at_a_word() -> None:
    assert excerpt("short") == "short"
    cut = excerpt("word " * 1000)
    assert cut.endswith("word …")
    assert SAMPLE_CHARS / 2 < len(cut) <= SAMPLE_CHARS + 2
    assert len(excerpt("x" * 5000)) == SAMPLE_CHARS + 2


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (LATEX, [r"$f(x) = \frac{a}{b} + \sum_{i&lt;n} x_i$", r"\[ \int_0^1 x\,dx \le \tfrac12 \]"]),
        ("It costs $5 to $10, at most $ 12.", []),
        (r"an escaped \$5 and $x$", ["$x$"]),
        ("$$a\n\nb$$ and \\(c\\)", ["$$a\n\nb$$", "\\(c\\)"]),
        ("an open $x\n\nand another paragraph$", []),
        (r"\begin{align*} a &= b \end{align*}", [r"\begin{align*} a &amp;= b \end{align*}"]),
        (r"\begin{align} a \end{equation}", []),
        ("$<b>$", ["$&lt;b&gt;$"]),
    ],
)
def test_formulas_are_found_by_their_delimiters_and_prices_are_none(text: str, formulas: list[str]) -> None:
    marked = mark_formulas(text)
    assert [part.partition(">")[2].partition("</span>")[0] for part in marked.split("<span class=")[1:]] == formulas
    assert marked.striptags() == " ".join(clean(text).split())


def test_a_page_without_formulas_has_no_script_and_a_page_states_its_size(tmp_path: Path) -> None:
    stage = filtering(Road(tmp_path), [5])
    text = render("curate/x", [stage.folder])
    assert "<script" not in text
    assert "script-src" not in text
    assert "font-face" not in text
    assert f"This page is one file of {len(text.encode()) / 1000:.1f}\u00a0kB; it needs" in text
    with_formulas = render("train/demo", make_road(tmp_path / "road").folders)
    assert f"This page is one file of {len(with_formulas.encode()) / 1000:.0f}\u00a0kB, of which KaTeX" in with_formulas
