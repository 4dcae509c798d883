"""Weights of a Hugging Face Llama folder <-> Megatron's, and the check that a folder's config.json is the recipe's model.

Own code: Megatron Bridge needs Transformer Engine to be imported at all. Reads one tensor at a time from safetensors, so that
8B weights never lie in memory twice.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.schema import Model

if TYPE_CHECKING:
    import torch
    from megatron.core.models.gpt.gpt_model import GPTModel

LLAMA3_ROPE = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
FIXED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
NEEDED = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
    "rms_norm_eps",
)
EMBEDDING, OUTPUT, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


# ---------------------------------------------------------------------------------------------------- config.json


def check_config(folder: Path, model: Model) -> None:
    """ValueError naming every field in which the folder's config.json is not `model`."""
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} is not a Hugging Face model folder: it has no config.json")
    config = json.loads(file.read_text())
    absent = [name for name in NEEDED if name not in config]
    if absent:
        raise ValueError(f"{file} has no {', '.join(absent)}: it is not the config.json of a Llama model")
    differences = [
        f"{name} is {config[name]!r}, only {value!r} is supported"
        for name, value in FIXED.items()
        if config.get(name, value) != value
    ]
    theta, factor = _rope(config, file)
    found = {
        "num_layers": config["num_hidden_layers"],
        "hidden_size": config["hidden_size"],
        "ffn_hidden_size": config["intermediate_size"],
        "num_attention_heads": config["num_attention_heads"],
        "num_query_groups": config.get("num_key_value_heads") or config["num_attention_heads"],
        "head_dim": config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
        "vocab_size": config["vocab_size"],
        "max_position_embeddings": config["max_position_embeddings"],
        "rope_theta": theta,
        "rope_scaling_factor": factor,
        "tie_embeddings": config.get("tie_word_embeddings", False),
        "norm_eps": config["rms_norm_eps"],
    }
    differences += [
        f"{name} is {value!r}, the recipe's model says {getattr(model, name)!r}"
        for name, value in found.items()
        if getattr(model, name) != value
    ]
    if differences:
        raise ValueError(f"{file} is not the recipe's model: {'; '.join(differences)}. Change `model` or the base checkpoint")


def _rope(config: dict[str, Any], file: Path) -> tuple[float, float | None]:
    """Theta and the llama3 factor, from the spelling of transformers 5 (rope_parameters) or the older ones."""
    settings = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    theta = settings.get("rope_theta", config.get("rope_theta", 10000.0))
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise ValueError(f"{file}: rope type {kind!r} is not supported; Megatron knows plain RoPE and llama3 scaling")
    for name, value in LLAMA3_ROPE.items():
        if settings.get(name) != value:
            raise ValueError(
                f"{file}: llama3 RoPE scaling with {name}={settings.get(name)!r} is not supported; "
                f"megatron-core has {value:g} built in"
            )
    return theta, settings["factor"]


# ---------------------------------------------------------------------------------------------------- HF -> Megatron


def load_hugging_face(gpt: "GPTModel", folder: Path, model: Model, tensor_rank: int, tensor_size: int) -> None:
    """Fills this process' parameters from the folder's safetensors."""
    import torch

    read = _reader(folder)
    with torch.no_grad():
        for name, parameter in gpt.named_parameters():
            value = megatron_tensor(global_name(gpt, name), read, model, tensor_rank, tensor_size)
            if value.shape != parameter.shape:
                raise ValueError(f"{folder}: {name} has shape {tuple(value.shape)}, the model has {tuple(parameter.shape)}")
            parameter.copy_(value)


