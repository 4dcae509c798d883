"""New documents against an index of those that were kept before."""

import random
from pathlib import Path

import pytest
from datatrove.data import Document

from recipes.schema import DedupStage
from tests.curation.dedup_run import Run, changed, doc, shard, text_of

PREFER_SOURCE = DedupStage(do="dedup", keep=("source", "math_score", "length", "id"), url=True)


def dump(source: str, seed: int) -> list[Document]:
    """Documents of which half are near one of the other dump's, some near each other."""
    rng = random.Random(seed)
    docs = []
    for number in range(60):
        shared = rng.random() < 0.5
        text = text_of(number if shared else 1_000 * seed + number, 120)
        for copy in range(rng.randrange(1, 4)):
            near = changed(text, rng.sample(range(120), rng.randrange(4)), word=f"{source}{copy}")
            url = f"http://{'shared' if rng.random() < 0.1 else source}.org/{number}"
            docs.append(doc(f"{source}{number:02d}_{copy}", near, source=source, url=url, math_score=rng.random()))
    return docs


def test_a_new_dump_against_an_old_one_loses_what_both_together_would_lose(tmp_path: Path) -> None:
    old, new = dump("a", 1), dump("b", 2)
    together = Run(tmp_path / "together", shard([*old, *new], 3), PREFER_SOURCE, sources=("a", "b")).drop()
    first = Run(tmp_path / "old", shard(old, 2), PREFER_SOURCE, sources=("a", "b")).drop()
    second = Run(tmp_path / "new", shard(new, 4), PREFER_SOURCE, sources=("a", "b"), against=[first], num_buckets=3).drop()
    assert sorted(first.kept_ids + second.kept_ids) == together.kept_ids
    assert first.dropped | second.dropped == together.dropped
    of_old = [target for _, target, _ in second.dropped.values() if target.startswith("a")]
    assert {"exact_duplicate", "near_duplicate", "url_duplicate"} <= {reason for reason, _, _ in second.dropped.values()}
    assert 0 < len(of_old) < len(second.dropped)
    assert set(of_old) <= set(first.kept_ids)
    assert second.counts["documents"] == len(new)


def test_documents_of_an_index_are_never_rows_to_drop(tmp_path: Path) -> None:
    text = text_of(1)
    first = Run(tmp_path / "old", [[doc("old", text, math_score=0.0)]]).drop()
    second = Run(tmp_path / "new", [[doc("new", changed(text, [4]), math_score=1.0)], []], against=[first]).drop()
    assert second.kept_ids == []
    assert second.dropped["new"][:2] == ("near_duplicate", "old")
    assert [(row["id"], row["kept"]) for row in second.clusters] == [("old", True), ("new", False)]


def test_several_indexes_and_an_index_of_a_run_that_had_one(tmp_path: Path) -> None:
    one = Run(tmp_path / "1", [[doc("1", text_of(1))]]).drop()
    two = Run(tmp_path / "2", [[doc("2", text_of(2)), doc("2again", text_of(1))]], against=[one]).drop()
    three = Run(tmp_path / "3", [[doc(f"3{seed}", text_of(seed)) for seed in (1, 2, 3)]], against=[one, two]).drop()
    assert two.kept_ids == ["2"]
    assert three.kept_ids == ["33"]
    assert three.dropped == {"31": ("exact_duplicate", "1", 1.0), "32": ("exact_duplicate", "2", 1.0)}


def test_what_only_resembles_a_dropped_old_document_stays(tmp_path: Path) -> None:
    text = text_of(5, 100)
    middle, far = changed(text, [10, 30]), changed(text, [10, 30, 50, 70])
    first = Run(tmp_path / "old", [[doc("best", text, math_score=1.0), doc("middle", middle)]]).drop()
    second = Run(tmp_path / "new", [[doc("far", far)]], against=[first]).drop()
    assert first.kept_ids == ["best"]
    assert second.kept_ids == ["far"]


def test_an_index_of_other_bands_is_refused_and_so_is_none(tmp_path: Path) -> None:
    first = Run(tmp_path / "old", [[doc("a", text_of(1))]], DedupStage(do="dedup", num_bands=11, rows_per_band=10)).drop()
    second = Run(tmp_path / "new", [[doc("b", text_of(1))]])
    with pytest.raises(ValueError, match=r"against 'old': its index was made with \{.*'num_bands': 11.*this stage has"):
        first.index().check_like("old", second.signatures)
    with pytest.raises(ValueError, match=r"against 'other': .* holds no index; make one with `index: true`"):
        type(second.signatures)(tmp_path / "nothing").check_like("other", second.signatures)


def test_copies_with_one_id_leave_one_in_the_index(tmp_path: Path) -> None:
    docs = [doc("same", text_of(20)), doc("same", text_of(20)), doc("same", text_of(21)), doc("near", changed(text_of(20), [3]))]
    first = Run(tmp_path / "old", [docs]).drop()
    again = Run(tmp_path / "new", [[doc("x", text_of(20)), doc("y", text_of(21)), doc("z", text_of(22))]], against=[first]).drop()
    assert len(first.kept) == 2
    assert first.index().num_documents == 2
    assert again.kept_ids == ["z"]
