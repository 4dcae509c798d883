"""Whatever interrupts a training stage, running it again ends with the same bytes."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from world import World, outputs

from pretrain.metrics import read_journal
from recipes import exits
from recipes.manifest import changed_files, read_manifest


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Path:
    folder = world.stage("undisturbed")
    process = world.command(folder)
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    assert "step 12/12 | tokens 1.54k | loss " in stderr
    assert "Warning" not in stderr
    return folder


def has_steps(folder: Path, number: int) -> Callable[[], bool]:
    metrics = folder / "metrics.jsonl"
    return lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") >= number


def test_a_stage_reports_what_it_did(undisturbed: Path) -> None:
    manifest = read_manifest(undisturbed)
    details = manifest["details"]
    rows = read_journal(undisturbed / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.2
    assert rows[-1]["tokens_seen"] == 12 * 4 * 32
    assert manifest["counts"] == {"steps": 12, "tokens": 1536}
    assert details["loss"] == {"first": rows[0]["loss"], "last": rows[-1]["loss"]}
    assert details["checkpoint"] == "checkpoints/step_00000012"
    resume = details["resume"]
    assert (resume["verdict"], resume["restarts"], resume["redone_steps"]) == ("same", 0, 0)
    assert resume["segments"] == [
        {
            "digest": "began anew",
            "processes": 1,
            "layout": "data 1 x tensor 1 x pipeline 1 x context 1, virtual pipeline 1, cpu",
            "loaded": None,
            "from_step": 0,
            "damaged": [],
            "to_step": 12,
            "ended": "done",
        }
    ]
    assert details["kept_steps"] == [12]
    assert details["validation"]["held_out"] == read_journal(undisturbed / "validation.jsonl")[-1]["loss"]
    assert read_journal(undisturbed / "validation.jsonl")[-1]["tokens"] == 6 * 32
    assert [path.name for path in (undisturbed / "checkpoints").iterdir()] == ["step_00000012"]
    assert changed_files(undisturbed) == []
    assert details["tokens_per_second"] > 0


def test_the_same_stage_in_another_place_makes_the_same_bytes(world: World, undisturbed: Path) -> None:
    elsewhere = world.stage("elsewhere/deeper/again")
    assert world.train(elsewhere).status == 0
    assert outputs(elsewhere) == outputs(undisturbed)


def test_bf16_resumes_to_the_same_bytes(world: World) -> None:
    folders = [world.stage(name, precision="bf16", steps=6) for name in ("bf16_whole", "bf16_killed")]
    assert world.train(folders[0]).status == 0
    assert world.start(folders[1]).signal_when(has_steps(folders[1], 5)).status == -signal.SIGKILL
    finished = world.train(folders[1])
    assert finished.status == 0, finished.stderr
    assert "going on after step 4" in finished.stderr
    assert outputs(folders[1]) == outputs(folders[0])


def test_a_finished_stage_is_left_alone(world: World, undisturbed: Path) -> None:
    before = (undisturbed / "manifest.json").read_bytes()
    again = world.train(undisturbed)
    assert again.status == 0
    assert "finished already" in again.stderr
    assert (undisturbed / "manifest.json").read_bytes() == before


def test_a_diverging_run_stops_and_says_so(world: World) -> None:
    base = world.root / "broken_base"
    shutil.copytree(world.base, base)
    from safetensors.torch import load_file, save_file

    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, base / "model.safetensors")
    failed = world.train(world.stage("diverging", inputs={"init": base}))
    assert failed.status == exits.DIVERGED
    assert "step 1: loss nan" in failed.stderr
    assert "Lower lr.peak (0.01)" in failed.stderr
    assert not (world.root / "diverging" / "manifest.json").exists()
