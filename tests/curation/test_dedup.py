"""Duplicates: found exactly, dropped only for a kept document they resemble, whatever the sharding."""

import csv
import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document

from curation.dedup.shingles import MinHash, Shingler, jaccard
from tests.curation.dedup_run import PARAMS, Run, changed, doc, shard, text_of


def test_of_equal_texts_the_one_with_the_best_score_is_kept(tmp_path: Path) -> None:
    text = text_of(1)
    docs = [doc("a", text, math_score=0.2), doc("b", f"  {text}\n", math_score=0.9), doc("c", text)]
    run = Run(tmp_path, [[docs[0]], [docs[1]], [docs[2]]]).drop()
    assert run.kept_ids == ["b"]
    assert run.dropped == {"a": ("exact_duplicate", "b", 1.0), "c": ("exact_duplicate", "b", 1.0)}


def test_without_scores_the_longest_then_the_smallest_id_is_kept(tmp_path: Path) -> None:
    text = text_of(2)
    run = Run(tmp_path, [[doc("b", text), doc("z", f"{text} sigma"), doc("c", text_of(3)), doc("a", text_of(3))]]).drop()
    assert run.kept_ids == ["a", "z"]
    assert run.dropped["b"] == ("near_duplicate", "z", pytest.approx(196 / 197, abs=1e-4))


def test_texts_that_are_not_similar_enough_are_kept(tmp_path: Path) -> None:
    text = text_of(4)
    run = Run(tmp_path, [[doc("a", text), doc("b", changed(text, list(range(10, 200, 20)))), doc("c", text_of(5))]]).drop()
    assert run.kept_ids == ["a", "b", "c"]
    assert run.counts["near_duplicates"] == 0


def test_a_chain_does_not_drop_what_no_kept_document_resembles(tmp_path: Path) -> None:
    steps = [text_of(6, 300)]
    for start in range(0, 240, 20):  # each step replaces 20 words at another place: J of neighbours is about 0.85
        steps.append(changed(steps[-1], list(range(start, start + 20)), word=f"step{start}"))
    docs = [doc(f"{i:02d}", text, math_score=1 - i / 100) for i, text in enumerate(steps)]
    run = Run(tmp_path, shard(docs, 3)).drop()
    shingles = [Shingler(5)(text) for text in steps]
    assert len({row["cluster"] for row in run.clusters}) == 1
    assert 2 < len(run.kept) < len(docs)
    for id_, (reason, kept, similar) in run.dropped.items():
        assert reason == "near_duplicate"
        assert kept in run.kept_ids
        assert similar == pytest.approx(jaccard(shingles[int(id_)], shingles[int(kept)]), abs=1e-4)
        assert similar >= PARAMS.min_jaccard


def collection() -> list[Document]:
    rng = random.Random(8)
    docs = []
    for i in range(60):
        text = text_of(100 + i, 120)
        docs.append(doc(f"base{i:02d}", text, math_score=rng.random()))
        for j in range(rng.randrange(4)):
            near = changed(text, rng.sample(range(120), rng.randrange(6)), word=f"new{j}")
            docs.append(doc(f"copy{i:02d}_{j}", near, math_score=rng.random()))
    return docs


@pytest.mark.parametrize("num_shards", [1, 3, 7])
def test_the_result_does_not_depend_on_shards_or_order(tmp_path: Path, num_shards: int) -> None:
    one = Run(tmp_path / "one", [collection()]).drop()
    other = Run(tmp_path / "other", shard(collection(), num_shards, seed=num_shards)).drop()
    assert other.kept_ids == one.kept_ids
    assert len(one.kept_ids) < len(collection())
    assert other.dropped == one.dropped
    for name in ("clusters.parquet", "pairs.parquet"):
        hashes = [hashlib.sha256((tmp_path / run / name).read_bytes()).hexdigest() for run in ("one", "other")]
        assert hashes[0] == hashes[1]


