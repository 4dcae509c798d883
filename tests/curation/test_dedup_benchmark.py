"""The benchmark of deduplication measures what it says."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import curation.dedup.key_ranges
import curation.parts
import curation.shards
from curation.benchmark import corpus as texts
from curation.benchmark import dedup

DOCUMENTS = 90


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    some = texts._random_sentences(1, 300)
    monkeypatch.setattr(texts, "_random_sentences", lambda seed: some)
    monkeypatch.setattr(dedup, "WARM_UP", 12)
    monkeypatch.setattr(curation.shards, "ROWS_PER_GROUP", 10)
    texts.write_corpus(tmp_path / "corpus-12", 12, seed=1, data=None)
    return texts.write_corpus(tmp_path / "corpus-90", DOCUMENTS, seed=1, data=None)


def test_the_stage_is_run_whole_and_judged_by_similarities_computed_anew(corpus: Path, tmp_path: Path) -> None:
    counts = dedup.ours(corpus, tmp_path / "ours")()
    quality = dedup._judge(corpus, tmp_path / "ours", counts)
    dropped = counts["exact_duplicates"] + counts["near_duplicates"]
    assert dropped > 3
    assert counts["documents_out"] == DOCUMENTS - dropped
    assert (quality["precision"], quality["merged_below_half"]) == (1.0, 0)
    assert quality["recall"] >= 0.9
    assert quality["index_bytes_per_document"] > 500


def test_many_parts_of_a_rank_find_what_one_finds(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = dedup.ours(corpus, tmp_path / "one")()
    monkeypatch.setattr(curation.parts, "PART_DOCUMENTS", 10)
    monkeypatch.setattr(curation.dedup.key_ranges, "BYTES_PER_RANGE", 3_000)
    assert dedup.ours(corpus, tmp_path / "many")() == one
    kept = [pq.read_table(tmp_path / name / "dedup" / "documents").to_pylist() for name in ("one", "many")]
    assert kept[0] == kept[1]
    for name in ("clusters", "pairs"):
        tables = [pq.read_table(tmp_path / folder / "dedup_clusters" / f"{name}.parquet") for folder in ("one", "many")]
        assert tables[0].equals(tables[1])


def test_a_pair_that_was_merged_wrongly_is_seen(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = dedup.ours(corpus, tmp_path / "ours")()
    others = {id_: f"{id_} {number}" for number, id_ in enumerate(dedup._texts(corpus))}
    monkeypatch.setattr(dedup, "_texts", lambda _: others)
    quality = dedup._judge(corpus, tmp_path / "ours", counts)
    assert (quality["precision"], quality["recall"]) == (0.0, 1.0)  # no planted pair is similar any more
    assert quality["merged_below_half"] > 3


def test_datasketch_finds_about_as_many_duplicates(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasketch")
    kept = dedup.ours(corpus, tmp_path / "ours")()["documents_out"]
    assert abs(dedup.datasketch(corpus, tmp_path / "stock")() - kept) <= 4


@pytest.mark.slow
def test_datatrove_finds_about_as_many_duplicates(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    kept = dedup.ours(corpus, tmp_path / "ours")()["documents_out"]
    assert abs(dedup.datatrove(corpus, tmp_path / "stock")() - kept) <= 4
