"""A tokenizer trained on the sample and a randomly initialised Llama, as Hugging Face folders.

Costs a few seconds: the tokenizer reads all texts once. Needs tokenizers, numpy and safetensors, not torch.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.stage import write_atomically

if TYPE_CHECKING:
    import numpy as np

BOS = "<|begin_of_text|>"
EOS = "<|end_of_text|>"
# Llama-3's, so that the files go down the same paths as the real tokenizer's
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
MODEL_KEYS = (
    "num_layers", "hidden_size", "ffn_hidden_size", "num_attention_heads", "num_query_groups", "vocab_size",
    "max_position_embeddings", "rope_theta", "tie_embeddings", "norm_eps", "init_std",
)  # fmt: skip
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def make_tokenizer(folder: Path, texts: Sequence[str], *, vocab_size: int, model_max_length: int) -> None:
    """Byte-level BPE with exactly `vocab_size` entries, BOS and EOS among them.

    ValueError when the size leaves no room for the 256 bytes, or the texts hold too few pairs to fill it.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    if vocab_size < 258:
        raise ValueError(f"vocab_size={vocab_size} leaves no room for 256 bytes and 2 special tokens; take at least 258")
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found != vocab_size:
        raise ValueError(f"vocab_size={vocab_size}, but the text fills only {found} entries; raise num_pages or lower vocab_size")
    special = {"bos_token": BOS, "eos_token": EOS}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    write_atomically(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", special)


def make_base_model(folder: Path, tokenizer: Path, *, seed: int, model: Mapping[str, Any]) -> int:
    """Config, random fp32 weights and a copy of the tokenizer; returns the number of parameters.

    ValueError when a key of `model` is missing or its heads do not divide.
    """
    from safetensors.numpy import save

    _check(model)
    _write_json(folder / "config.json", llama_config(model))
    _write_json(folder / "generation_config.json", {"bos_token_id": 0, "eos_token_id": 1})
    weights = _weights(model, seed)
    write_atomically(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))
    for name in TOKENIZER_FILES:
        write_atomically(folder / name, (tokenizer / name).read_bytes())
    return sum(weight.size for weight in weights.values())


def llama_config(model: Mapping[str, Any]) -> dict[str, Any]:
    """transformers' config.json for the model, in Megatron-core's words."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": model["rope_theta"]}
    if model.get("rope_scaling_factor") is not None:
        rope = {
            "rope_type": "llama3",
            "rope_theta": model["rope_theta"],
            "factor": model["rope_scaling_factor"],
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model["vocab_size"],
        "hidden_size": model["hidden_size"],
        "intermediate_size": model["ffn_hidden_size"],
        "num_hidden_layers": model["num_layers"],
        "num_attention_heads": model["num_attention_heads"],
        "num_key_value_heads": model["num_query_groups"],
        "head_dim": _head_dim(model),
        "hidden_act": "silu",
        "max_position_embeddings": model["max_position_embeddings"],
        "initializer_range": model["init_std"],
        "rms_norm_eps": model["norm_eps"],
        "rope_parameters": rope,
        "tie_word_embeddings": model["tie_embeddings"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "dtype": "float32",
        "use_cache": True,
    }


def _head_dim(model: Mapping[str, Any]) -> int:
    return int(model.get("head_dim") or model["hidden_size"] // model["num_attention_heads"])


def _check(model: Mapping[str, Any]) -> None:
    missing = [key for key in MODEL_KEYS if key not in model]
    if missing:
        raise ValueError(f"model lacks {', '.join(missing)}; name every key of a model page")
    if model["num_attention_heads"] % model["num_query_groups"]:
        raise ValueError(
            f"model.num_attention_heads={model['num_attention_heads']} is not a multiple of "
            f"num_query_groups={model['num_query_groups']}; change one of them"
        )


def _weights(model: Mapping[str, Any], seed: int) -> "dict[str, np.ndarray]":
    """Normal weights of standard deviation init_std, norms of one; drawn in the order of the shapes."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    std = np.float32(model["init_std"])
    weights = {}
    for name, shape in _shapes(model).items():
        if len(shape) == 1:
            weights[name] = np.ones(shape, np.float32)
        else:
            weights[name] = rng.standard_normal(shape, dtype=np.float32) * std
    return weights


def _shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, ffn = model["hidden_size"], model["ffn_hidden_size"]
    queries = model["num_attention_heads"] * _head_dim(model)
    groups = model["num_query_groups"] * _head_dim(model)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (model["vocab_size"], hidden)}
    for layer in range(model["num_layers"]):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.input_layernorm.weight": (hidden,),
            f"{at}.self_attn.q_proj.weight": (queries, hidden),
            f"{at}.self_attn.k_proj.weight": (groups, hidden),
            f"{at}.self_attn.v_proj.weight": (groups, hidden),
            f"{at}.self_attn.o_proj.weight": (hidden, queries),
            f"{at}.post_attention_layernorm.weight": (hidden,),
            f"{at}.mlp.gate_proj.weight": (ffn, hidden),
            f"{at}.mlp.up_proj.weight": (ffn, hidden),
            f"{at}.mlp.down_proj.weight": (hidden, ffn),
        }
    shapes["model.norm.weight"] = (hidden,)
    if not model["tie_embeddings"]:
        shapes["lm_head.weight"] = (model["vocab_size"], hidden)
    return shapes


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
