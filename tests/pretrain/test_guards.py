"""A step that looks wrong stops the run, loses its update, or sends the run back; interrupted or not, in the same way."""

import math
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rank_process import run_together
from world import BATCH, MODEL, SEQUENCE, World, make_base, make_dataset, outputs

from pretrain import ledger
from pretrain.guards import Alarm, Guard, batch_of_step, judge, read_rewinds
from pretrain.metrics import read_journal
from recipes import exits
from recipes.manifest import read_manifest
from recipes.schema import GradNorm, Guards, LossSpike, Model

POISON = 255  # a token whose embedding is no number: a batch that holds it has no loss
UNTIED = {**MODEL, "tie_embeddings": False}
STEPS = 12
CADENCE = {"checkpoint_every_steps": 4, "log_every_steps": 4}


# ---------------------------------------------------------------------------------------------------- what a guard decides


def test_by_default_only_what_is_no_number_stops_the_run() -> None:
    assert judge(Guards(), [], 1e9, 1e9) is None
    for loss, grad_norm in ((math.nan, 1.0), (1.0, math.inf)):
        alarm = judge(Guards(), [], loss, grad_norm)
        assert alarm is not None
        assert (alarm.guard, alarm.then, alarm.limit) == ("non_finite", "stop", None)
        assert alarm.why == f"loss {loss}, gradient norm {grad_norm}: no number"
        assert alarm.as_row()["value"] is None


def test_a_spike_is_measured_by_the_last_losses_and_not_before_there_are_enough() -> None:
    guards = Guards(loss_spike=LossSpike(then="skip", above_stds=3.0, of_last_steps=4))
    losses = [9.0, 2.0, 4.0, 2.0, 4.0]  # of the last four: mean 3, standard deviation 1
    assert judge(guards, losses, 6.0, 1.0) is None
    alarm = judge(guards, losses, 6.001, 1.0)
    assert alarm == Alarm(
        "loss_spike", "skip", 6.001, 6.0, "loss 6.0010 is above 6.0000: 3.0000 in the last 4 steps, standard deviation 1.0000"
    )
    assert judge(guards, losses[:3], 100.0, 1.0) is None


def test_the_sternest_of_two_guards_is_heard() -> None:
    guards = Guards(loss_spike=LossSpike(then="skip", of_last_steps=2), grad_norm=GradNorm(then="rewind", above=5.0))
    alarm = judge(guards, [1.0, 1.1], 9.0, 5.1)
    assert alarm is not None
    assert (alarm.guard, alarm.then, alarm.why) == ("grad_norm", "rewind", "gradient norm 5.1 is above 5")


def test_skipped_losses_are_no_measure_and_too_many_in_a_row_stop_the_run() -> None:
    guards = Guards(grad_norm=GradNorm(then="skip", above=1.0), loss_spike=LossSpike(then="skip", of_last_steps=2), max_skips=2)
    guard = Guard(guards, [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 99.0, "skipped": "grad_norm"}], [])
    assert list(guard.losses) == [2.0]
    alarm = guard.judge(1.0, 7.0)
    assert alarm is not None
    assert alarm.then == "skip"
    guard.note(3, 1.0, alarm)
    last = guard.judge(1.0, 7.0)
    assert last is not None
    assert (last.then, last.why) == ("stop", "gradient norm 7 is above 1, after guards.max_skips=2 skips in a row")
    guard.note(4, 1.0, None)
    again = guard.judge(1.0, 7.0)
    assert again is not None
    assert again.then == "skip"


def test_rewinds_move_the_batches_on_and_never_back() -> None:
    guards = Guards(non_finite="rewind", rewind_steps=20, max_rewinds=2)
    guard = Guard(guards, [], [])
    for step in (50, 40):  # the second one goes back to before the first one's target
        alarm = guard.judge(math.nan, 1.0)
        assert alarm is not None
        assert alarm.then == "rewind"
        guard.rewind(step, alarm, [])
    assert [guard.batch_of(step) for step in (20, 21, 22, 100)] == [20, 61, 62, 140]
    assert batch_of_step(31, guard.rewinds[:1]) == 51
    assert Guards(non_finite="rewind", rewind_steps=20, max_rewinds=2).reserve_steps == 40
    stopped = guard.judge(math.nan, 1.0)
    assert stopped is not None
    assert stopped.then == "stop"
    assert stopped.why.endswith("no number, after guards.max_rewinds=2 rewinds")


def test_the_checkpoint_that_a_rewind_may_begin_from_is_kept() -> None:
    guard = Guard(Guards(non_finite="rewind", rewind_steps=10), [], [])
    assert guard.needed_checkpoint([4, 8, 12, 16, 20]) == {8}  # step 21 goes back to 11
    assert guard.needed_checkpoint([20]) == set()
    assert Guard(Guards(), [], []).needed_checkpoint([4, 8, 12, 16, 20]) == set()