def megatron_tensor(
    name: str, read: Callable[[str], "torch.Tensor"], model: Model, tensor_rank: int = 0, tensor_size: int = 1
) -> "torch.Tensor":
    """Tensor rank `tensor_rank`'s part of a Megatron parameter (global layer number in `name`)."""
    import torch

    def rows(tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.chunk(tensor_size, dim=0)[tensor_rank]

    def columns(tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.chunk(tensor_size, dim=1)[tensor_rank]

    if name == "embedding.word_embeddings.weight":
        return rows(read(EMBEDDING))
    if name == "output_layer.weight":
        return rows(read(OUTPUT if not model.tie_embeddings else EMBEDDING))
    if name == "decoder.final_layernorm.weight":
        return read(FINAL_NORM)
    _, _, layer, part = name.split(".", 3)
    prefix = f"model.layers.{layer}."
    if part == "self_attention.linear_qkv.weight":
        query, key, value = (
            read(f"{prefix}self_attn.{letter}_proj.weight").unflatten(0, (model.num_query_groups, -1)) for letter in "qkv"
        )
        return rows(torch.cat([query, key, value], dim=1)).flatten(0, 1)  # group by group: its queries, its key, its value
    if part == "self_attention.linear_proj.weight":
        return columns(read(f"{prefix}self_attn.o_proj.weight"))
    if part == "mlp.linear_fc1.weight":
        return torch.cat([rows(read(f"{prefix}mlp.gate_proj.weight")), rows(read(f"{prefix}mlp.up_proj.weight"))])
    if part == "mlp.linear_fc2.weight":
        return columns(read(f"{prefix}mlp.down_proj.weight"))
    return read(prefix + NORMS[part])


# Megatron's own layers keep norms as modules; Transformer Engine's hold them in the linear that follows.
NORMS = {
    "input_layernorm.weight": "input_layernorm.weight",
    "pre_mlp_layernorm.weight": "post_attention_layernorm.weight",
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "mlp.linear_fc1.layer_norm_weight": "post_attention_layernorm.weight",
}


def global_name(gpt: "GPTModel", name: str) -> str:
    """A parameter's name with its layer counted over all pipeline stages, from 0."""
    if not name.startswith("decoder.layers."):
        return name
    head, stack, local, part = name.split(".", 3)
    return f"{head}.{stack}.{gpt.decoder.layers[int(local)].layer_number - 1}.{part}"


def _reader(folder: Path) -> Callable[[str], "torch.Tensor"]:
    from safetensors import safe_open

    index = folder / "model.safetensors.index.json"
    if index.is_file():
        file_of = json.loads(index.read_text())["weight_map"]
    elif (folder / "model.safetensors").is_file():
        with safe_open(folder / "model.safetensors", framework="pt") as whole:
            file_of = dict.fromkeys(whole.keys(), "model.safetensors")
    else:
        raise ValueError(f"{folder} has no model.safetensors (nor an index of several); save the weights as safetensors")

    def read(name: str) -> "torch.Tensor":
        if name not in file_of:
            raise ValueError(f"{folder} has no tensor {name!r}; is it a whole Llama checkpoint?")
        with safe_open(folder / file_of[name], framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(name)
            return tensor

    return read


# ---------------------------------------------------------------------------------------------------- Megatron -> HF


def hugging_face_tensors(gpt: "GPTModel", model: Model) -> Iterator[tuple[str, "torch.Tensor"]]:
    """Name and tensor of every weight of the Hugging Face model, in the order in which the model uses them. Needs the whole
    model in this process."""
    groups, heads = model.num_query_groups, model.num_attention_heads // model.num_query_groups * model.head_dim
    for name, parameter in gpt.named_parameters():
        weight = parameter.detach()
        if name == "embedding.word_embeddings.weight":
            yield EMBEDDING, weight
        elif name == "output_layer.weight":
            yield OUTPUT, weight
        elif name == "decoder.final_layernorm.weight":
            yield FINAL_NORM, weight
        else:
            _, _, layer, part = global_name(gpt, name).split(".", 3)
            prefix = f"model.layers.{layer}."
            if part == "self_attention.linear_qkv.weight":
                split = weight.unflatten(0, (groups, -1)).split([heads, model.head_dim, model.head_dim], dim=1)
                for letter, piece in zip("qkv", split, strict=True):
                    yield f"{prefix}self_attn.{letter}_proj.weight", piece.flatten(0, 1).contiguous()
            elif part == "mlp.linear_fc1.weight":
                gate, up = weight.chunk(2)
                yield f"{prefix}mlp.gate_proj.weight", gate.contiguous()
                yield f"{prefix}mlp.up_proj.weight", up.contiguous()
            elif part in NORMS:
                yield prefix + NORMS[part], weight
            else:
                yield prefix + PROJECTIONS[part], weight


PROJECTIONS = {
    "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
    "mlp.linear_fc2.weight": "mlp.down_proj.weight",
}
