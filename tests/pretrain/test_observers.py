"""TensorBoard and Weights & Biases show the journals' figures, each step once, however often the run was interrupted."""

import importlib.util
import json
import math
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import World

from pretrain import observers, preflight
from pretrain.metrics import SPEED, read_journal
from recipes.schema import Cadence
from recipes.stage import read_stage

CADENCE = {"checkpoint_every_steps": 4, "log_every_steps": 2}
needs_tensorboard = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs the extra `tensorboard`")
needs_wandb = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="needs the extra `wandb`")


def has_steps(folder: Path, number: int) -> Callable[[], bool]:
    metrics = folder / "metrics.jsonl"
    return lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") >= number


def stage(world: World, name: str, observer: str) -> Path:
    return world.stage(name, run={"cadence": {**CADENCE, "observers": [observer]}}, steps=8)


def wanted(folder: Path) -> dict[str, dict[int, float]]:
    """Losses by step, as the journals have them."""
    rows = read_journal(folder / "metrics.jsonl")
    held_out = read_journal(folder / "validation.jsonl")
    return {
        "train/loss": {row["step"]: row["loss"] for row in rows},
        "train/lr": {row["step"]: row["lr"] for row in rows},
        "validation/held_out/bits_per_byte": {row["step"]: row["bits_per_byte"] for row in held_out},
    }


@needs_tensorboard
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_each_step_once(world: World) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = stage(world, "in_tensorboard", "tensorboard")
    assert world.start(folder).signal_when(has_steps(folder, 7)).status == -signal.SIGKILL
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "going on after step 4" in run.stderr
    events = EventAccumulator(str(folder / "logs" / "tensorboard"))
    events.Reload()
    for name, figures in wanted(folder).items():
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in shown] == sorted(figures)
        assert dict(shown) == pytest.approx(figures, rel=1e-6)  # TensorBoard keeps float32
    assert {"speed/tokens_per_second", "speed/mfu", "speed/mfu_full_attention", "speed/stall_share"} <= set(
        events.Tags()["scalars"]
    )


@needs_wandb
def test_wandb_is_told_each_step_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a command: the children of the fork server have the environment that it was started with."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = stage(world, "in_wandb", "wandb")
    killed = world.command(folder)
    while killed.poll() is None and not has_steps(folder, 7)():
        time.sleep(0.01)
    killed.kill()
    _, stderr = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, stderr
    again = world.command(folder)
    _, stderr = again.communicate(timeout=90)
    assert again.returncode == 0, stderr
    assert "going on after step 4" in stderr
    [file] = (folder / "logs" / "wandb" / "wandb").glob("offline-run-*/*.wandb")  # that of the killed process is told again
    shown: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in told_to_wandb(file):
        for name, value in row.items():
            shown[name].append((row["_step"], value))
    for name, figures in wanted(folder).items():
        assert sorted(shown[name]) == sorted(figures.items())


@needs_wandb
def test_wandb_without_a_key_says_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    job = preflight.check(read_stage(stage(world, "no_key", "wandb")))
    with pytest.raises(ValueError, match=r"wandb, which does not begin: No API key configured.* Set WANDB_MODE=offline"):
        observers.open_mirrors(job, 0)


def told_to_wandb(file: Path) -> list[dict[str, Any]]:
    """The rows in the file that an offline run leaves for `wandb sync`."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    rows = []
    store = DataStore()
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    store.close()
    return rows


def test_a_mirror_that_is_not_installed_is_refused_before_training(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "find_spec", lambda name: None)
    folder = world.stage("no_mirror", run={"cadence": {"observers": ["wandb"]}})
    with pytest.raises(ValueError, match=r"cadence.observers names wandb, but .* is not installed here; .*'midtrain\[wandb\]'"):
        preflight.check(read_stage(folder))


def test_only_known_mirrors_may_be_named() -> None:
    with pytest.raises(ValueError, match="observers"):
        Cadence.model_validate({"observers": ["mlflow"]})


def test_the_figures_of_a_row_are_its_numbers() -> None:
    row = {"step": 3, "loss": None, "grad_norm": 0.5, "skipped": "non_finite", "tokens_seen": 384, "tokens": 128}
    assert dict(observers.figures("train", row)) == {"train/grad_norm": 0.5, "train/tokens_seen": 384}


def test_the_speed_journal_tells_what_the_machine_did(world: World) -> None:
    folder = world.stage("speedy", run={"cadence": CADENCE}, steps=4)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    for row in read_journal(folder / SPEED):
        parts = [row[f"{part}_seconds"] for part in ("data", "forward_backward", "optimizer")]
        assert 0 < sum(parts) + row.get("save_seconds", 0.0) <= row["step_seconds"] * 1.001
        assert row["stall_share"] == pytest.approx(row["data_seconds"] / row["step_seconds"], rel=0.05, abs=1e-3)
        assert row["mfu"] < row["mfu_full_attention"] < 2 * row["mfu"]
        assert row["peak_memory_host"] > 2**20
    before, after = (
        {row["name"]: row for row in read_journal(folder / "validation.jsonl") if row["step"] == step} for step in (0, 4)
    )
    assert before["held_out"]["loss"] > after["held_out"]["loss"]
    for row in (before["held_out"], after["held_out"]):
        assert row["bits_per_byte"] == row["loss"] * row["tokens"] / math.log(2) / row["bytes"]
