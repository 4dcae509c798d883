"""Weights go from Hugging Face to Megatron and back unchanged, and both models say the same."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from world import MODEL, World, hf_config, make_base

from pretrain import convert, weights
from recipes.schema import Model, Parallelism

# megatron-core's own calls of what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:MLP requires:DeprecationWarning", "ignore:.*tp_group is None:DeprecationWarning")
CASES: dict[str, dict[str, Any]] = {
    "Llama-3.1-8B, 1/64 as wide": {
        "hidden_size": 64, "ffn_hidden_size": 224, "num_attention_heads": 8, "head_dim": 8,
        "tie_embeddings": False, "rope_scaling_factor": 8.0, "rope_theta": 500000.0,
    },
    "Llama-3.2-1B, 1/32 as wide": {
        "hidden_size": 64, "ffn_hidden_size": 256, "num_attention_heads": 8, "head_dim": 8,
        "rope_scaling_factor": 32.0, "rope_theta": 500000.0,
    },
    "Llama-3.2-3B, 1/64 as wide": {
        "hidden_size": 48, "ffn_hidden_size": 128, "num_attention_heads": 6, "head_dim": 8,
        "rope_scaling_factor": 32.0, "rope_theta": 500000.0,
    },
    "untied, one key a query, plain RoPE": {"tie_embeddings": False, "num_query_groups": 4},
    "one group, heads that are not hidden size / heads": {"num_query_groups": 1, "head_dim": 16},
}  # fmt: skip


def model_of(case: str) -> Model:
    return Model.model_validate({**MODEL, "max_position_embeddings": 4096, **CASES[case]})


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest, megatron: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, Any]:
    from pretrain.backend import choose
    from pretrain.model import build

    model = model_of(request.param)
    base = make_base(tmp_path_factory.mktemp("pair") / "base", model)
    convert.check_config(base, model)
    with warnings.catch_warnings():  # marks do not reach fixtures of a module
        warnings.filterwarnings("ignore", module="megatron")
        gpt = build(model, 4096, "fp32", choose("cpu"), Parallelism())[0].eval()
    convert.load_hugging_face(gpt, base, model, 0, 1)
    return model, base, gpt


@pytest.mark.parametrize("case", CASES)
def test_weights_come_back_bit_for_bit(case: str, tmp_path: Path) -> None:
    model = model_of(case)
    base = make_base(tmp_path / "base", model)
    read, before = weights.reader(base), load_file(base / "model.safetensors")
    after = dict(convert.hugging_face_tensors(lambda name: convert.megatron_tensor(name, read, model), model))
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    assert {name: tuple(tensor.shape) for name, tensor in before.items()} == convert.hugging_face_shapes(model)


def test_a_model_is_filled_with_every_tensor_in_its_place(pair: tuple[Model, Path, Any]) -> None:
    model, base, gpt = pair
    read = weights.reader(base)
    for name, parameter in gpt.named_parameters():
        assert torch.equal(parameter, convert.megatron_tensor(convert.global_name(gpt, name), read, model)), name


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
    read = weights.reader(make_base(tmp_path / "base", model))
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
        (
            {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
            "partial_rotary_factor=0.5 is not supported, only 1.0",
        ),
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
    "change",
    [
        {"model_type": "qwen2"},
        {"hidden_act": "gelu"},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"attention_dropout": 0.1},
        {"quantization_config": "fp8"},
    ],
)
def test_other_architectures_are_refused(world: World, tmp_path: Path, change: dict[str, Any]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, only .* is supported"):
        convert.check_config(with_config(world, tmp_path / "base", **change), Model.model_validate(MODEL))


# ---------------------------------------------------------------------------------------------------- tensors


def with_tensors(world: World, folder: Path, *, without: str = "", **changes: torch.Tensor) -> Path:
    """The base with other tensors; in their names stands `__` for a dot."""
    folder.mkdir()
    tensors = load_file(world.base / "model.safetensors") | {name.replace("__", "."): t for name, t in changes.items()}
    save_file({name: t for name, t in tensors.items() if name != without}, folder / "model.safetensors")
    return folder


def test_the_base_of_the_world_is_a_whole_llama(world: World) -> None:
    convert.check_weights(world.base, Model.model_validate(MODEL))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model__layers__1__self_attn__q_proj__bias": torch.zeros(32)},
            r"has a tensor 'model.layers.1.self_attn.q_proj.bias', which the recipe's model has not and would leave behind",
        ),
        (
            {f"model__layers__{layer}__input_layernorm__weight": torch.zeros(32) for layer in (2, 3)},
            r"has a tensor 'model.layers.2.input_layernorm.weight' \(and 1 others\), which",
        ),
        ({"without": "model.norm.weight"}, r"has no tensor 'model.norm.weight'; is it a whole Llama checkpoint\?"),
        (
            {"model__layers__0__mlp__down_proj__weight": torch.zeros(32, 65)},
            r"model.layers.0.mlp.down_proj.weight has shape \(32, 65\), the recipe's model wants \(32, 64\)",
        ),
        (
            {"model__norm__weight": torch.zeros(32, dtype=torch.int8)},
            "model.norm.weight is stored as I8; only F32, BF16, F16 can be read",
        ),
    ],
)  # fmt: skip
def test_tensors_that_are_not_the_models_are_refused(world: World, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = with_tensors(world, tmp_path / "base", **changes)
    with pytest.raises(ValueError, match=message):
        convert.check_weights(folder, Model.model_validate(MODEL))


def test_a_copy_of_a_tied_head_and_rope_frequencies_are_no_tensors_of_their_own(world: World, tmp_path: Path) -> None:
    extra = {"lm_head__weight": torch.zeros(256, 32), "model__layers__0__self_attn__rotary_emb__inv_freq": torch.zeros(4)}
    convert.check_weights(with_tensors(world, tmp_path / "base", **extra), Model.model_validate(MODEL))
    untied = Model.model_validate({**MODEL, "tie_embeddings": False})
    with pytest.raises(ValueError, match=r"has no tensor 'lm_head.weight'"):
        convert.check_weights(world.base, untied)


# ---------------------------------------------------------------------------------------------------- added rows

GROWN = {**MODEL, "num_query_groups": 4, "vocab_size": 264, "added_rows": 8}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_added_rows_are_the_mean_of_all_others_on_whichever_rank_they_lie(tmp_path: Path, size: int, tied: bool) -> None:
    model = Model.model_validate({**GROWN, "tie_embeddings": tied})
    folder = make_base(
        tmp_path / "base", Model.model_validate({**GROWN, "tie_embeddings": tied, "vocab_size": 256, "added_rows": 0})
    )
    convert.check_weights(folder, model)
    read = weights.reader(folder)
    for name, source in {
        "embedding.word_embeddings.weight": "model.embed_tokens.weight",
        "output_layer.weight": "lm_head.weight",
    }.items():
        if name == "output_layer.weight" and tied:
            source = "model.embed_tokens.weight"
        whole = torch.cat([convert.megatron_tensor(name, read, model, rank, size) for rank in range(size)])
        assert torch.equal(whole[:256], read(source))
        assert torch.equal(whole[256:], read(source).double().mean(dim=0).float().expand(8, -1))


def test_a_base_that_has_the_added_rows_already_is_refused(world: World, tmp_path: Path) -> None:
    folder = with_config(world, tmp_path / "base", vocab_size=264)
    with pytest.raises(ValueError, match=r"vocab_size is 272, the recipe's model says 264 \(with 8 added rows\)"):
        convert.check_config(folder, Model.model_validate({**MODEL, "vocab_size": 264, "added_rows": 8}))
