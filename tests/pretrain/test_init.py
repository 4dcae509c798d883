"""A stage that begins where another ended: its weights and optimizer, but its own learning rate, order and steps."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from world import World

from pretrain.checkpoint.files import present
from pretrain.ledger import trace
from pretrain.metrics import ON_THE_WAY, read_journal
from recipes.fingerprint import file_hash
from recipes.manifest import read_manifest

STILL = {"schedule": "constant", "peak": 1e-12}


@pytest.fixture(scope="module")
def first(world: World) -> Path:
    folder = world.stage("first")
    assert world.train(folder).status == 0
    return folder


def branch(world: World, first: Path, name: str, **params: Any) -> Path:
    folder = world.stage(name, inputs={"init": first}, **{"init_from_stage": True, "steps": 4, **params})
    run = world.train(folder)
    assert run.status == 0, run.stderr
    return folder


def parameter_groups(checkpoint: Path) -> list[dict[str, Any]]:
    common = torch.load(checkpoint / "common.pt", weights_only=False)
    groups: list[dict[str, Any]] = common["optimizer"]["optimizer"]["param_groups"]
    return groups


def optimizer_steps(folder: Path) -> set[float]:
    return {group["step"] for group in parameter_groups(folder / read_manifest(folder)["details"]["checkpoint"])}


def test_a_branch_goes_on_with_the_loaded_weights_and_optimizer(world: World, first: Path) -> None:
    folder = branch(world, first, "branch", lr=STILL)
    assert optimizer_steps(first) == {12.0}
    assert optimizer_steps(folder) == {16.0}
    rows = read_journal(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["tokens_seen"] == 128
    held_out = [read_manifest(path)["details"]["validation"]["held_out"] for path in (first, folder)]
    # the learning rate asked for is the one used: at 1e-12 nothing moves, at the first stage's 1e-2 the loss would
    assert held_out[1] == pytest.approx(held_out[0], abs=1e-6)


def test_a_branch_may_forget_the_optimizer_but_not_the_weights(world: World, first: Path) -> None:
    folder = branch(world, first, "branch_without_optimizer", lr=STILL, load_optimizer=False)
    assert optimizer_steps(folder) == {4.0}
    held_out = [read_manifest(path)["details"]["validation"]["held_out"] for path in (first, folder)]
    assert held_out[1] == pytest.approx(held_out[0], abs=1e-6)


@pytest.fixture(scope="module")
def first_by_a_scheduler(world: World, first: Path) -> Path:
    """As if Megatron's scheduler had run the first stage: it leaves the rate's maximum and minimum in the parameter groups."""
    folder = world.root / "first_by_a_scheduler"
    shutil.copytree(first, folder)
    saved = folder / read_manifest(folder)["details"]["checkpoint"]
    common = torch.load(saved / "common.pt", weights_only=False)
    for group in common["optimizer"]["optimizer"]["param_groups"]:
        group.update(lr=1e-2, max_lr=1e-2, min_lr=1e-3)
    torch.save(common, saved / "common.pt")
    complete = json.loads((saved / "complete.json").read_text())
    complete["files"]["common.pt"] = file_hash(saved / "common.pt")
    (saved / "complete.json").write_text(json.dumps(complete))
    return folder


def test_the_learning_rate_asked_for_is_the_one_used_after_a_load(world: World, first_by_a_scheduler: Path) -> None:
    lr = {"schedule": "linear", "peak": 5e-4, "end": 1e-4}
    folder = branch(world, first_by_a_scheduler, "branch_with_new_lr", lr=lr)
    groups = parameter_groups(folder / "checkpoints" / "step_00000004")
    assert {group["lr"] for group in groups} == {1e-4}
    assert {group.get(bound) for group in groups for bound in ("max_lr", "min_lr")} == {None}
    assert [row["lr"] for row in read_journal(folder / "metrics.jsonl")] == pytest.approx([4e-4, 3e-4, 2e-4, 1e-4])


def test_megatrons_own_scheduler_prefers_what_the_checkpoint_says(megatron: None) -> None:
    """The trap that the tests above are about: if it goes away, so may what is done against it."""
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    loaded = SimpleNamespace(param_groups=[{"lr": 1e-2, "max_lr": 1e-2, "min_lr": 1e-3}])
    OptimizerParamScheduler(
        loaded, init_lr=0.0, max_lr=5e-4, min_lr=1e-4, lr_warmup_steps=0, lr_decay_steps=4,
        lr_decay_style="constant", start_wd=0.1, end_wd=0.1, wd_incr_steps=0,
        wd_incr_style="constant", override_opt_param_scheduler=True, use_checkpoint_opt_param_scheduler=False,
    )  # fmt: skip
    assert loaded.param_groups[0]["lr"] == 1e-2


def test_a_branch_begins_at_a_step_that_the_stable_stage_kept_for_it(world: World) -> None:
    cadence = {"checkpoint_every_steps": 4, "validate_every_steps": 5}
    folder = world.stage("stable_with_branches", run={"branch_points": [5], "cadence": cadence})
    assert world.train(folder).status == 0
    assert [path.name for path in present(folder)] == ["step_00000012", "step_00000005"]
    early = branch(world, folder, "early", init_step=5, lr=STILL)
    assert optimizer_steps(early) == {9.0}
    on_the_way = {row["step"]: row["loss"] for row in read_journal(folder / ON_THE_WAY)}
    held_out = read_manifest(early)["details"]["validation"]["held_out"]
    assert held_out == pytest.approx(on_the_way[5], abs=1e-6)
    assert held_out > on_the_way[10] + 0.01


def test_a_stage_of_another_seed_sees_the_data_in_an_order_of_its_own(world: World, first: Path) -> None:
    branches = [branch(world, first, name, steps=12, lr=STILL, seed=2) for name in ("branch_order", "branch_order_again")]
    seen = [[row["id"] for step in range(1, 13) for row in trace(folder, step)] for folder in (first, *branches)]
    assert seen[1] == seen[2]
    assert seen[0] != seen[1]
    assert seen[0][:10] != seen[1][:10]


def test_a_branch_whose_start_was_damaged_does_not_run(world: World, first: Path) -> None:
    broken = world.root / "first_broken"
    shutil.copytree(first, broken)
    (broken / "checkpoints" / "step_00000012" / "common.pt").write_bytes(b"")
    folder = world.stage("branch_of_broken", inputs={"init": broken}, init_from_stage=True, steps=4)
    run = world.train(folder)
    assert run.status == 2
    assert "of the init stage is damaged: common.pt has changed; make that stage again" in run.stderr
