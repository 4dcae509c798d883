"""A stage that begins where another ended: its weights and optimizer, but its own learning rate, order and steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from world import World

from pretrain import optim
from pretrain.ledger import trace
from pretrain.metrics import read_journal
from recipes.manifest import read_manifest
from recipes.schema import LearningRate

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


def optimizer_steps(folder: Path) -> set[float]:
    common = torch.load(folder / read_manifest(folder)["details"]["checkpoint"] / "common.pt", weights_only=False)
    return {group["step"] for group in common["optimizer"]["optimizer"]["param_groups"]}


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


def test_the_learning_rate_asked_for_is_the_one_used_after_a_load(world: World, first: Path) -> None:
    lr = {"schedule": "linear", "peak": 5e-4, "end": 1e-4}
    folder = branch(world, first, "branch_with_new_lr", lr=lr)
    common = torch.load(folder / "checkpoints" / "step_00000004" / "common.pt", weights_only=False)
    assert {group["lr"] for group in common["optimizer"]["optimizer"]["param_groups"]} == {1e-4}
    assert [row["lr"] for row in read_journal(folder / "metrics.jsonl")] == pytest.approx(
        [5e-4, 5e-4 - 4e-4 / 3, 1e-4 + 4e-4 / 3, 1e-4]
    )


def test_a_stage_of_another_seed_sees_the_data_in_an_order_of_its_own(world: World, first: Path) -> None:
    branches = [branch(world, first, name, steps=12, lr=STILL, seed=2) for name in ("branch_order", "branch_order_again")]
    seen = [[row["id"] for step in range(1, 13) for row in trace(folder, step)] for folder in (first, *branches)]
    assert seen[1] == seen[2]
    assert seen[0] != seen[1]
    assert seen[0][:10] != seen[1][:10]


def test_a_branch_whose_start_was_damaged_does_not_run(world: World, first: Path) -> None:
    import shutil

    broken = world.root / "first_broken"
    shutil.copytree(first, broken)
    (broken / "checkpoints" / "step_00000012" / "common.pt").write_bytes(b"")
    folder = world.stage("branch_of_broken", inputs={"init": broken}, init_from_stage=True, steps=4)
    run = world.train(folder)
    assert run.status == 2
    assert "of the init stage is damaged: common.pt has changed; make that stage again" in run.stderr


@pytest.mark.parametrize(
    ("lr", "wanted"),
    [
        ({"schedule": "constant", "peak": 1.0}, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ({"schedule": "constant", "peak": 1.0, "warmup_steps": 2}, [0.5, 1.0, 1.0, 1.0, 1.0]),
        ({"schedule": "linear", "peak": 1.0, "end": 0.0}, [1.0, 0.75, 0.5, 0.25, 0.0]),
        ({"schedule": "cosine", "peak": 1.0, "end": 0.1}, [1.0, 0.868198, 0.55, 0.231802, 0.1]),
        ({"schedule": "cosine", "peak": 1.0, "end": 0.1, "warmup_steps": 4}, [0.25, 0.5, 0.75, 1.0, 0.1]),
    ],
)
def test_the_learning_rate_is_a_function_of_the_step(lr: dict[str, Any], wanted: list[float]) -> None:
    settings = LearningRate.model_validate(lr)
    assert [optim.learning_rate(settings, step, 5) for step in range(1, 6)] == pytest.approx(wanted, abs=1e-6)
