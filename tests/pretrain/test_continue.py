"""A stage that goes on with the data of the one it begins from, and what the ledger says of it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rank_process import run_together
from world import BATCH, SEQUENCE, World, make_dataset

from pretrain.ledger import ledger, lineage, times_seen_before, trace
from recipes.fingerprint import file_hash
from recipes.manifest import read_manifest
from recipes.schema import TrainParams
from recipes.stage import read_stage, write_stage

STILL = {"schedule": "constant", "peak": 1e-3}
PER_STEP = BATCH * SEQUENCE
DOCUMENTS = 60


def planned(world: World, name: str, inputs: dict[str, Path] | None = None, **params: Any) -> Path:
    run = {"branch_points": [6]}
    return world.stage(name, run, inputs, **{"validation": {}, "lr": STILL, "blend": {"web": 1.0}, **params})


def trained(world: World, name: str, inputs: dict[str, Path] | None = None, **params: Any) -> Path:
    folder = planned(world, name, inputs, **params)
    done = world.train(folder)
    assert done.status == 0, done.stderr
    return folder


def indexed(world: World, name: str, inputs: dict[str, Path] | None = None, **params: Any) -> Path:
    """Not trained: which samples a stage sees is decided before its first step."""
    from pretrain.blend import open_blend
    from pretrain.tokens import Vocabulary

    folder = planned(world, name, inputs, **params)
    stage = read_stage(folder)
    open_blend(stage, TrainParams.model_validate(stage.params), Vocabulary(256, 1))
    return folder


def documents(folder: Path, steps: range, dataset: str = "web") -> list[int]:
    return [row["document"] for step in steps for row in trace(folder, step) if row["dataset"] == dataset]


def row(folder: Path, dataset: str = "web") -> dict[str, Any]:
    rows = ledger(folder, read_stage(folder).params["steps"])
    return next(row for row in rows if row["dataset"] == dataset)


@pytest.fixture(scope="module")
def stable(megatron: None, world: World) -> Path:
    """Sees about two thirds of web's documents in 12 steps, a third in 6."""
    return trained(world, "stable", steps=12)


def test_a_stage_that_goes_on_sees_what_is_left(world: World, stable: Path) -> None:
    folder = trained(world, "goes_on", {"init": stable}, init_from_stage=True, continues_data=True, steps=3)
    assert not set(documents(folder, range(1, 4))) & set(documents(stable, range(1, 13)))
    [told] = read_manifest(folder)["details"]["ledger"]
    assert told == row(folder)
    assert told["documents_touched"] > 3
    assert told["documents_seen_before"] == 0
    anew = indexed(world, "draws_anew", {"init": stable}, init_from_stage=True, steps=3)
    assert row(anew)["documents_seen_before"] > 0


def test_a_branch_goes_on_where_the_stable_stage_was_at_its_branch_point(world: World, stable: Path) -> None:
    early = indexed(world, "early", {"init": stable}, init_from_stage=True, init_step=6, continues_data=True, steps=6)
    before = set(documents(stable, range(1, 7)))
    assert not set(documents(early, range(1, 7))) & before
    assert row(early)["documents_seen_before"] == 0
    # only what this stage delivered, and the stable one up to the branch point, is counted
    assert row(early)["delivered_tokens"] == 6 * PER_STEP
    assert row(early)["documents_left"] == DOCUMENTS - len(before | set(documents(early, range(1, 7))))
    assert set(documents(early, range(1, 7))) & set(documents(stable, range(7, 13)))


def test_when_all_is_used_everything_comes_once_more_and_the_ledger_says_so(world: World, stable: Path) -> None:
    folder = indexed(world, "used_up", {"init": stable}, init_from_stage=True, continues_data=True, steps=16)
    before = set(documents(stable, range(1, 13)))
    pieces = documents(folder, range(1, 17))
    unseen = set(range(DOCUMENTS)) - before
    first_repeat = next(i for i, document in enumerate(pieces) if document in before)
    assert set(pieces[:first_repeat]) == unseen
    assert set(pieces[first_repeat:]) & unseen
    told = row(folder)
    assert told["documents_left"] == 0
    assert told["documents_seen_before"] == len(set(pieces) & before) > 0
    assert told["epochs"] == 16 * PER_STEP / told["dataset_tokens"] < 1


