"""One run of a probe, with TRL on the CPU."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from probe_world import make_checkpoint, make_problems, make_stage, run
from world import outputs

from pretrain.ending import Interrupted
from pretrain.probe import stage as probe_stage
from pretrain.probe.judge import judge, read_run
from pretrain.probe.verdict import collapses
from recipes.manifest import read_manifest
from recipes.schema.probe import Collapse
from recipes.stage import LOGS, Stage


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("probe") / "checkpoint")


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_problems(tmp_path_factory.mktemp("problems") / "problems.jsonl")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, problems: Path) -> dict[str, Stage]:
    """Both arms of two seeds, by the names that a verdict's inputs have."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        for arm in ("answer", "random"):
            for number in (1, 2):
                stage = make_stage(root, f"{arm}_{number}", checkpoint, problems, arm, number)
                run(stage)
                found[f"run/tiny/{arm}/{number}"] = stage
    return found


def test_a_model_that_can_learn_beats_its_control_and_is_said_to_have_learned(runs: dict[str, Stage]) -> None:
    found = judge([read_run(role, stage.folder) for role, stage in runs.items()], Collapse(), seed=1)
    tiny = found["checkpoints"]["tiny"]
    assert tiny["verdict"] == "learned"
    assert tiny["before"]["mean"] < 0.3
    assert tiny["after"]["mean"] > 0.9
    assert tiny["control"]["mean"] < 0.5
    assert tiny["against_control"]["low"] > 0.3
    assert (tiny["after"]["seeds"], tiny["after"]["problems"]) == (2, 24)
    assert any("proves that the parts fit together" in warning for warning in found["warnings"])


def test_both_arms_begin_with_the_same_rollouts_and_differ_by_what_they_are_told(runs: dict[str, Stage]) -> None:
    answer, random = (rows(runs[f"run/tiny/{arm}/1"], "steps.jsonl")[0] for arm in ("answer", "random"))
    assert (answer["right"], answer["length"]) == (random["right"], random["length"])
    assert answer["reward"] == answer["right"]
    assert random["reward"] != random["right"]
    told = [row["reward"] for number in (1, 2) for row in rows(runs[f"run/tiny/random/{number}"], "steps.jsonl")]
    assert 0.4 < sum(told) / len(told) < 0.6


def test_every_step_and_every_held_out_answer_is_kept_with_its_grade(runs: dict[str, Stage]) -> None:
    stage = runs["run/tiny/answer/1"]
    curve, answers = rows(stage, "steps.jsonl"), rows(stage, "held_out.jsonl")
    assert [row["step"] for row in curve] == list(range(1, 11))
    assert all(0 <= row["no_gradient"] <= 1 and row["entropy"] >= 0 and 1 <= row["length"] <= 2 for row in curve)
    assert [answer["when"] for answer in answers] == ["before"] * 48 + ["after"] * 48
    right = [answer for answer in answers if answer["right"]]
    assert right
    assert all(answer["answer"] == answer["gold"] == "7" and answer["by_text"] for answer in right)
    manifest = read_manifest(stage.folder)
    grades = manifest["counts"]["grades"]
    assert grades["correct"] == round(sum(row["right"] * row["rollouts"] for row in curve))
    assert grades["correct"] + grades["wrong"] == manifest["counts"]["rollouts"] == 10 * 32
    assert manifest["details"]["probe"]["held_out"]["after"]["right"] == round(sum(a["right"] for a in answers[48:]) / 48, 6)
    assert not (stage.folder / LOGS / "saves").exists()


def test_the_same_run_gives_the_same_bytes_and_another_seed_others(
    runs: dict[str, Stage], tmp_path: Path, checkpoint: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = make_stage(tmp_path, "again", checkpoint, problems)
    run(again)
    assert outputs(again.folder) == outputs(runs["run/tiny/answer/1"].folder)
    assert outputs(again.folder) != outputs(runs["run/tiny/answer/2"].folder)


def test_a_run_that_diverges_ends_as_a_finding_and_not_as_a_failure(
    tmp_path: Path, checkpoint: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stage = make_stage(tmp_path, "diverging", checkpoint, problems, learning_rate=1e38)
    run(stage)
    curve, answers = rows(stage, "steps.jsonl"), rows(stage, "held_out.jsonl")
    assert len(curve) < 10
    assert curve[-1]["grad_norm"] is None
    assert {answer["finish"] for answer in answers if answer["when"] == "after"} == {"diverged"}
    assert read_manifest(stage.folder)["details"]["probe"]["diverged"]
    assert list(collapses(curve, Collapse())) == ["diverged"]


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, problems: Path) -> Stage:
    """A run of more steps than lie between two saves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        stage = make_stage(tmp_path_factory.mktemp("longer"), "whole", checkpoint, problems, steps=40)
        run(stage)
    return stage


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(
    number: int, longer: Stage, tmp_path: Path, checkpoint: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cut = make_stage(tmp_path, "cut", checkpoint, problems, steps=40)
    process = multiprocessing.get_context("fork").Process(target=run_in_child, args=(cut,))
    process.start()
    assert process.pid is not None
    wait_for(lambda: steps_done(cut) >= 12)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == (-signal.SIGKILL if number == signal.SIGKILL else 75)
    assert not cut.is_finished
    saves = cut.folder / LOGS / "saves"
    assert any(saves.glob("checkpoint-*/whole"))
    (saves / "checkpoint-99").mkdir()  # a save that a kill left unfinished
    run(cut)
    assert outputs(cut.folder) == outputs(longer.folder)


def test_a_run_that_ended_just_before_its_manifest_only_answers_again(
    runs: dict[str, Stage], tmp_path: Path, checkpoint: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cut = make_stage(tmp_path, "cut", checkpoint, problems)
    with monkeypatch.context() as patch:
        patch.setattr(probe_stage, "publish", no_room)
        with pytest.raises(OSError, match="the disk is full"):
            run(cut)
    assert not cut.is_finished
    run(cut)
    assert outputs(cut.folder) == outputs(runs["run/tiny/answer/1"].folder)


def no_room(*_: Any, **__: Any) -> None:
    raise OSError("the disk is full")


def run_in_child(stage: Stage) -> None:
    try:
        probe_stage.run(stage)
    except Interrupted as error:
        os._exit(error.status)
    os._exit(0)


def wait_for(is_so: Any) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)


def steps_done(stage: Stage) -> int:
    file = stage.folder / LOGS / "progress" / "00000.json"
    return int(orjson.loads(file.read_bytes())["done"]) if file.is_file() else 0


def rows(stage: Stage, name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (stage.folder / name).read_bytes().splitlines()]
