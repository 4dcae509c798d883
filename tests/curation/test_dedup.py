"""Duplicates: found exactly, dropped only for a kept document they resemble, whatever the sharding."""

import csv
import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document

from curation.book import Book, ShardWriter, read_shard
from curation.candidates import NUM_FIRST, NUM_NEIGHBOURS, candidate_pairs, pairs_in_band
from curation.dedup import DropDuplicates, WriteSignatures, find_clusters
from curation.shingles import MinHash, Shingler, jaccard
from recipes.schema import DedupStage

PARAMS = DedupStage(do="dedup")
WORDS = [f"{first}{second}" for first in ("al", "be", "ga", "de", "ep", "ze") for second in ("fa", "ta", "ma", "lon", "ro", "vu")]


def text_of(seed: int, num_words: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=num_words))


def changed(text: str, positions: list[int], word: str = "omega") -> str:
    words = text.split()
    for position in positions:
        words[position] = word
    return " ".join(words)


def doc(id_: str, text: str, **metadata: object) -> Document:
    return Document(text=text, id=id_, metadata=dict(metadata))


class Run:
    """All three parts on documents that lie in shards."""

    def __init__(self, folder: Path, shards: list[list[Document]], params: DedupStage = PARAMS):
        self.folder = folder
        for rank, docs in enumerate(shards):
            writer = ShardWriter(folder / "documents" / f"{rank:05d}.parquet")
            for one in docs:
                writer.write(one)
            writer.close()
            WriteSignatures(params, folder, seed=7).run(read_shard(writer.path), rank, len(shards))
        self.counts = find_clusters(folder / "signatures", folder / "documents", params, folder)
        self.book = Book(folder)
        self.dropped: dict[str, tuple[str, str, float]] = {}
        self.kept = []
        for rank in range(len(shards)):
            step = DropDuplicates(folder / "clusters.parquet", self._drop)
            self.kept += list(step.run(read_shard(folder / "documents" / f"{rank:05d}.parquet"), rank, len(shards)))

    def _drop(self, one: Document, reason: str, detail: str) -> None:
        self.dropped[one.id] = (reason, one.metadata["duplicate_of"], one.metadata["jaccard"])

    @property
    def kept_ids(self) -> list[str]:
        return sorted(one.id for one in self.kept)


def shard(docs: list[Document], num: int, seed: int = 0) -> list[list[Document]]:
    docs = random.Random(seed).sample(docs, len(docs))
    return [docs[rank::num] for rank in range(num)]


def test_of_equal_texts_the_one_with_the_best_score_is_kept(tmp_path: Path) -> None:
    text = text_of(1)
    docs = [doc("a", text, math_score=0.2), doc("b", f"  {text}\n", math_score=0.9), doc("c", text)]
    run = Run(tmp_path, [[docs[0]], [docs[1]], [docs[2]]])
    assert run.kept_ids == ["b"]
    assert run.dropped == {"a": ("exact_duplicate", "b", 1.0), "c": ("exact_duplicate", "b", 1.0)}


def test_without_scores_the_longest_then_the_smallest_id_is_kept(tmp_path: Path) -> None:
    text = text_of(2)
    run = Run(tmp_path, [[doc("b", text), doc("z", f"{text} sigma"), doc("c", text_of(3)), doc("a", text_of(3))]])
    assert run.kept_ids == ["a", "z"]
    assert run.dropped["b"] == ("near_duplicate", "z", pytest.approx(196 / 197, abs=1e-4))


def test_texts_that_are_not_similar_enough_are_kept(tmp_path: Path) -> None:
    text = text_of(4)
    run = Run(tmp_path, [[doc("a", text), doc("b", changed(text, list(range(10, 200, 20)))), doc("c", text_of(5))]])
    assert run.kept_ids == ["a", "b", "c"]
    assert run.counts["near_duplicates"] == 0


def test_a_chain_does_not_drop_what_no_kept_document_resembles(tmp_path: Path) -> None:
    steps = [text_of(6, 300)]
    for start in range(0, 240, 20):  # each step replaces 20 words at another place: J of neighbours is about 0.85
        steps.append(changed(steps[-1], list(range(start, start + 20)), word=f"step{start}"))
    docs = [doc(f"{i:02d}", text, math_score=1 - i / 100) for i, text in enumerate(steps)]
    run = Run(tmp_path, shard(docs, 3))
    shingles = [Shingler(5)(text) for text in steps]
    assert len({row["cluster"] for row in pq.read_table(tmp_path / "clusters.parquet").to_pylist()}) == 1
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
    one = Run(tmp_path / "one", [collection()])
    other = Run(tmp_path / "other", shard(collection(), num_shards, seed=num_shards))
    assert other.kept_ids == one.kept_ids
    assert len(one.kept_ids) < len(collection())
    assert other.dropped == one.dropped
    hashes = [hashlib.sha256((tmp_path / name / "clusters.parquet").read_bytes()).hexdigest() for name in ("one", "other")]
    assert hashes[0] == hashes[1]