def test_it_goes_on_through_a_chain_of_stages(world: World, stable: Path) -> None:
    second = indexed(world, "second", {"init": stable}, init_from_stage=True, init_step=6, continues_data=True, steps=3)
    third = indexed(world, "third", {"init": second}, init_from_stage=True, continues_data=True, steps=4)
    assert [(stage.name, steps) for stage, steps in lineage(read_stage(third))] == [("second", 3), ("stable", 6)]
    before = documents(stable, range(1, 7)) + documents(second, range(1, 4))
    assert not set(documents(third, range(1, 5))) & set(before)
    assert row(third)["documents_seen_before"] == 0
    times = times_seen_before(read_stage(third))["web"]
    assert set(np.flatnonzero(times)) == set(before)


def test_a_dataset_that_was_not_seen_is_drawn_as_ever(world: World, stable: Path) -> None:
    blend = {"web": 0.5, "cot": 0.5}
    params = {"init_from_stage": True, "steps": 3, "blend": blend}
    folder = indexed(world, "goes_on_with_cot", {"init": stable}, continues_data=True, **params)
    anew = indexed(world, "anew_with_cot", {"init": stable}, **params)
    assert documents(folder, range(1, 4), "cot") == documents(anew, range(1, 4), "cot")
    assert row(folder, "cot")["documents_seen_before"] == 0


def test_a_dataset_of_the_same_name_that_was_made_anew_counts_as_another(world: World, stable: Path, tmp_path: Path) -> None:
    other = make_dataset(tmp_path / "web", world.tokenizer, num_documents=20, seed=3)
    folder = world.stage("other_web", inputs={"init": stable, "dataset/web": other}, init_from_stage=True, blend={"web": 1.0})
    stage = read_stage(folder)
    changed = {**stage.inputs, "dataset/web": replace(stage.inputs["dataset/web"], identity="another")}
    write_stage(replace(stage, inputs=changed))
    assert times_seen_before(read_stage(folder))["web"].tolist() == [0] * 20


def test_it_is_the_same_on_two_processes(world: World, stable: Path) -> None:
    params = {"init_from_stage": True, "continues_data": True, "steps": 3}
    folder = planned(world, "goes_on/together", {"init": stable}, **params)
    assert run_together(folder, 2) == [0, 0]
    alone = indexed(world, "goes_on_alone", {"init": stable}, **params)
    hashes = [{path.name: file_hash(path) for path in (place / "index").iterdir()} for place in (folder, alone)]
    assert hashes[0] == hashes[1]
    assert row(folder) == row(alone)


def test_a_stage_whose_ancestor_has_lost_its_index_does_not_begin(world: World, stable: Path, tmp_path: Path) -> None:
    shutil.copytree(stable, tmp_path / "stable", ignore=shutil.ignore_patterns("index"))
    folder = world.stage("no_index", inputs={"init": tmp_path / "stable"}, init_from_stage=True, steps=3)
    refused = world.train(folder)
    assert refused.status == 2
    assert "has no index/blend.json" in refused.stderr


# ---------------------------------------------------------------------------------------------------- the order itself


def test_documents_come_in_rounds_until_all_have_come_equally_often(megatron: None) -> None:
    from pretrain.unseen import order

    random = np.random.default_rng(0)
    lengths = random.integers(3, 40, size=200).astype(np.int32)
    seen = random.integers(1, 4, size=200)  # 1, 2 or 3 times
    rounds = [np.flatnonzero(seen == 1), np.flatnonzero(seen <= 2), np.arange(200), np.arange(200)]
    num_samples = int(lengths[np.concatenate(rounds)].sum() - lengths[rounds[-1]].sum() // 2) // 16
    made = order(lengths, seen, 16, num_samples, np.random.RandomState(1))
    at = 0
    for documents in rounds:
        part = made.document_index[at : at + len(documents)]
        assert sorted(part) == documents.tolist()
        assert part.tolist() != documents.tolist()
        at += len(documents)
    assert at == len(made.document_index)
    assert len(made.sample_index) - 1 >= num_samples
    assert sorted(made.shuffle_index) == list(range(len(made.sample_index) - 1))
    ends = np.cumsum([lengths[documents].sum() for documents in rounds])
    round_of_sample = np.searchsorted(ends, 16 * made.shuffle_index.astype(np.int64), side="right")
    assert (np.diff(round_of_sample) >= 0).all()
    assert (np.diff(made.shuffle_index.astype(np.int64)) != 1).mean() > 0.9


def test_a_stage_that_begins_from_the_base_has_nothing_before_it(stable: Path) -> None:
    assert times_seen_before(read_stage(stable))["web"].tolist() == [0] * DOCUMENTS
    assert ledger(stable, 6)[0]["documents_seen_before"] == 0
