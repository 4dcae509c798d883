"""An export is the trained model, or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from world import CLUSTER, MODEL, World, outputs

from recipes.manifest import read_manifest
from recipes.schema import Model

# megatron-core's own calls of what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:MLP requires:DeprecationWarning", "ignore:.*tp_group is None:DeprecationWarning")
EXPORT = {"model": Model.model_validate(MODEL).model_dump(), "dtype": "float32", "max_logit_difference": 1e-5}


@pytest.fixture(scope="module")
def trained(world: World) -> Path:
    folder = world.stage("to_export", steps=4)
    assert world.train(folder).status == 0
    return folder


def export_stage(world: World, trained: Path, name: str, **params: Any) -> Path:
    inputs = {"checkpoint": trained, "config": world.base, "tokenizer": world.tokenizer}
    return world.write(name, "export", {**EXPORT, **params}, inputs, {"cluster": CLUSTER})


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
    from pretrain import convert, export
    from pretrain.model import build
    from recipes.schema import ExportParams, Parallelism

    params = ExportParams.model_validate(EXPORT)
    gpt = build(params.model, 128, "fp32", "cpu", Parallelism())
    convert.load_hugging_face(gpt, world.base, params.model, 0, 1)
    monkeypatch.setattr(export, "_load", lambda *arguments: gpt.eval())
    write = export.write_weights

    def write_wrongly(gpt: Any, params: ExportParams, folder: Path) -> int:
        number = write(gpt, params, folder)
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


def test_a_stage_that_trained_another_model_is_refused(world: World, trained: Path) -> None:
    run = world.export(export_stage(world, trained, "other_model", model={**EXPORT["model"], "num_layers": 3}))  # type: ignore[dict-item]
    assert run.status == 2
    assert "trained another model than this export's `model`" in run.stderr


def test_weights_above_the_limit_are_split_with_an_index(
    world: World, tmp_path: Path, megatron: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrain import convert, export
    from pretrain.model import build
    from recipes.schema import ExportParams, Parallelism

    monkeypatch.setattr(export, "BYTES_PER_FILE", 40_000)
    params = ExportParams.model_validate(EXPORT)
    gpt = build(params.model, 128, "fp32", "cpu", Parallelism())
    convert.load_hugging_face(gpt, world.base, params.model, 0, 1)
    assert export.write_weights(gpt, params, tmp_path) == 20
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert files == [f"model-0000{number}-of-0000{len(files)}.safetensors" for number in range(1, len(files) + 1)]
    assert len(files) > 1
    assert index["metadata"]["total_size"] == 4 * sum(tensor.numel() for tensor in gpt.parameters())
    read = convert._reader(tmp_path)
    for name, tensor in load_file(world.base / "model.safetensors").items():
        assert torch.equal(read(name), tensor)
