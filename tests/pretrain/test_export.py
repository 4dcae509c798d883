"""An export is the trained model, or nothing."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_process import run_together
from safetensors.torch import load_file, save_file
from world import CLUSTER, MODEL, World, outputs

from pretrain.weights import reader
from recipes.manifest import read_manifest
from recipes.schema import ExportParams, Model, Parallelism

# megatron-core's own calls of what it and torch deprecate
pytestmark = pytest.mark.filterwarnings(
    "ignore:MLP requires:DeprecationWarning",
    "ignore:.*tp_group is None:DeprecationWarning",
    "ignore:.load_state_dict. is deprecated:FutureWarning",
    "ignore:Please use DTensor:FutureWarning",
)
EXPORT = {"model": Model.model_validate(MODEL).model_dump(), "dtype": "float32", "max_logit_difference": 1e-5}
STILL = {"steps": 1, "optimizer": {"weight_decay": 0.0}, "lr": {"schedule": "constant", "peak": 1e-30}}  # changes no weight
LAYOUTS: dict[str, tuple[int, dict[str, Any]]] = {
    "tensor_and_pipeline": (4, {"tensor": 2, "pipeline": 2, "sequence_parallel": True}),
    "data": (2, {}),
}


@pytest.fixture(scope="module")
def trained(world: World) -> Path:
    folder = world.stage("to_export", steps=4)
    assert world.train(folder).status == 0
    return folder


def export_stage(world: World, trained: Path, name: str, **params: Any) -> Path:
    inputs = {"checkpoint": trained, "config": world.base, "tokenizer": world.tokenizer}
    return world.write(name, "export", {**EXPORT, **params}, inputs, {"cluster": CLUSTER})


def load_here(checkpoint: Path, params: ExportParams, threads: int, kind: str) -> Any:
    """As export.load does, in a process that has joined its world already."""
    from pretrain.backend import choose
    from pretrain.checkpoint import state
    from pretrain.model import build

    (gpt,) = build(params.model, 128, "fp32", choose("cpu"), Parallelism())
    state.load(checkpoint, [gpt], None, kind=kind)
    return gpt.eval()


def test_the_exported_folder_is_a_whole_hugging_face_model(world: World, trained: Path) -> None:
    folder = export_stage(world, trained, "export")
    run = world.export(folder)
    assert run.status == 0, run.stderr
    assert sorted(path.name for path in (folder / "hf").iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert json.loads((folder / "hf" / "generation_config.json").read_text()) == {"bos_token_id": 0, "eos_token_id": 1}
    assert json.loads((folder / "hf" / "config.json").read_text()) == json.loads((world.base / "config.json").read_text())
    before, after = load_file(world.base / "model.safetensors"), load_file(folder / "hf" / "model.safetensors")
    assert {name: tensor.shape for name, tensor in after.items()} == {name: tensor.shape for name, tensor in before.items()}
    assert all(not torch.equal(after[name], before[name]) for name in before)

    parity = read_manifest(folder)["details"]["parity"]
    assert sorted(parity["cases"]) == ["random_128", "random_64", "text_128", "text_64"]
    assert parity["max_difference"] < 1e-6
    assert parity["tokenizer_agrees"]
    assert len(parity["generated"]) == 8
    assert read_manifest(folder)["counts"]["parameters"] == sum(tensor.numel() for tensor in after.values())


def test_an_export_is_the_same_bytes_again_and_rounds_to_bf16(world: World, trained: Path) -> None:
    folders = [export_stage(world, trained, name, dtype="bfloat16") for name in ("bf16", "bf16_again")]
    for folder in folders:
        run = world.export(folder)
        assert run.status == 0, run.stderr
    assert outputs(folders[0]) == outputs(folders[1])
    exact, rounded = (
        load_file(world.root / "export" / "hf" / "model.safetensors"),
        load_file(folders[0] / "hf" / "model.safetensors"),
    )
    assert all(torch.equal(rounded[name], exact[name].bfloat16()) for name in exact)
    assert json.loads((folders[0] / "hf" / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_model_trained_in_bf16_is_exported_as_it_was_trained(world: World) -> None:
    trained = world.stage("bf16_to_export", precision="bf16", steps=3)
    assert world.train(trained).status == 0
    folder = export_stage(world, trained, "export_of_bf16")
    run = world.export(folder)
    assert run.status == 0, run.stderr
    weights = load_file(folder / "hf" / "model.safetensors")
    assert all(torch.equal(tensor, tensor.bfloat16().float()) for tensor in weights.values())


def test_a_model_that_differs_is_not_kept(world: World, trained: Path, megatron: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One weight in a hundred thousand is written wrongly."""
    from pretrain import export

    monkeypatch.setattr(export, "load", load_here)
    write = export.write_weights

    def write_wrongly(checkpoint: Path, params: ExportParams, folder: Path, kind: str) -> int:
        number = write(checkpoint, params, folder, kind)
        tensors = load_file(folder / "model.safetensors")
        tensors["model.layers.1.mlp.down_proj.weight"][3, 5] += 1.0
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return number

    monkeypatch.setattr(export, "write_weights", write_wrongly)
    folder = export_stage(world, trained, "wrong")
    with pytest.raises(
        export.NotTheSame, match=r"the exported model is not the trained one: .*random_128.* allowed logit difference 1e-05"
    ):
        export.run(folder)
    assert [path.name for path in folder.iterdir()] == ["recipe.yaml"]

    monkeypatch.setattr(export, "write_weights", write)
    assert export.run(folder) == 0
    assert (folder / "hf" / "model.safetensors").is_file()