# ---------------------------------------------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def poisoned(world: World) -> dict[str, Path]:
    """A dataset of which two documents hold the poisonous token, and a base model whose embedding of it is no number."""
    from safetensors.torch import load_file, save_file

    dataset = make_dataset(world.root / "poisoned", world.tokenizer, num_documents=60, seed=1)
    tokens = np.fromfile(dataset / "train.bin", dtype=np.uint16)
    tokens[tokens == POISON] = 7
    ends = np.flatnonzero(tokens == 1)
    tokens[ends[[10, 40]] - 1] = POISON
    tokens.tofile(dataset / "train.bin")
    base = make_base(world.root / "poisoned_base", Model.model_validate(UNTIED))
    tensors = load_file(base / "model.safetensors")
    tensors["model.embed_tokens.weight"][POISON] = math.nan
    save_file(tensors, base / "model.safetensors")
    return {"init": base, "dataset/web": dataset}


def stage(world: World, name: str, poisoned: dict[str, Path], guards: dict[str, Any], **cadence: Any) -> Path:
    return world.stage(
        name,
        run={"cadence": {**CADENCE, **cadence}},
        inputs=poisoned,
        model=UNTIED,
        blend={"web": 1.0},
        validation={},
        steps=STEPS,
        guards=guards,
    )


SKIP = {"non_finite": "skip"}
REWIND = {"non_finite": "rewind", "rewind_steps": 3, "max_rewinds": 4}


@pytest.fixture(scope="module")
def skipping(world: World, poisoned: dict[str, Path]) -> Path:
    folder = stage(world, "skipping", poisoned, SKIP)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "no number; its update is left out" in run.stderr
    return folder


@pytest.fixture(scope="module")
def rewinding(world: World, poisoned: dict[str, Path]) -> Path:
    folder = stage(world, "rewinding", poisoned, REWIND)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "no number; going back to step" in run.stderr
    return folder


def poisonous(folder: Path, batch: int) -> bool:
    """Whether a batch's inputs hold the token."""
    dataset = np.fromfile(folder.parent / "poisoned" / "train.bin", dtype=np.uint16)
    pieces = ledger.trace_batches(folder, [batch])
    return any(POISON in dataset[row["first_token"] : row["first_token"] + row["num_tokens"]] for row in pieces)


def test_a_skipped_step_counts_and_changes_nothing(skipping: Path) -> None:
    rows = read_journal(skipping / "metrics.jsonl")
    skipped = [row["step"] for row in rows if "skipped" in row]
    assert skipped == [step for step in range(1, STEPS + 1) if poisonous(skipping, step)]
    assert skipped
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {(row["loss"], row["skipped"]) for row in rows if "skipped" in row} == {(None, "non_finite")}
    assert all(math.isfinite(row["loss"]) for row in rows if "skipped" not in row)
    assert [(row["step"], row["then"]) for row in read_journal(skipping / "guards.jsonl")] == [(step, "skip") for step in skipped]
    details = read_manifest(skipping)["details"]
    assert details["guards"] == {"skipped_steps": len(skipped), "rewinds": 0}
    assert details["resume"]["verdict"] == "same"


