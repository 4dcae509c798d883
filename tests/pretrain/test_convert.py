"""Weights go from Hugging Face to Megatron and back unchanged, and both models say the same."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from world import MODEL, World, hf_config, make_base

from pretrain import convert
from recipes.schema import Model, Parallelism

# megatron-core's own calls of what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:MLP requires:DeprecationWarning", "ignore:.*tp_group is None:DeprecationWarning")
CASES = {
    "tied, grouped queries, plain RoPE": {},
    "untied, one key a query, plain RoPE": {"tie_embeddings": False, "num_query_groups": 4},
    "tied, one group, llama3 RoPE": {"num_query_groups": 1, "rope_scaling_factor": 32.0, "rope_theta": 500000.0},
    "untied, grouped queries, llama3 RoPE": {"tie_embeddings": False, "rope_scaling_factor": 8.0, "rope_theta": 500000.0},
    "wide heads": {"head_dim": 16},
}


def model_of(case: str) -> Model:
    return Model.model_validate({**MODEL, "max_position_embeddings": 4096, **CASES[case]})


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest, megatron: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, Any]:
    from pretrain.model import build

    model = model_of(request.param)
    base = make_base(tmp_path_factory.mktemp("pair") / "base", model)
    convert.check_config(base, model)
    with warnings.catch_warnings():  # marks do not reach fixtures of a module
        warnings.filterwarnings("ignore", module="megatron")
        gpt = build(model, 4096, "fp32", "cpu", Parallelism()).eval()
    convert.load_hugging_face(gpt, base, model, 0, 1)
    return model, base, gpt


def test_weights_come_back_bit_for_bit(pair: tuple[Model, Path, Any]) -> None:
    model, base, gpt = pair
    before = load_file(base / "model.safetensors")
    after = dict(convert.hugging_face_tensors(gpt, model))
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name


@pytest.mark.parametrize("positions", [16, 4096])
def test_logits_are_those_of_transformers(pair: tuple[Model, Path, Any], positions: int) -> None:
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    _, base, gpt = pair
    hugging_face = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="sdpa").eval()
    tokens = torch.randint(256, (1, positions), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = gpt(tokens, torch.arange(positions)[None], None)
        theirs = hugging_face(input_ids=tokens, use_cache=False).logits
    assert theirs.std() > 0.1
    assert float((ours - theirs).abs().max()) < 1e-6


def test_parameters_are_counted_exactly(pair: tuple[Model, Path, Any]) -> None:
    from pretrain.cost import num_parameters

    model, _, gpt = pair
    assert num_parameters(model) == sum(parameter.numel() for parameter in gpt.parameters())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_tensor_ranks_together_hold_every_weight(tmp_path: Path, size: int) -> None:
    """Concatenated along the axis that Megatron splits, the parts are the whole again."""
    model = Model.model_validate({**MODEL, "num_query_groups": 4})
    read = convert._reader(make_base(tmp_path / "base", model))
    for name, axis in {
        "embedding.word_embeddings.weight": 0,
        "decoder.layers.1.self_attention.linear_qkv.weight": 0,
        "decoder.layers.1.self_attention.linear_proj.weight": 1,
        "decoder.layers.1.mlp.linear_fc2.weight": 1,
    }.items():
        parts = [convert.megatron_tensor(name, read, model, rank, size) for rank in range(size)]
        assert torch.equal(torch.cat(parts, dim=axis), convert.megatron_tensor(name, read, model)), name
    gates = [
        convert.megatron_tensor("decoder.layers.0.mlp.linear_fc1.weight", read, model, rank, size).chunk(2)
        for rank in range(size)
    ]
    assert torch.equal(torch.cat([gate for gate, _ in gates]), read("model.layers.0.mlp.gate_proj.weight"))
    assert torch.equal(torch.cat([up for _, up in gates]), read("model.layers.0.mlp.up_proj.weight"))


# ---------------------------------------------------------------------------------------------------- config.json


def with_config(world: World, folder: Path, **changes: Any) -> Path:
    shutil.copytree(world.base, folder)
    (folder / "config.json").write_text(json.dumps(hf_config(Model.model_validate(MODEL)) | changes))
    return folder


def test_every_difference_from_the_recipe_is_named(world: World, tmp_path: Path) -> None:
    folder = with_config(world, tmp_path / "base", vocab_size=512, num_hidden_layers=3, rms_norm_eps=1e-6)
    with pytest.raises(ValueError, match="not the recipe's model") as error:
        convert.check_config(folder, Model.model_validate(MODEL))
    for part in (
        "vocab_size is 512, the recipe's model says 256",
        "num_layers is 3, the recipe's model says 2",
        "norm_eps is 1e-06, the recipe's model says 1e-05",
    ):
        assert part in str(error.value)
    assert "hidden_size" not in str(error.value)


@pytest.mark.parametrize(
    ("rope", "message"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}, "rope type 'yarn' is not supported"),
        (
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 10000.0,
             "original_max_position_embeddings": 4096},
            "original_max_position_embeddings=4096 is not supported; megatron-core has 8192 built in",
        ),
        ({"rope_type": "default", "rope_theta": 500000.0}, "rope_theta is 500000.0, the recipe's model says 10000.0"),
    ],
)  # fmt: skip
def test_other_rope_is_refused(world: World, tmp_path: Path, rope: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert.check_config(with_config(world, tmp_path / "base", rope_parameters=rope), Model.model_validate(MODEL))


def test_the_older_spelling_of_rope_is_understood(world: World, tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    folder = with_config(world, tmp_path / "base", rope_parameters=None, rope_theta=500000.0, rope_scaling=scaling)
    understood = {**MODEL, "rope_theta": 500000.0, "rope_scaling_factor": 32.0}
    convert.check_config(folder, Model.model_validate(understood))
    with pytest.raises(ValueError, match=r"rope_scaling_factor is 32\.0"):
        convert.check_config(folder, Model.model_validate({**understood, "rope_scaling_factor": 8.0}))


@pytest.mark.parametrize(
    "change", [{"model_type": "qwen2"}, {"hidden_act": "gelu"}, {"attention_bias": True}, {"mlp_bias": True}]
)
def test_other_architectures_are_refused(world: World, tmp_path: Path, change: dict[str, Any]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, only .* is supported"):
        convert.check_config(with_config(world, tmp_path / "base", **change), Model.model_validate(MODEL))


def test_missing_weights_are_named(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model.safetensors"):
        convert._reader(tmp_path / "base")
    with pytest.raises(ValueError, match=r"has no tensor 'lm_head.weight'; is it a whole Llama checkpoint"):
        convert._reader(world.base)("lm_head.weight")
