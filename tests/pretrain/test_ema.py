"""The average that training may keep beside its weights: exact, resumed, resharded, measured, exported; off, nothing."""

import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from odd_process import average_is_counted
from rank_process import run_together
from safetensors.torch import load_file
from test_export import EXPORT
from test_resume import has_steps
from world import CLUSTER, MODEL, VOCAB, World, outputs

from pretrain.cost import num_parameters
from pretrain.metrics import read_journal
from pretrain.saved_model import EMA, SavedModel
from recipes.manifest import read_manifest
from recipes.schema import Model

DECAY = 0.75
NAMES = ("embedding.word_embeddings.weight", "decoder.layers.1.mlp.linear_fc1.weight", "decoder.final_layernorm.weight")


def checkpoint(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step_{step:08d}"


def stage(world: World, name: str, **changes: Any) -> Path:
    run = {"cadence": {"checkpoint_every_steps": 2}, "branch_points": [1, 2, 3]} | changes.pop("run", {})
    return world.stage(name, run=run, **{"steps": 4, "ema_decay": DECAY, **changes})


@pytest.fixture(scope="module")
def averaged(world: World) -> Path:
    folder = stage(world, "averaged", precision="bf16")
    run = world.train(folder)
    assert run.status == 0, run.stderr
    return folder


def test_the_average_follows_the_float32_weights(averaged: Path) -> None:
    for name in NAMES:
        weights = [SavedModel(checkpoint(averaged, step)).in_float32().read(name) for step in (1, 2, 3, 4)]
        averages = [SavedModel(checkpoint(averaged, step), EMA).read(name) for step in (1, 2, 3, 4)]
        for before, weight, after in zip(averages, weights[1:], averages[1:]):
            assert after.dtype == torch.float32
            assert torch.equal(after, before.lerp(weight, 1.0 - DECAY))
        assert not torch.equal(averages[3], weights[3])


def test_a_step_whose_update_was_left_out_does_not_count(world: World) -> None:
    guards = {"grad_norm": {"then": "skip", "above": 1.05}}  # the third step's is 1.12
    folder = stage(world, "skipping_ema", guards=guards)
    assert world.train(folder).status == 0
    assert [row["step"] for row in read_journal(folder / "metrics.jsonl") if "skipped" in row] == [3]
    for name in NAMES:
        second, third, fourth = (SavedModel(checkpoint(folder, step), EMA).read(name) for step in (2, 3, 4))
        assert torch.equal(second, third)
        assert not torch.equal(third, fourth)


def test_it_changes_nothing_of_the_training(world: World, averaged: Path) -> None:
    without = stage(world, "without", precision="bf16", ema_decay=None)
    assert world.train(without).status == 0
    assert (without / "metrics.jsonl").read_bytes() == (averaged / "metrics.jsonl").read_bytes()
    saved = SavedModel(checkpoint(without, 4))
    assert not any(key.startswith(EMA) for key in saved.metadata.state_dict_metadata)
    assert "ema" not in torch.load(checkpoint(without, 4) / "common.pt", weights_only=False)
    for name in NAMES:
        one, other = (SavedModel(checkpoint(folder, 4)).in_float32() for folder in (without, averaged))
        assert torch.equal(one.read(name), other.read(name))


def test_it_is_measured_beside_the_weights(averaged: Path) -> None:
    validation = read_manifest(averaged)["details"]["validation"]
    assert list(validation) == ["held_out", "held_out_ema"]
    assert validation["held_out"] < validation["held_out_ema"] < 5.7  # it lags behind at such a rate


def test_a_killed_run_ends_with_the_same_average(world: World, averaged: Path) -> None:
    folder = stage(world, "killed_ema", precision="bf16", run={"branch_points": [1, 2, 3]})
    assert world.start(folder).signal_when(has_steps(folder, 3)).status == -signal.SIGKILL
    finished = world.train(folder)
    assert finished.status == 0, finished.stderr
    assert "as it was saved and as it was loaded: same" in finished.stderr
    assert outputs(folder) == outputs(averaged)


def go_on(world: World, source: Path, name: str, processes: int, parallelism: dict[str, Any]) -> Path:
    """From the source's step 2 to step 3, under another layout."""
    folder = world.root / name
    shutil.copytree(source, folder)
    (folder / "manifest.json").unlink()
    for step in (3, 4):
        shutil.rmtree(checkpoint(folder, step), ignore_errors=True)
    stage(world, name, steps=4, run={"branch_points": [2, 3], "parallelism": parallelism})
    statuses = run_together(folder, processes)
    assert statuses == [0] * processes, (folder / "logs" / "rank_0.txt").read_text()
    return folder


def test_every_layout_goes_on_with_the_average_of_another(world: World) -> None:
    first = stage(world, "four_ema", run={"branch_points": [2, 3], "parallelism": {"tensor": 2, "pipeline": 2}})
    assert run_together(first, 4) == [0] * 4, (first / "logs" / "rank_0.txt").read_text()
    two = go_on(world, first, "two_ema", 2, {})
    one = go_on(world, two, "one_ema", 1, {})
    for folder in (two, one):
        for name in NAMES:
            before, after = (SavedModel(checkpoint(folder, step), EMA).read(name) for step in (2, 3))
            weight = SavedModel(checkpoint(folder, 3)).in_float32().read(name)
            assert torch.equal(after, before.lerp(weight, 1.0 - DECAY))
    for name in NAMES:
        averages = [SavedModel(checkpoint(folder, 4), EMA).read(name) for folder in (first, two, one)]
        assert torch.allclose(averages[0], averages[1], atol=1e-5)
        assert torch.allclose(averages[0], averages[2], atol=1e-5)
    losses = [read_manifest(folder)["details"]["validation"]["held_out_ema"] for folder in (first, two, one)]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)


def test_two_processes_hold_the_average_once_while_they_save_it(world: World) -> None:
    folder = stage(world, "held_ema", steps=1, run={"branch_points": []}, validation={})
    prepare = partial(average_is_counted, folder / "logs")
    assert run_together(folder, 2, prepare=prepare) == [0, 0], (folder / "logs" / "rank_0.txt").read_text()
    held = [int((folder / "logs" / f"held.{rank}").read_text()) for rank in (0, 1)]
    assert sum(held) == num_parameters(Model.model_validate(MODEL))
    assert max(held) - min(held) <= VOCAB * 32  # no further apart than the largest tensor


def test_the_page_says_which_weights_are_exported(world: World, averaged: Path) -> None:
    inputs = {"checkpoint": averaged, "config": world.base, "tokenizer": world.tokenizer}
    exported = world.write("export_ema", "export", {**EXPORT, "weights": "ema"}, inputs, {"cluster": CLUSTER})
    run = world.export(exported)
    assert run.status == 0, run.stderr
    written = load_file(exported / "hf" / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(written, SavedModel(checkpoint(averaged, 4), EMA).read(NAMES[0]))


def test_what_kept_no_average_cannot_export_it(world: World) -> None:
    plain = stage(world, "plain", ema_decay=None, steps=1)
    assert world.train(plain).status == 0
    inputs = {"checkpoint": plain, "config": world.base, "tokenizer": world.tokenizer}
    run = world.export(world.write("export_no_ema", "export", {**EXPORT, "weights": "ema"}, inputs, {"cluster": CLUSTER}))
    assert run.status == 2
    assert "export.weights=ema, but" in run.stderr
    assert "kept no average of its weights" in run.stderr
