"""What keeps deduplication within a small memory changes nothing of its results."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.dedup import clusters, components, key_ranges
from curation.dedup.candidates import NUM_FIRST, NUM_NEIGHBOURS, pairs_in_buckets
from curation.dedup.components import find_components
from curation.dedup.drops import RankDrops
from curation.dedup.key_ranges import NUM_KEYS, SortedFiles, SortedWriter
from curation.dedup.shingles import text_keys
from recipes.schema import DedupStage
from tests.curation.dedup_run import Run, doc, shard, text_of
from tests.curation.test_dedup_against import dump

SCHEMA = pa.schema([("key", pa.uint64()), ("value", pa.int64())])


def sorted_files(folder: Path, keys: list[np.ndarray]) -> SortedFiles:
    paths = []
    for number, some in enumerate(keys):
        writer = SortedWriter(folder / f"{number:05d}.parquet", SCHEMA)
        for part in np.array_split(some, 3):
            writer.write(pa.table([pa.array(part), pa.array(part.astype(np.int64) % 7)], schema=SCHEMA))
        writer.close()
        paths.append(writer.path)
    return SortedFiles(paths)


def test_ranges_of_all_ranks_hold_every_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "ROWS_PER_GROUP", 10)
    monkeypatch.setattr(key_ranges, "BYTES_PER_RUN", 1_000)
    monkeypatch.setattr(key_ranges, "BYTES_PER_RANGE", 2_000)
    rng = np.random.default_rng(0)
    keys = [
        rng.integers(0, NUM_KEYS, 400, np.uint64, endpoint=False),
        np.array([0, 1, NUM_KEYS - 1], np.uint64),
        np.zeros(0, np.uint64),
    ]
    files = sorted_files(tmp_path, keys)
    ranges = [part for rank in range(3) for part in files.ranges(rank, 3)]
    assert len(ranges) == 6
    found = [files.read(low, high) for low, high in ranges]
    assert sum(map(len, found)) == files.num_rows == 403
    read = np.sort(pa.concat_tables(found)["key"].to_numpy())
    assert np.array_equal(read, np.sort(np.concatenate(keys)))
    assert {int(number) for part in found for number in part["file"].to_numpy()} == {0, 1}


@pytest.mark.parametrize("bytes_per_part", [200, 1 << 30])
def test_components_are_those_of_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_per_part: int) -> None:
    monkeypatch.setattr(components, "BYTES_PER_PART", bytes_per_part)
    rng = np.random.default_rng(1)
    names = rng.integers(0, NUM_KEYS, 500, np.uint64, endpoint=False)
    one, other = rng.integers(0, 500, (2, 300))
    chain = np.arange(100)  # long thin components take the most rounds
    one, other = np.r_[one, chain, [7]], np.r_[other, chain + 1, [7]]
    edges = [(names[a], names[b]) for a, b in zip(np.array_split(one, 3), np.array_split(other, 3), strict=True)]
    nodes, smallest = (np.concatenate(part) for part in zip(*find_components(edges, len(one), tmp_path), strict=True))
    assert len(nodes) == len(np.unique(nodes)) == len(np.unique(np.r_[one, other]))
    truth = connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(500, 500)), directed=False)[1]
    place = {name: number for number, name in enumerate(names.tolist())}
    wanted = {name: min(names[truth == truth[place[name]]].tolist()) for name in nodes.tolist()}
    assert dict(zip(nodes.tolist(), smallest.tolist(), strict=True)) == wanted
    assert not list(tmp_path.glob(".edges*"))


def test_no_edges_have_no_components(tmp_path: Path) -> None:
    assert sum(len(nodes) for nodes, _ in find_components([], 0, tmp_path)) == 0


def test_ranges_and_parts_and_buckets_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = DedupStage(do="dedup", url=True)
    docs = [*dump("a", 1), *dump("b", 2)]
    whole = Run(tmp_path / "whole", [docs], params, num_buckets=1).drop()
    monkeypatch.setattr(key_ranges, "ROWS_PER_GROUP", 100)
    monkeypatch.setattr(key_ranges, "BYTES_PER_RUN", 20_000)
    monkeypatch.setattr(key_ranges, "BYTES_PER_RANGE", 20_000)
    monkeypatch.setattr(components, "BYTES_PER_PART", 1_000)
    monkeypatch.setattr(clusters, "ROWS_PER_PART", 20)
    pieces = Run(tmp_path / "pieces", shard(docs, 5), params, num_buckets=3).drop()
    assert pieces.dropped == whole.dropped
    assert pieces.clusters == whole.clusters
    assert pieces.counts == whole.counts
    assert not (tmp_path / "pieces" / ".scratch.tmp").exists()


def test_without_numba_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = dump("a", 3)
    compiled = Run(tmp_path / "compiled", shard(docs, 2)).drop()
    for module in ("shingles", "shingle_file", "decisions"):
        monkeypatch.setattr(f"curation.dedup.{module}.compiled", lambda: False)
    plain = Run(tmp_path / "plain", shard(docs, 2)).drop()
    assert plain.dropped == compiled.dropped
    assert plain.clusters == compiled.clusters


def test_drops_go_on_where_a_killed_rank_left_them(tmp_path: Path) -> None:
    texts = [text_of(seed) for seed in (1, 1, 2, 1, 2, 3)]
    docs = [doc(id_, text) for id_, text in zip(("same", "same", "a", "same", "b", "same"), texts, strict=True)]
    Run(tmp_path, [docs])
    keys = text_keys(pa.array(texts, pa.large_string())).tolist()
    asked = [(one.id, key) for one, key in zip(docs, keys, strict=True)]
    whole = RankDrops(tmp_path, 0)
    fates = [whole.take(*one) for one in asked]
    assert [fate is None for fate in fates] == [True, False, True, False, False, True]
    for killed_at in range(len(asked) + 1):
        first = RankDrops(tmp_path, 0)
        before = [first.take(*one) for one in asked[:killed_at]]
        again = RankDrops(tmp_path, 0, json.loads(json.dumps(first.memory)))
        assert before + [again.take(*one) for one in asked[killed_at:]] == fates
        assert (again.num_left, again.memory) == (0, whole.memory)


def test_buckets_up_to_the_limit_are_compared_whole_and_larger_ones_with_the_most_wanted() -> None:
    size = NUM_NEIGHBOURS + 1
    pairs, large = pairs_in_buckets(np.zeros(size, np.uint64))
    assert (len({tuple(pair) for pair in pairs.tolist()}), large) == (size * (size - 1) // 2, 0)
    pairs, large = pairs_in_buckets(np.r_[np.zeros(300, np.uint64), np.arange(1, 101, dtype=np.uint64)])
    found = {tuple(pair) for pair in pairs.tolist()}
    assert large == 1
    assert len(found) == len(pairs)
    assert all(first < second < 300 for first, second in found)
    assert {(a, b) for a in range(NUM_FIRST) for b in range(a + 1, 300)} <= found
    assert {(i, i + NUM_NEIGHBOURS) for i in range(300 - NUM_NEIGHBOURS)} <= found
