"""An average of checkpoints: exactly the weighted mean, a checkpoint like any other but for its optimizer, and measured."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_process import run_together
from test_export import EXPORT, LAYOUTS
from world import CLUSTER, MODEL, World, outputs

from pretrain import average
from pretrain.checkpoint import files
from pretrain.metrics import read_journal
from pretrain.saved_model import SavedModel
from recipes import exits
from recipes.fingerprint import file_hash
from recipes.manifest import changed_files, read_manifest
from recipes.schema import Model
from recipes.stage import read_stage

RUN = {"cluster": CLUSTER}
TENSORS = ("embedding.word_embeddings.weight", "decoder.layers.1.mlp.linear_fc1.weight", "decoder.final_layernorm.weight")


@pytest.fixture(scope="module")
def decays(world: World) -> dict[str, Path]:
    """Two runs of other data orders; the first kept its steps 2 and 3."""
    folders = {}
    for name, seed in (("decay_a", 1), ("decay_b", 2)):
        run = {"branch_points": [2, 3], "cadence": {"validate_every_steps": 2}} if name == "decay_a" else {}
        folders[name] = world.stage(name, run=run, steps=4, seed=seed, precision="bf16")
        assert world.train(folders[name]).status == 0
    return folders


def average_stage(world: World, name: str, members: list[dict[str, Any]], stages: dict[str, Path], **run: Any) -> Path:
    params = {"model": Model.model_validate(MODEL).model_dump(), "members": members}
    locations = {f"checkpoint/{stage}": folder for stage, folder in stages.items()}
    locations |= {f"dataset/{dataset}": folder for dataset, folder in world.datasets.items()}
    return world.write(name, "average", params, locations, {**RUN, **run})


MERGE = [{"stage": "decay_a", "step": None, "weight": 0.9}, {"stage": "decay_b", "step": None, "weight": 0.1}]


@pytest.fixture(scope="module")
def merge(world: World, decays: dict[str, Path]) -> Path:
    folder = average_stage(world, "merge", MERGE, decays)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    assert "Warning" not in run.stderr
    return folder


def checkpoint(folder: Path) -> Path:
    return folder / str(read_manifest(folder)["details"]["checkpoint"])


def test_every_weight_is_the_mean_of_the_float32_weights(merge: Path, decays: dict[str, Path]) -> None:
    one, other = (SavedModel(checkpoint(folder)).in_float32() for folder in decays.values())
    mean = SavedModel(checkpoint(merge))
    assert list(mean.shapes()) == list(one.shapes())
    for name in TENSORS:
        wanted = (0.9 * one.read(name).double() + 0.1 * other.read(name).double()).float()
        assert mean.read(name).dtype == torch.float32
        assert torch.equal(mean.read(name), wanted)
        assert not torch.equal(mean.read(name), one.read(name))


def test_the_manifest_tells_every_members_loss_as_its_training_measured_it(merge: Path, decays: dict[str, Path]) -> None:
    details = read_manifest(merge)["details"]
    for member, folder in zip(details["members"], decays.values(), strict=True):
        assert member["validation"] == read_manifest(folder)["details"]["validation"]
    assert [(member["stage"], member["step"], member["weight"]) for member in details["members"]] == [
        ("decay_a", 4, 0.9),
        ("decay_b", 4, 0.1),
    ]
    assert 0 < details["validation"]["held_out"] < 5.5
    assert not details["has_optimizer"]
    assert changed_files(merge) == []


def test_an_average_is_the_same_bytes_again_wherever_it_lies(world: World, merge: Path, decays: dict[str, Path]) -> None:
    folder = average_stage(world, "elsewhere/merge_again", MERGE, decays)
    assert world.train(folder).status == 0
    assert outputs(folder) == outputs(merge)


def test_the_moments_of_one_stage_are_averaged(world: World, decays: dict[str, Path]) -> None:
    members = [{"stage": "decay_a", "step": step, "weight": 1 / 3} for step in (2, 3, None)]
    folder = average_stage(world, "window", members, {"decay_a": decays["decay_a"]})
    assert world.train(folder).status == 0
    details = read_manifest(folder)["details"]
    assert [member["step"] for member in details["members"]] == [2, 3, 4]
    on_the_way = read_journal(decays["decay_a"] / "logs" / "validation.jsonl")
    assert details["members"][0]["validation"]["held_out"] == next(row["loss"] for row in on_the_way if row["step"] == 2)


def test_what_an_interrupted_run_left_behind_is_made_anew(world: World, merge: Path, decays: dict[str, Path]) -> None:
    folder = average_stage(world, "interrupted", MERGE, decays)
    for rest in (".step_00000000.tmp", "step_00000000"):
        (folder / "checkpoints" / rest).mkdir(parents=True)
        (folder / "checkpoints" / rest / "__0_0.distcp").write_bytes(b"half")
    assert world.train(folder).status == 0
    assert outputs(folder) == outputs(merge)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_measures_and_makes_the_same_average(world: World, decays: dict[str, Path], merge: Path, layout: str) -> None:
    """Of members saved under that layout too."""
    processes, parallelism = LAYOUTS[layout]
    again = world.stage(f"again_{layout}", run={"parallelism": parallelism}, steps=2)
    assert run_together(again, processes) == [0] * processes
    stages = {"decay_a": decays["decay_a"], "decay_b": again}
    folders = [
        average_stage(world, f"{layout}_{n}", MERGE, stages, **run)
        for n, run in (("one", {}), ("many", {"parallelism": parallelism}))
    ]
    assert world.train(folders[0]).status == 0
    assert run_together(folders[1], processes) == [0] * processes, (folders[1] / "logs" / "rank_0.txt").read_text()
    assert outputs(folders[0]) == outputs(folders[1])
    one, many = (read_manifest(folder)["details"]["validation"]["held_out"] for folder in folders)
    assert many == pytest.approx(one, abs=1e-3 if layout == "tensor_and_pipeline" else 1e-6)  # bf16, other sums; measured 1.6e-4


def test_an_average_is_exported_and_trained_further(world: World, merge: Path) -> None:
    inputs = {"checkpoint": merge, "config": world.base, "tokenizer": world.tokenizer}
    exported = world.write("export_merge", "export", EXPORT, inputs, RUN)
    run = world.export(exported)
    assert run.status == 0, run.stderr
    still = {"schedule": "constant", "peak": 1e-12}
    further = world.stage("further", inputs={"init": merge}, init_from_stage=True, load_optimizer=False, steps=1, lr=still)
    run = world.train(further)
    assert run.status == 0, run.stderr
    losses = [read_manifest(folder)["details"]["validation"]["held_out"] for folder in (merge, further)]
    assert losses[1] == pytest.approx(losses[0], abs=2e-3)  # the merge was measured in bf16
    ledger = read_manifest(further)["details"]["ledger"]
    assert ledger  # what the averaged stages had seen is counted


def test_an_average_has_no_optimizer_state_to_load(world: World, merge: Path) -> None:
    run = world.train(world.stage("needs_optimizer", inputs={"init": merge}, init_from_stage=True, steps=1))
    assert run.status == 2
    assert "is an average, which has weights alone and no optimizer state; set load_optimizer: false" in run.stderr


def test_an_average_of_averages_goes_down_to_what_was_trained(world: World, merge: Path, decays: dict[str, Path]) -> None:
    members = [{"stage": "merge", "step": None, "weight": 0.5}, {"stage": "decay_b", "step": None, "weight": 0.5}]
    folder = average_stage(world, "twice", members, {"merge": merge, "decay_b": decays["decay_b"]})
    run = world.train(folder)
    assert run.status == 0, run.stderr
    mine, theirs = (read_manifest(path)["details"] for path in (folder, merge))
    assert mine["members"][0]["validation"] == theirs["validation"]


def test_a_member_that_was_not_kept_is_named_with_those_that_were(world: World, decays: dict[str, Path]) -> None:
    folder = average_stage(world, "missing", [{"stage": "decay_a", "step": 1, "weight": 1.0}], decays)
    with pytest.raises(
        ValueError, match=r"missing averages 1 checkpoints, but .*decay_a kept no checkpoint of step 1; it kept 2, 3, 4: name one"
    ):
        average.check(read_stage(folder))


def test_stages_of_different_models_are_not_averaged(world: World, decays: dict[str, Path]) -> None:
    folder = average_stage(world, "other_model", MERGE, decays)
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("num_layers: 2", "num_layers: 3"))
    with pytest.raises(ValueError, match=r"decay_a trained another model than this average's \(num_layers=2, not 3\)"):
        average.check(read_stage(folder))


def test_checkpoints_of_other_shapes_are_not_averaged(
    world: World, decays: dict[str, Path], tmp_path: Path, megatron: None
) -> None:
    """Where manifests say otherwise."""
    from pretrain.checkpoint.mean import write_mean

    other = world.stage("wide", model={**MODEL, "ffn_hidden_size": 96}, inputs={"init": make_wide(world)}, steps=1)
    assert world.train(other).status == 0
    with pytest.raises(
        ValueError, match=r"different models cannot be averaged: decoder.layers.mlp.linear_fc1.weight is \[2, 128, 32\]"
    ):
        write_mean(tmp_path, [(checkpoint(decays["decay_a"]), 0.5), (checkpoint(other), 0.5)], lambda done, total: None)


def make_wide(world: World) -> Path:
    from world import make_base

    return make_base(world.root / "wide_base", Model.model_validate({**MODEL, "ffn_hidden_size": 96}))


def test_a_damaged_member_is_refused(world: World, decays: dict[str, Path]) -> None:
    broken = world.root / "decay_broken"
    shutil.copytree(decays["decay_a"], broken)
    weights = checkpoint(broken) / "__0_0.distcp"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert file_hash(weights) != files.complete(checkpoint(broken))["files"]["__0_0.distcp"]
    run = world.train(average_stage(world, "of_broken", MERGE, {"decay_a": broken, "decay_b": decays["decay_b"]}))
    assert run.status == 2
    assert "step_00000004 is damaged: __0_0.distcp has changed; make its stage again" in run.stderr


def test_a_full_disk_leaves_no_average(world: World, decays: dict[str, Path]) -> None:
    folder = average_stage(world, "no_room", MERGE, decays)
    run = world.start(folder, file_size_limit=50_000).finish()
    assert run.status == exits.NO_ROOM
    assert "the average could not be written: [Errno 27] File too large; make room" in run.stderr
    assert files.present(folder) == []
