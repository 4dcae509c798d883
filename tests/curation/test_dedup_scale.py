"""What keeps deduplication within a small memory changes nothing of its results."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.dedup import ReadClusters, cluster_parts, components, key_ranges
from curation.dedup import candidates as candidates_module
from curation.dedup.candidates import NUM_FIRST, NUM_NEIGHBOURS, candidates_of, pairs_in_buckets
from curation.dedup.components import find_components
from curation.dedup.drops import find_drops
from curation.dedup.key_ranges import NUM_KEYS, SortedFiles, SortedWriter, key_order
from curation.dedup.shingles import text_keys
from curation.dedup.whole_folder import whole_folder
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


def test_a_row_is_found_under_each_of_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "BYTES_PER_RUN", 500)
    keys = np.random.default_rng(1).integers(0, NUM_KEYS, (40, 3), np.uint64, endpoint=False)
    writer = SortedWriter(tmp_path / "00000.parquet", SCHEMA)
    for first in range(0, 40, 8):
        writer.write_under(keys[first : first + 8], pa.table([pa.array(range(first, first + 8))], ["value"]))
    writer.close()
    found = SortedFiles([writer.path]).read(0, NUM_KEYS)
    rows = zip(found["key"].to_pylist(), found["value"].to_pylist(), strict=True)
    assert sorted(rows) == sorted((int(key), row) for row, some in enumerate(keys) for key in some)


def test_columns_are_written_by_their_names(tmp_path: Path) -> None:
    writer = SortedWriter(tmp_path / "00000.parquet", pa.schema([("key", pa.uint64()), ("a", pa.int64()), ("b", pa.int64())]))
    writer.write(pa.table({"b": [1], "key": pa.array([7], pa.uint64()), "a": [2]}))
    writer.close()
    assert SortedFiles([writer.path]).read(0, 10).select(["key", "a", "b"]).to_pylist() == [{"key": 7, "a": 2, "b": 1}]


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


@pytest.mark.parametrize("largest", [1, 3, 300, 2**16, 2**40, 2**64])
def test_keys_are_ordered_by_their_upper_bits_and_small_ones_wholly(largest: int) -> None:
    for count in (0, 1, 2, 1_000):
        keys = np.random.default_rng(count).integers(0, largest, count, np.uint64)
        lower_bits = max(0, int(keys.max(initial=0)).bit_length() - 16)
        assert np.array_equal(key_order(keys), np.argsort(keys >> np.uint64(lower_bits), kind="stable"))
        assert lower_bits == 0 or largest > 2**16


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


@pytest.mark.parametrize("killed_in_turn", [1, 2, 3])
def test_components_go_on_behind_the_last_turn_of_a_killed_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in_turn: int
) -> None:
    nodes = np.arange(40, dtype=np.uint64)
    edges = [(nodes[1:], nodes[:-1])]
    whole = [part[0].tolist() for part in zip(*find_components(edges, 39, tmp_path / "whole"), strict=True)]
    turns = iter(range(10))

    def killed(folder: Path) -> Any:
        if next(turns) == killed_in_turn:
            raise InterruptedError
        return whole_folder(folder)

    def not_asked_for() -> Iterator[Any]:
        raise AssertionError("the edges were read before")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(components, "whole_folder", killed)
        with pytest.raises(InterruptedError):
            list(find_components(edges, 39, tmp_path / "again"))
    again = [part[0].tolist() for part in zip(*find_components(not_asked_for(), 39, tmp_path / "again"), strict=True)]
    assert again == whole == [nodes.tolist(), [0] * 40]


def test_clusters_that_were_brought_together_are_not_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "BYTES_PER_RANGE", 2_000)
    monkeypatch.setattr(cluster_parts, "ROWS_PER_PART", 20)
    monkeypatch.setattr(cluster_parts, "RANGES_AT_ONCE", 1)
    run = Run(tmp_path, shard([*dump("a", 1), *dump("b", 2)], 2), num_buckets=1)

    def parts() -> list[pa.Table]:
        read = ReadClusters([run.signatures], tmp_path, tmp_path / "scratch", run.book, urls=False, stage=tmp_path)
        return [part.members for part in read.run(None)]

    whole = parts()
    folders = sorted((tmp_path / "scratch" / "parts").iterdir())
    assert min(len(whole), len(folders)) > 2
    shutil.rmtree(folders[1])
    monkeypatch.setattr(cluster_parts, "find_components", None)
    written = []

    def noted(folder: Path) -> Any:
        written.append(folder)
        return whole_folder(folder)

    monkeypatch.setattr(cluster_parts, "whole_folder", noted)
    again = parts()
    assert written == [folders[1]]
    assert [part.equals(other) for part, other in zip(again, whole, strict=True)] == [True] * len(whole)


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
    monkeypatch.setattr(cluster_parts, "ROWS_PER_PART", 20)
    monkeypatch.setattr(cluster_parts, "RANGES_AT_ONCE", 2)
    pieces = Run(tmp_path / "pieces", shard(docs, 5), params, num_buckets=3).drop()
    assert pieces.dropped == whole.dropped
    assert pieces.clusters == whole.clusters
    assert pieces.counts == whole.counts


def test_without_numba_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = dump("a", 3)
    compiled = Run(tmp_path / "compiled", shard(docs, 2)).drop()
    monkeypatch.setattr("curation.dedup.shingles.compiled", lambda: False)
    plain = Run(tmp_path / "plain", shard(docs, 2)).drop()
    assert plain.dropped == compiled.dropped
    assert plain.clusters == compiled.clusters


def test_of_copies_with_one_id_and_text_the_first_one_stays(tmp_path: Path) -> None:
    texts = [text_of(seed) for seed in (1, 1, 2, 1, 2, 3)]
    ids = ["same", "same", "a", "same", "b", "same"]
    Run(tmp_path, [[doc(id_, text) for id_, text in zip(ids, texts, strict=True)]])
    documents = pa.table({"id": ids, "text": text_keys(pa.array(texts, pa.large_string()))})
    drops = find_drops(tmp_path, 0, documents)
    assert drops.places.tolist() == [1, 3, 4]
    assert [(row["id"], row["duplicate_of"]) for row in drops.rows] == [("same", "same"), ("same", "same"), ("b", "a")]
    for first in range(len(ids) + 1):
        for end in range(first, len(ids) + 1):
            some = drops.within(first, end)
            assert (some.places + first).tolist() == [place for place in (1, 3, 4) if first <= place < end]
            assert some.rows == [row for place, row in zip((1, 3, 4), drops.rows, strict=True) if first <= place < end]


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


@pytest.mark.parametrize("seed", range(20))
def test_buckets_are_compared_alike_with_and_without_looking_for_copies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    num, num_texts = int(rng.integers(0, 400)), int(rng.integers(1, 200))
    text = rng.integers(0, num_texts, num).astype(np.uint64)
    columns = {
        "key": rng.integers(0, rng.integers(1, 300), num).astype(np.uint64),
        "text": text,
        "wanted": text % np.uint64(7),
        "start": np.arange(num, dtype=np.uint64),
        "file": rng.integers(0, 3, num).astype(np.uint32),
    }
    bands = pa.table({name: pa.array(column) for name, column in columns.items()})
    num_own = int(rng.integers(1, 4))  # of 3 files
    found, num_large = candidates_of(bands, num_own)
    monkeypatch.setattr(candidates_module, "NUM_SIMPLE", 0)
    wanted, num_large_wanted = candidates_of(bands, num_own)
    names = ["pair", "one", "other"]
    assert found.select(names).equals(wanted.select(names))
    assert num_large == num_large_wanted
    assert not len(found) or (found["one"].to_numpy() < found["other"].to_numpy()).all()
