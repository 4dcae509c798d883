"""Weights of a Hugging Face Llama folder <-> Megatron's, and the check that a folder is the recipe's model.

Own code: Megatron Bridge needs Transformer Engine to be imported at all. Both directions go tensor by tensor. What Megatron
cannot represent is refused, and so is every tensor that would be left behind.

Rows of new tokens are the mean of all rows that are there: a new token's logit is then the mean logit, so that none is likelier
than 1 / vocab_size, and the model says at first what it said before (Hewitt 2021, "Initializing New Word Embeddings for
Pretrained Language Models"). A row of zeros would have logit 0, far above most.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain import weights
from recipes.schema import Model

if TYPE_CHECKING:
    import torch
    from megatron.core.models.gpt.gpt_model import GPTModel

LLAMA3_ROPE = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
FIXED = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "quantization_config": None,
}
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
FLOATS = ("F32", "BF16", "F16")
ROWS_AT_ONCE = 8192  # of a vocabulary, in float64, for its mean


# ---------------------------------------------------------------------------------------------------- config.json


def check_config(folder: Path, model: Model) -> None:
    """ValueError naming every field in which the folder's config.json is not `model` (without its added rows)."""
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
        "vocab_size": config["vocab_size"] + model.added_rows,
        "max_position_embeddings": config["max_position_embeddings"],
        "rope_theta": theta,
        "rope_scaling_factor": factor,
        "tie_embeddings": config.get("tie_word_embeddings", False),
        "norm_eps": config["rms_norm_eps"],
    }
    differences += [
        f"{name} is {value!r}, the recipe's model says {getattr(model, name)!r}"
        + (f" (with {model.added_rows} added rows)" if name == "vocab_size" and model.added_rows else "")
        for name, value in found.items()
        if getattr(model, name) != value
    ]
    if differences:
        raise ValueError(f"{file} is not the recipe's model: {'; '.join(differences)}. Change `model` or the base checkpoint")


def _rope(config: dict[str, Any], file: Path) -> tuple[float, float | None]:
    """Theta and the llama3 factor, from the spelling of transformers 5 (rope_parameters) or the older ones."""
    settings = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    theta = settings.get("rope_theta", config.get("rope_theta", 10000.0))
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"{file}: partial_rotary_factor={settings['partial_rotary_factor']!r} is not supported, only 1.0")
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


# ---------------------------------------------------------------------------------------------------- tensors


def hugging_face_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Every tensor of the Hugging Face model, in the order in which the model uses them."""
    hidden, queries = model.hidden_size, model.num_attention_heads * model.head_dim
    keys, feed_forward = model.num_query_groups * model.head_dim, model.ffn_hidden_size
    layer = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (feed_forward, hidden),
        "mlp.up_proj.weight": (feed_forward, hidden),
        "mlp.down_proj.weight": (hidden, feed_forward),
    }
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (model.vocab_size, hidden)}
    for number in range(model.num_layers):
        shapes |= {f"model.layers.{number}.{name}": shape for name, shape in layer.items()}
    shapes[FINAL_NORM] = (hidden,)
    if not model.tie_embeddings:
        shapes[OUTPUT] = (model.vocab_size, hidden)
    return shapes


def check_weights(folder: Path, model: Model) -> None:
    """ValueError when the folder's tensors are not those of `model` (without its added rows). Reads headers only."""
    found = weights.entries(folder)
    wanted = hugging_face_shapes(model.model_copy(update={"vocab_size": model.vocab_size - model.added_rows}))
    # a tied head is the embedding again, and RoPE's frequencies follow from config.json
    ignored = {name for name in found if name.endswith("rotary_emb.inv_freq") or (name == OUTPUT and model.tie_embeddings)}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{folder} has no tensor {missing[0]!r}{_and_others(missing)}; is it a whole Llama checkpoint?")
    strange = sorted(found.keys() - wanted.keys() - ignored)
    if strange:
        raise ValueError(
            f"{folder} has a tensor {strange[0]!r}{_and_others(strange)}, which the recipe's model has not and would leave behind"
        )
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise ValueError(f"{folder}: {name} has shape {found[name].shape}, the recipe's model wants {shape}")
        if found[name].dtype not in FLOATS:
            raise ValueError(f"{folder}: {name} is stored as {found[name].dtype}; only {', '.join(FLOATS)} can be read")