def test_short_texts_are_duplicates_only_if_they_are_equal(tmp_path: Path) -> None:
    docs = [doc("a", "2 + 2 = 4"), doc("b", "2 - 2 = 4"), doc("c", "2 + 2\n= 4"), doc("d", ""), doc("e", "")]
    run = Run(tmp_path, [docs[:2], docs[2:]])
    assert run.kept_ids == ["a", "b", "d"]
    assert run.dropped["c"] == ("exact_duplicate", "a", 1.0)


@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_repeated_ids_lose_exactly_their_repeated_texts(tmp_path: Path, num_shards: int) -> None:
    docs = [doc("same", text_of(20)) for _ in range(3)] + [doc("same", text_of(21)), doc("other", text_of(22))]
    run = Run(tmp_path, shard(docs, num_shards))
    assert sorted(one.text for one in run.kept) == sorted(text_of(seed) for seed in (20, 21, 22))
    assert run.counts["duplicate_ids"] == 1
    assert run.counts["exact_duplicates"] == 2


@pytest.mark.parametrize("num_shards", [1, 3])
def test_copies_of_a_near_duplicate_are_all_dropped(tmp_path: Path, num_shards: int) -> None:
    text = text_of(23)
    docs = [doc("twice", changed(text, [5])), doc("twice", changed(text, [5])), doc("best", text, math_score=1.0)]
    run = Run(tmp_path, shard(docs, num_shards))
    assert run.kept_ids == ["best"]
    assert run.dropped["twice"][:2] == ("near_duplicate", "best")
    assert run.counts["near_duplicates"] == 2


def test_empty_shards_are_no_obstacle(tmp_path: Path) -> None:
    run = Run(tmp_path, [[], [doc("a", text_of(24))], []])
    assert run.kept_ids == ["a"]
    assert Run(tmp_path / "none", [[]]).counts["documents"] == 0


def test_a_missing_signature_file_is_named_before_anything_is_dropped(tmp_path: Path) -> None:
    Run(tmp_path, [[doc("a", text_of(25))], [doc("b", text_of(26))]])
    (tmp_path / "signatures" / "00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"has 1 signature files, .* has 2 shards of documents"):
        find_clusters(tmp_path / "signatures", tmp_path / "documents", PARAMS, tmp_path)


def test_documents_that_changed_after_their_signatures_are_an_error(tmp_path: Path) -> None:
    Run(tmp_path, [[doc("a", text_of(27)), doc("b", changed(text_of(27), [3]))]])
    writer = ShardWriter(tmp_path / "documents" / "00000.parquet")
    writer.write(doc("x", text_of(27)))
    writer.write(doc("b", text_of(27)))
    writer.close()
    with pytest.raises(ValueError, match="has changed since its signatures were written"):
        find_clusters(tmp_path / "signatures", tmp_path / "documents", PARAMS, tmp_path)


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


def test_buckets_up_to_the_limit_are_compared_whole_and_larger_ones_with_the_most_wanted() -> None:
    rng = np.random.default_rng(0)
    size = NUM_NEIGHBOURS + 1
    pairs, large = pairs_in_band(np.zeros(size, np.uint64))
    assert (len({tuple(pair) for pair in pairs.tolist()}), large) == (size * (size - 1) // 2, 0)
    keys = rng.permutation(np.r_[np.zeros(300, np.uint64), np.arange(1, 101, dtype=np.uint64)])
    pairs, large = pairs_in_band(keys)
    members = np.flatnonzero(keys == 0)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert large == 1
    assert len(found) == len(pairs)
    assert all(first < second for first, second in found)
    assert {(a, b) for a in members[:NUM_FIRST].tolist() for b in members.tolist() if a < b} <= found
    assert {(members[i], members[i + NUM_NEIGHBOURS]) for i in range(300 - NUM_NEIGHBOURS)} <= found


def test_pairs_of_sizes_that_cannot_reach_the_threshold_are_not_checked() -> None:
    sizes = np.array([100, 80, 74])
    pairs, _ = candidate_pairs(lambda band: np.zeros(3, np.uint64), 2, sizes, 0.75)
    assert pairs.tolist() == [[0, 1], [1, 2]]


def test_real_deployed_versions_of_pages_are_found_and_nothing_else(tmp_path: Path, shared_data: Path) -> None:
    with gzip.open(shared_data / "peer-tests" / "neardup_docs.jsonl.gz", "rt") as file:
        docs = [doc(record["id"], record["text"]) for record in map(json.loads, file)]
    with open(shared_data / "peer-tests" / "neardup_pairs.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    true = {frozenset((row["id_a"], row["id_b"])): float(row["jaccard_word5"]) for row in rows}
    run = Run(tmp_path, shard(docs, 4))
    kept = set(run.kept_ids)
    assert [pair for pair, value in true.items() if value >= PARAMS.min_jaccard and pair <= kept] == []
    for id_, (_, other, value) in run.dropped.items():
        assert other in kept
        assert value == pytest.approx(true[frozenset((id_, other))], abs=2e-4)
        assert value >= PARAMS.min_jaccard