def test_short_texts_are_duplicates_only_if_they_are_equal(tmp_path: Path) -> None:
    docs = [doc("a", "2 + 2 = 4"), doc("b", "2 - 2 = 4"), doc("c", "2 + 2\n= 4"), doc("d", ""), doc("e", "")]
    run = Run(tmp_path, [docs[:2], docs[2:]]).drop()
    assert run.kept_ids == ["a", "b", "d"]
    assert run.dropped["c"] == ("exact_duplicate", "a", 1.0)


@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_repeated_ids_lose_exactly_their_repeated_texts(tmp_path: Path, num_shards: int) -> None:
    docs = [doc("same", text_of(20)) for _ in range(3)] + [doc("same", text_of(21)), doc("other", text_of(22))]
    run = Run(tmp_path, shard(docs, num_shards)).drop()
    assert sorted(one.text for one in run.kept) == sorted(text_of(seed) for seed in (20, 21, 22))
    assert run.counts["exact_duplicates"] == 2


@pytest.mark.parametrize("num_shards", [1, 3])
def test_copies_of_a_near_duplicate_are_all_dropped(tmp_path: Path, num_shards: int) -> None:
    text = text_of(23)
    docs = [doc("twice", changed(text, [5])), doc("twice", changed(text, [5])), doc("best", text, math_score=1.0)]
    run = Run(tmp_path, shard(docs, num_shards)).drop()
    assert run.kept_ids == ["best"]
    assert run.dropped["twice"][:2] == ("near_duplicate", "best")
    assert run.counts["near_duplicates"] == 2


def test_empty_shards_are_no_obstacle(tmp_path: Path) -> None:
    run = Run(tmp_path, [[], [doc("a", text_of(24))], []]).drop()
    assert run.kept_ids == ["a"]
    assert Run(tmp_path / "none", [[]]).counts["documents"] == 0


def test_signatures_estimate_the_true_similarity_as_well_as_datasketch() -> None:
    datasketch = pytest.importorskip("datasketch")
    one, other = (Shingler(5)(text) for text in (text_of(30, 600), changed(text_of(30, 600), list(range(0, 600, 60)))))
    true = jaccard(one, other)
    assert true == pytest.approx(len(np.intersect1d(one, other)) / len(np.union1d(one, other)))
    ours = [MinHash(128, 1, seed) for seed in range(20)]
    theirs = [datasketch.MinHash(128, seed=seed + 1, hashfunc=lambda value: value & 0xFFFFFFFF) for seed in range(20)]
    errors = [abs((minhash.signature(one) == minhash.signature(other)).mean() - true) for minhash in ours]
    peer_errors = []
    for empty in theirs:
        both = [empty.copy(), empty.copy()]
        for sketch, shingles in zip(both, (one, other), strict=True):
            sketch.update_batch(shingles.tolist())
        peer_errors.append(abs(both[0].jaccard(both[1]) - true))
    expected = (true * (1 - true) / 128) ** 0.5  # standard deviation of the estimate
    assert np.mean(errors) < 1.3 * expected
    assert np.mean(errors) < 1.5 * np.mean(peer_errors)


def test_real_deployed_versions_of_pages_are_found_and_nothing_else(tmp_path: Path, shared_data: Path) -> None:
    with gzip.open(shared_data / "peer-tests" / "neardup_docs.jsonl.gz", "rt") as file:
        docs = [doc(record["id"], record["text"]) for record in map(json.loads, file)]
    with open(shared_data / "peer-tests" / "neardup_pairs.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    true = {frozenset((row["id_a"], row["id_b"])): float(row["jaccard_word5"]) for row in rows}
    run = Run(tmp_path, shard(docs, 4)).drop()
    kept = set(run.kept_ids)
    assert [pair for pair, value in true.items() if value >= PARAMS.min_jaccard and pair <= kept] == []
    for id_, (_, other, value) in run.dropped.items():
        assert other in kept
        assert value == pytest.approx(true[frozenset((id_, other))], abs=2e-4)
        assert value >= PARAMS.min_jaccard
