"""Whatever happens to a run, and however its checkpoints are saved, running it again ends with the bytes of an undisturbed one,
and the certificate says so."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import World, outputs

from pretrain import certificate
from pretrain.metrics import read_journal
from recipes import exits
from recipes.manifest import read_manifest

CADENCE = {"checkpoint_every_steps": 3, "log_every_steps": 4, "keep_checkpoints": 3, "keep_every_tokens": 9 * 4 * 32}


@pytest.fixture(scope="module")
def whole_sync(world: World) -> Path:
    return trained(world, "sync")


@pytest.fixture(scope="module")
def whole_async(world: World) -> Path:
    return trained(world, "async")


@pytest.fixture(scope="module", params=["sync", "async"])
def save(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def undisturbed(request: pytest.FixtureRequest, save: str) -> Path:
    folder: Path = request.getfixturevalue(f"whole_{save}")
    return folder


def trained(world: World, save: str) -> Path:
    folder = stage(world, f"whole_{save}", save)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    return folder


def stage(world: World, name: str, save: str) -> Path:
    return world.stage(name, run={"cadence": {**CADENCE, "save": save}})


def has_steps(folder: Path, number: int) -> Callable[[], bool]:
    metrics = folder / "metrics.jsonl"
    return lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") >= number


def finished(world: World, folder: Path, undisturbed: Path) -> dict[str, Any]:
    """Runs the stage to its end; returns its certificate."""
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert outputs(folder) == outputs(undisturbed)
    resume: dict[str, Any] = read_manifest(folder)["details"]["resume"]
    assert resume["verdict"] == "same", resume
    return resume


def test_saving_on_the_way_or_at_once_makes_the_same_bytes(whole_sync: Path, whole_async: Path) -> None:
    assert outputs(whole_async) == outputs(whole_sync)


def test_killed_at_random_steps_and_while_saving(world: World, undisturbed: Path, save: str) -> None:
    folder = stage(world, f"killed_{save}", save)
    draw = random.Random(save)
    checkpoints = folder / "checkpoints"
    moments = [
        (folder / ".index.tmp").exists,
        has_steps(folder, draw.randint(1, 3)),
        (checkpoints / ".step_00000006.tmp").exists,
        has_steps(folder, draw.randint(7, 8)),
        (checkpoints / ".step_00000009.tmp" / "__0_0.distcp").exists,
    ]
    for moment in moments:
        assert world.start(folder).signal_when(moment).status == -signal.SIGKILL
    resume = finished(world, folder, undisturbed)
    assert resume["restarts"] == 4  # killed while it built its index, it had not begun
    assert {segment["ended"] for segment in resume["segments"][:-1]} == {certificate.KILLED}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_it_saves_and_wants_to_go_on(world: World, undisturbed: Path, save: str, number: signal.Signals) -> None:
    folder = stage(world, f"asked_{number.name}_{save}", save)
    run = world.start(folder).signal_when(has_steps(folder, 4), number)
    assert run.status == 75
    resume = finished(world, folder, undisturbed)
    assert f"asked to stop by {number.name} after step" in resume["segments"][0]["ended"]
    assert resume["redone_steps"] == 0
    assert resume["segments"][1]["digest"] == "same"


def test_a_full_disk_fails_the_run_and_harms_no_checkpoint(world: World, undisturbed: Path, save: str) -> None:
    """A limit on the size of files stands for the disk: the checkpoint's file does not fit, the journals do."""
    folder = stage(world, f"full_{save}", save)
    assert world.start(folder).signal_when(has_steps(folder, 4), signal.SIGTERM).status == 75
    kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
    run = world.start(folder, file_size_limit=100_000).finish()
    assert run.status == exits.NO_ROOM
    assert "could not be written: [Errno 27] File too large" in run.stderr
    assert [path.name for path in sorted((folder / "checkpoints").glob("step_*"))] == kept
    resume = finished(world, folder, undisturbed)
    assert "could not be written" in resume["segments"][1]["ended"]
    assert resume["redone_steps"] > 0


def damage_truncated(path: Path) -> None:
    os.truncate(path / "__0_0.distcp", 1000)


def damage_one_bit(path: Path) -> None:
    content = bytearray((path / "__0_0.distcp").read_bytes())
    content[len(content) // 3] ^= 8
    (path / "__0_0.distcp").write_bytes(content)


def damage_half_published(path: Path) -> None:
    (path / "complete.json").unlink()


def damage_no_contents(path: Path) -> None:
    (path / ".metadata").unlink()


def damage_cut_record(path: Path) -> None:
    os.truncate(path / "complete.json", 50)


DAMAGES = [damage_truncated, damage_one_bit, damage_half_published, damage_no_contents, damage_cut_record]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_used(world: World, whole_sync: Path, damage: Callable[[Path], None]) -> None:
    folder = stage(world, damage.__name__, "sync")
    for part in ("index", "checkpoints"):
        shutil.copytree(whole_sync / part, folder / part)
    for journal in ("metrics.jsonl", "validation.jsonl"):
        shutil.copy(whole_sync / journal, folder / journal)
    damage(folder / "checkpoints" / "step_00000012")
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "step_00000012 is damaged" in run.stderr
    assert "going on after step 9 of 12" in run.stderr
    assert (folder / "logs" / "damaged" / "step_00000012").is_dir()
    assert outputs(folder) == outputs(whole_sync)
    resume = read_manifest(folder)["details"]["resume"]
    assert (resume["verdict"], resume["redone_steps"]) == ("same", 3)


def test_a_change_of_the_state_is_told_with_its_place(world: World, undisturbed: Path) -> None:
    """Somebody edits a checkpoint and its hashes: it loads, and the certificate says that it is not the same."""
    folder = stage(world, f"edited_{undisturbed.name}", "sync")
    for name in ("index", "checkpoints"):
        shutil.copytree(undisturbed / name, folder / name)
    rows = read_journal(undisturbed / "metrics.jsonl")
    rows[9]["loss"] += 1e-7
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.rmtree(folder / "checkpoints" / "step_00000012")
    complete = folder / "checkpoints" / "step_00000009" / "complete.json"
    record = json.loads(complete.read_text())
    record["digest"]["processes"][0]["optimizer"] = "0" * 32
    complete.write_text(json.dumps(record))
    run = world.train(folder)
    assert run.status == 0, run.stderr
    resume = read_manifest(folder)["details"]["resume"]
    assert resume["verdict"] == "not same"
    assert resume["num_differences"] == 2
    assert resume["differences"][0] == "before step 10: optimizer of process 0 of step_00000009 differ from what was saved"
    assert resume["differences"][1].startswith("step 10: loss was ")


def test_checkpoints_are_kept_by_the_page_and_at_branch_points_for_ever(world: World) -> None:
    cadence = {"checkpoint_every_steps": 2, "keep_checkpoints": 1, "keep_every_tokens": 4 * 4 * 32}  # every 4 steps
    folder = world.stage("kept", run={"cadence": cadence, "branch_points": [5]})
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert read_manifest(folder)["details"]["kept_steps"] == [4, 5, 8, 12]
