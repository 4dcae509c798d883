"""Safetensors folders: read where they are whole, written as safetensors itself writes them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pretrain import weights

SHAPES: dict[str, tuple[int, ...]] = {"b.weight": (4, 3), "a.weight": (5,), "é": (2, 2, 2), "c": (7, 1)}


def tensors(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_file_is_byte_for_byte_what_safetensors_writes(tmp_path: Path, dtype: str) -> None:
    save_file(tensors(getattr(torch, dtype)), tmp_path / "theirs", metadata={"format": "pt"})
    assert weights.write(tmp_path, tensors().items(), SHAPES, dtype, 10**9) == 4
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_above_the_limit_several_files_and_an_index_are_written(tmp_path: Path) -> None:
    weights.write(tmp_path, tensors().items(), SHAPES, "float32", 70)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index == {
        "metadata": {"total_size": 4 * (12 + 5 + 8 + 7)},
        "weight_map": {
            "a.weight": "model-00001-of-00002.safetensors",
            "b.weight": "model-00001-of-00002.safetensors",
            "c": "model-00002-of-00002.safetensors",
            "é": "model-00002-of-00002.safetensors",
        },
    }
    read = weights.reader(tmp_path)
    assert all(torch.equal(read(name), tensor) for name, tensor in tensors().items())
    assert load_file(tmp_path / "model-00001-of-00002.safetensors").keys() == {"a.weight", "b.weight"}


def test_a_tensor_above_the_limit_has_a_file_of_its_own(tmp_path: Path) -> None:
    weights.write(tmp_path, tensors().items(), SHAPES, "float32", 1)
    assert len(list(tmp_path.glob("model-*-of-00004.safetensors"))) == 4


def test_headers_tell_file_type_and_shape_of_every_tensor(tmp_path: Path) -> None:
    weights.write(tmp_path, tensors().items(), SHAPES, "bfloat16", 10**9)
    found = weights.entries(tmp_path)
    assert {name: entry.shape for name, entry in found.items()} == SHAPES
    assert {entry.dtype for entry in found.values()} == {"BF16"}


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"has no model.safetensors \(nor an index of several\); save the weights as safetensors"
    ):
        weights.entries(tmp_path)
    weights.write(tmp_path, tensors().items(), SHAPES, "float32", 70)
    with pytest.raises(ValueError, match=r"has no tensor 'lm_head.weight'; is it a whole Llama checkpoint"):
        weights.reader(tmp_path)("lm_head.weight")
    second = tmp_path / "model-00002-of-00002.safetensors"
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(
        ValueError, match=r"model-00002-of-00002.safetensors has \d+ bytes, its header speaks of \d+; get it again"
    ):
        weights.entries(tmp_path)
    second.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"is no safetensors file, or cut short \(42 bytes\); get it again"):
        weights.entries(tmp_path)
    second.unlink()
    with pytest.raises(ValueError, match=r"names model-00002-of-00002.safetensors, which is not there; is the download complete"):
        weights.entries(tmp_path)
