"""Processes change who computes, never what: losses on two processes are those on one, but for the order of additions."""

import fcntl
import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from world import MODEL, PARAMS, World, make_base, outputs

from pretrain.metrics import read_journal
from pretrain.parallel import check_layout
from recipes.schema import Model, Parallelism, TrainParams

# Sums in another order; measured: 6e-7 over the 12 steps of this model
BOUND = 5e-6
LAYOUTS: dict[str, dict[str, Any]] = {
    "data": {},
    "tensor": {"tensor": 2, "sequence_parallel": True, "micro_batch_size": 2},
    "pipeline": {"pipeline": 2, "recompute_layers": 1},
    "context": {"context": 2},
}


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_journal(folder / "metrics.jsonl")]


@pytest.fixture(scope="module")
def alone(world: World) -> Path:
    folder = world.stage("alone")
    assert world.train(folder).status == 0
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_processes_learn_what_one_does(world: World, alone: Path, layout: str) -> None:
    folder = world.stage(f"two_{layout}", run={"parallelism": LAYOUTS[layout]})
    process = world.command(folder, processes=2)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    differences = [abs(a - b) for a, b in zip(losses(folder), losses(alone), strict=True)]
    assert max(differences) < BOUND
    norms = [[row["grad_norm"] for row in read_journal(path / "metrics.jsonl")] for path in (folder, alone)]
    assert max(abs(a / b - 1) for a, b in zip(*norms, strict=True)) < 1e-5
    mine, theirs = (read_journal(path / "validation.jsonl")[-1] for path in (folder, alone))
    assert mine["tokens"] == theirs["tokens"]
    assert abs(mine["loss"] - theirs["loss"]) < BOUND
    assert outputs(folder)["index/blend.json"] == outputs(alone)["index/blend.json"]


def test_two_killed_processes_resume_to_the_same_bytes(world: World) -> None:
    whole, killed = world.root / "two_data", world.stage("two_killed")
    launcher = world.command(killed, processes=2)
    checkpoint = killed / "checkpoints" / "step_00000004"
    while not checkpoint.exists():
        assert launcher.poll() is None
        time.sleep(0.001)
    for process in [*psutil.Process(launcher.pid).children(recursive=True), psutil.Process(launcher.pid)]:
        process.kill()
    launcher.communicate(timeout=60)
    launcher = world.command(killed, processes=2)
    _, stderr = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, stderr
    assert "going on after step" in stderr
    assert outputs(killed) == outputs(whole)


def test_two_runs_of_one_stage_do_not_meet(world: World) -> None:
    folder = world.stage("locked")
    lock = folder / "logs" / "train.lock"
    lock.parent.mkdir()
    with open(lock, "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = world.train(folder)
    assert run.status == 2
    assert "another process trains this stage" in run.stderr


def test_one_process_goes_on_where_two_stopped(world: World, alone: Path) -> None:
    """Of the run on two processes only its last checkpoint is left, so the stage is told that it has more steps."""
    folder = world.stage("from_two_to_one", steps=16, lr={"schedule": "constant", "peak": 1e-3})
    shutil.copytree(world.root / "two_tensor" / "checkpoints", folder / "checkpoints")
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "going on after step 12 of 16" in run.stderr
    assert losses(folder)[-1] < losses(alone)[0]


@pytest.mark.parametrize(
    ("parallelism", "processes", "message"),
    [
        ({"tensor": 2}, 3, "3 processes are not a multiple of tensor 2 x pipeline 1 x context 1 = 2"),
        ({}, 3, "global_batch_size=4 is not a multiple of micro_batch_size 1 x data-parallel size 3 = 3"),
        ({"micro_batch_size": 8}, 1, "global_batch_size=4 is not a multiple of micro_batch_size 8"),
        ({"tensor": 4}, 4, "model.num_query_groups=2 is not a multiple of parallelism.tensor=4"),
        ({"pipeline": 3}, 3, "model.num_layers=2 is not a multiple of parallelism.pipeline=3"),
        ({"context": 3}, 3, "sequence_length=32 is not a multiple of 2 x context 3"),
        ({"sequence_parallel": True}, 1, "parallelism.tensor is 1"),
        ({"recompute_layers": 3}, 1, "recompute_layers=3 is above the 2 layers"),
    ],
)
def test_layouts_that_cannot_be_are_refused(parallelism: dict[str, Any], processes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_layout(TrainParams.model_validate(PARAMS), Parallelism.model_validate(parallelism), processes)


def test_recomputed_layers_are_those_of_each_interleaved_part() -> None:
    params = TrainParams.model_validate({**PARAMS, "model": {**PARAMS["model"], "num_layers": 12}, "global_batch_size": 6})  # type: ignore[dict-item]
    layout = {"pipeline": 3, "virtual_pipeline": 2}
    check_layout(params, Parallelism(**layout, recompute_layers=2), 3)
    with pytest.raises(ValueError, match="recompute_layers=3 is above the 2 layers of each of the interleaved parts"):
        check_layout(params, Parallelism(**layout, recompute_layers=3), 3)


def test_the_vocabulary_is_never_padded() -> None:
    params = TrainParams.model_validate({**PARAMS, "model": {**PARAMS["model"], "vocab_size": 255}})  # type: ignore[dict-item]
    with pytest.raises(
        ValueError, match=r"vocab_size=255 is not a multiple of parallelism.tensor=2; the vocabulary is never padded"
    ):
        check_layout(params, Parallelism(tensor=2), 2)


def test_the_data_parallel_size_is_what_is_left() -> None:
    assert check_layout(TrainParams.model_validate(PARAMS), Parallelism(tensor=2, pipeline=2), 8) == 2


def test_interleaved_pipeline_stages_train_and_validate_as_one_process_does(world: World) -> None:
    shape = {**MODEL, "num_layers": 6}
    base = make_base(world.root / "six_layers", Model.model_validate(shape))
    told = []
    for name, run, processes in (("whole", {}, 1), ("interleaved", {"pipeline": 3, "virtual_pipeline": 2}, 3)):
        folder = world.stage(f"six_{name}", {"parallelism": run}, {"init": base}, model=shape, global_batch_size=6, steps=3)
        process = world.command(folder, processes=processes)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        told.append((losses(folder), [(row["loss"], row["tokens"]) for row in read_journal(folder / "validation.jsonl")]))
    (alone, alone_held), (parted, parted_held) = told
    assert max(abs(a - b) for a, b in zip(alone, parted, strict=True)) < BOUND
    assert [tokens for _, tokens in alone_held] == [tokens for _, tokens in parted_held]
    assert max(abs(a - b) for (a, _), (b, _) in zip(alone_held, parted_held, strict=True)) < BOUND