def test_no_number_in_any_case_is_the_largest_difference() -> None:
    """No number is within the limit of the gate then."""
    from pretrain.parity import largest

    for place in range(3):
        assert math.isnan(largest({str(i): math.nan if i == place else 0.5 for i in range(3)}))
    assert largest({"random": 0.25, "text": 0.5}) == 0.5


def test_a_damaged_checkpoint_is_not_exported(world: World, trained: Path) -> None:
    """One bit of its weights: what is written and what it is compared with would agree."""
    folder = shutil.copytree(trained, world.root / "to_export_damaged")
    file = folder / read_manifest(folder)["details"]["checkpoint"] / "__0_0.distcp"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 8
    file.write_bytes(content)
    exported = export_stage(world, folder, "export_damaged")
    run = world.export(exported)
    assert run.status == 2
    assert "step_00000004 is damaged: __0_0.distcp has changed; make its stage again" in run.stderr
    assert not (exported / "hf").exists()


def test_a_stage_that_trained_another_model_is_refused(world: World, trained: Path) -> None:
    run = world.export(export_stage(world, trained, "other_model", model={**EXPORT["model"], "num_layers": 3}))  # type: ignore[dict-item]
    assert run.status == 2
    assert "trained another model than this export's `model`" in run.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_come_back_bit_for_bit_from_any_layout(world: World, tmp_path: Path, layout: str) -> None:
    from pretrain import export

    processes, parallelism = LAYOUTS[layout]
    folder = world.stage(f"still_{layout}", run={"parallelism": parallelism}, **STILL)
    assert run_together(folder, processes) == [0] * processes, (folder / "logs" / "rank_0.txt").read_text()
    checkpoint = folder / read_manifest(folder)["details"]["checkpoint"]
    number = export.write_weights(checkpoint, ExportParams.model_validate(EXPORT), tmp_path)
    before, after = load_file(world.base / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert number == len(after) == len(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_an_untied_model_in_bf16_goes_there_and_back_unchanged_in_several_files(world: World, tmp_path: Path) -> None:
    from world import make_base

    model = Model.model_validate({**MODEL, "tie_embeddings": False})
    base = make_base(tmp_path / "base", model)
    rounded = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(rounded, base / "model.safetensors", metadata={"format": "pt"})
    folder = world.stage("still_bf16", inputs={"init": base}, model=model.model_dump(), precision="bf16", **STILL)
    assert world.train(folder).status == 0
    params = {**EXPORT, "model": model.model_dump(), "dtype": "bfloat16", "max_shard_gigabytes": 2e-5}
    inputs = {"checkpoint": folder, "config": base, "tokenizer": world.tokenizer}
    exported = world.write("export_still_bf16", "export", params, inputs, {"cluster": CLUSTER})
    run = world.export(exported)
    assert run.status == 0, run.stderr
    read = reader(exported / "hf")
    assert all(torch.equal(read(name), tensor) for name, tensor in rounded.items())
    assert read_manifest(exported)["details"]["parity"]["max_difference"] < 1e-6
    index = json.loads((exported / "hf" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(2 * tensor.numel() for tensor in rounded.values())
    assert all((exported / "hf" / name).stat().st_size < 22_000 for name in set(index["weight_map"].values()))


def test_a_checkpoint_of_another_model_is_refused(trained: Path) -> None:
    from pretrain.saved_model import SavedModel

    saved = SavedModel(trained / read_manifest(trained)["details"]["checkpoint"])
    with pytest.raises(ValueError, match=r"has no tensor 'output_layer.weight'; was it saved by another model"):
        saved.read("output_layer.weight")
    with pytest.raises(ValueError, match=r"has 2 layers, so no 'decoder.layers.2.mlp.linear_fc2.weight'"):
        saved.read("decoder.layers.2.mlp.linear_fc2.weight")