def _and_others(names: list[str]) -> str:
    return f" (and {len(names) - 1} others)" if len(names) > 1 else ""


# ---------------------------------------------------------------------------------------------------- HF -> Megatron


def load_hugging_face(gpt: "GPTModel", folder: Path, model: Model, tensor_rank: int, tensor_size: int) -> None:
    """Fills this process' parameters from the folder's safetensors. Reads a tensor at a time, and of a tensor this process' part:
    beside the parameters, memory holds one of them again."""
    import torch

    check_weights(folder, model)
    read = weights.reader(folder)
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
        return _vocabulary_rows(read(EMBEDDING), model, tensor_rank, tensor_size)
    if name == "output_layer.weight":
        return _vocabulary_rows(read(OUTPUT if not model.tie_embeddings else EMBEDDING), model, tensor_rank, tensor_size)
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


def _vocabulary_rows(base: "torch.Tensor", model: Model, tensor_rank: int, tensor_size: int) -> "torch.Tensor":
    """Tensor rank `tensor_rank`'s rows of a matrix of the vocabulary, with the mean of all rows where the base has none."""
    import torch

    share = model.vocab_size // tensor_size
    own = base[tensor_rank * share : (tensor_rank + 1) * share]
    if len(own) == share:
        return own
    # in float64 and in fixed portions: the same on any machine, with any number of threads
    total = sum(portion.double().sum(dim=0) for portion in base.split(ROWS_AT_ONCE))
    mean = (total / len(base)).to(base.dtype)
    return torch.cat([own, mean.expand(share - len(own), -1)])


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


# ---------------------------------------------------------------------------------------------------- Megatron -> HF


def hugging_face_tensors(read: Callable[[str], "torch.Tensor"], model: Model) -> Iterator[tuple[str, "torch.Tensor"]]:
    """Name and tensor of every weight of the Hugging Face model. `read` gives the whole of one of Megatron's tensors, by the name
    that it has in checkpoints."""
    yield EMBEDDING, read("embedding.word_embeddings.weight")
    for layer in range(model.num_layers):
        for name, tensor in _layer_tensors(read, f"decoder.layers.{layer}.", model):
            yield f"model.layers.{layer}.{name}", tensor
    yield FINAL_NORM, read("decoder.final_layernorm.weight")
    if not model.tie_embeddings:
        yield OUTPUT, read("output_layer.weight")


def _layer_tensors(read: Callable[[str], "torch.Tensor"], prefix: str, model: Model) -> Iterator[tuple[str, "torch.Tensor"]]:
    heads = model.num_attention_heads // model.num_query_groups * model.head_dim  # of a group's queries
    attention = read(f"{prefix}self_attention.linear_qkv.weight").unflatten(0, (model.num_query_groups, -1))
    for letter, piece in zip("qkv", attention.split([heads, model.head_dim, model.head_dim], dim=1), strict=True):
        yield f"self_attn.{letter}_proj.weight", piece.flatten(0, 1)
    for letter, piece in zip(("gate", "up"), read(f"{prefix}mlp.linear_fc1.weight").chunk(2), strict=True):
        yield f"mlp.{letter}_proj.weight", piece
    for part, name in SAME.items():
        yield name, read(prefix + part)


SAME = {
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
    "mlp.linear_fc1.layer_norm_weight": "post_attention_layernorm.weight",
    "mlp.linear_fc2.weight": "mlp.down_proj.weight",
}