def test_batches_that_were_left_out_are_seen_by_no_step(rewinding: Path) -> None:
    rewinds = read_rewinds(rewinding)
    assert rewinds
    first = rewinds[0]
    assert first["to_step"] == max(0, first["step"] - 3)
    assert [row["step"] for row in first["abandoned"]] == list(range(first["to_step"] + 1, first["step"] + 1))
    assert first["abandoned"][-1]["loss"] is None
    batches = [batch_of_step(step, rewinds) for step in range(1, STEPS + 1)]
    left_out = sorted(set(range(1, max(batches) + 1)) - set(batches))
    assert left_out == sorted({row["batch"] for rewind in rewinds for row in rewind["abandoned"]})
    assert not any(poisonous(rewinding, batch) for batch in batches)
    assert poisonous(rewinding, first["abandoned"][-1]["batch"])
    rows = read_journal(rewinding / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert all("skipped" not in row and math.isfinite(row["loss"]) for row in rows)
    resume = read_manifest(rewinding)["details"]["resume"]
    assert (resume["verdict"], resume["restarts"]) == ("same", 0)
    assert resume["segments"][0]["ended"].startswith(f"went back to step {first['to_step']}: loss nan")


def test_the_ledger_and_the_traces_know_what_was_left_out(rewinding: Path) -> None:
    rewinds = read_rewinds(rewinding)
    (row,) = ledger.ledger(rewinding, STEPS)
    assert row["delivered_tokens"] == STEPS * BATCH * SEQUENCE
    num_left_out = max(batch_of_step(step, rewinds) for step in range(1, STEPS + 1)) - STEPS
    assert row["left_out_tokens"] == num_left_out * BATCH * SEQUENCE > 0
    documents: dict[int, set[int]] = {}
    for step in range(1, STEPS + 1):
        traced = ledger.trace(rewinding, step)
        assert traced == ledger.trace_batches(rewinding, [batch_of_step(step, rewinds)])
        for piece in traced:
            documents.setdefault(piece["document"], set()).add(step)
    assert row["documents_touched"] == len(documents)
    for document in (*range(0, 60, 7), 10, 40):
        assert ledger.steps_with(rewinding, "web", document) == sorted(documents.get(document, set()))


def has_row(folder: Path, file: str, number: int) -> Callable[[], bool]:
    path = folder / file
    return lambda: path.is_file() and path.read_bytes().count(b"\n") >= number


def has_words(folder: Path, file: str, words: str) -> Callable[[], bool]:
    path = folder / file
    return lambda: path.is_file() and words in path.read_text()


@pytest.mark.parametrize("guards", [SKIP, REWIND], ids=["skip", "rewind"])
def test_killed_after_a_decision_a_run_decides_again_as_it_did(
    world: World, poisoned: dict[str, Path], request: pytest.FixtureRequest, guards: dict[str, Any]
) -> None:
    undisturbed = request.getfixturevalue("skipping" if guards is SKIP else "rewinding")
    folder = stage(world, f"killed_{undisturbed.name}", poisoned, guards)
    if guards is REWIND:
        assert world.start(folder).signal_when(has_words(folder, "logs/segments.jsonl", "went back")).status == -signal.SIGKILL
    assert world.start(folder).signal_when(has_row(folder, "guards.jsonl", 1)).status == -signal.SIGKILL
    decided = read_journal(folder / "guards.jsonl")[0]
    later = has_row(folder, "metrics.jsonl", min(decided["step"] + 2, STEPS - 1))
    assert world.start(folder).signal_when(later).status == -signal.SIGKILL
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert outputs(folder) == outputs(undisturbed)
    assert read_manifest(folder)["details"]["resume"]["verdict"] == "same"


def test_where_checkpoints_are_kept_changes_nothing_of_a_rewind(world: World, poisoned: dict[str, Path], rewinding: Path) -> None:
    folder = stage(world, "rarely_saved", poisoned, REWIND, checkpoint_every_steps=100)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert outputs(folder) == outputs(rewinding)


def test_several_processes_go_back_together_while_a_checkpoint_is_being_written(
    world: World, poisoned: dict[str, Path], rewinding: Path
) -> None:
    folder = stage(world, "together", poisoned, REWIND, save="async", checkpoint_every_steps=1)
    assert run_together(folder, 2) == [0, 0]
    decided, alone = (
        [(row["step"], row["to_step"], row["next_batch"]) for row in read_rewinds(path)] for path in (folder, rewinding)
    )
    assert decided == alone
    losses, others = ([row["loss"] for row in read_journal(path / "metrics.jsonl")] for path in (folder, rewinding))
    assert losses == pytest.approx(others, abs=1e-5)
    assert read_manifest(folder)["details"]["resume"]["verdict"] == "same"


def test_a_run_that_may_not_go_back_again_stops(world: World) -> None:
    from safetensors.torch import load_file, save_file

    base = world.root / "hopeless_base"
    shutil.copytree(world.base, base)
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] = math.nan
    save_file(tensors, base / "model.safetensors")
    folder = world.stage("once", inputs={"init": base}, validation={}, guards={"non_finite": "rewind", "max_rewinds": 1})
    run = world.train(folder)
    assert run.status == exits.DIVERGED
    assert [(row["step"], row["to_step"], row["next_batch"]) for row in read_rewinds(folder)] == [(1, 0, 2)]
    assert "after guards.max_rewinds=1 rewinds: training has diverged" in run.stderr
    assert "midtrain spike RUN --step" in run.stderr


def test_a_gradient_above_its_bound_loses_its_update(world: World) -> None:
    plain = world.stage("plain_norms", validation={})
    assert world.train(plain).status == 0
    rows = read_journal(plain / "metrics.jsonl")
    second, largest = sorted(rows, key=lambda row: row["grad_norm"])[-2:]
    bound = (second["grad_norm"] + largest["grad_norm"]) / 2
    folder = world.stage("bounded", validation={}, guards={"grad_norm": {"then": "skip", "above": bound}})
    shutil.copytree(plain / "index", folder / "index")
    run = world.train(folder)
    assert run.status == 0, run.stderr
    guarded = read_journal(folder / "metrics.jsonl")
    place = largest["step"] - 1
    assert guarded[:place] == rows[:place]
    assert guarded[place] == {**rows[place], "skipped": "grad_norm"}
    assert guarded[place + 1] != rows[place + 1]
