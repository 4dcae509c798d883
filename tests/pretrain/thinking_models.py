"""Tiny models that think: of weights set by hand, so that each token says which come next, or of random ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrain.generation import open_engine
from pretrain.generation.engine import Engine
from recipes import schema

TEXTS = [
    "</think> think>\n",
    ">\n\n.\n\n so a b c d",
    "Wait, so Final Answer: 7 8 9 answer final",
    "Question: a + b = c\n\n",
] * 20
LLAMA_3 = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(folder: Path) -> Any:
    """A tokenizer to which `</think>` is several tokens, and not always the same: `>` may take the line's end with it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<|end|>", "<|step|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    made.save_pretrained(folder)
    return made


def random_model(folder: Path, tokenizer: Any, seed: int) -> Path:
    """Large random weights: what it writes looks like noise, and depends on all that stands before."""
    import torch

    torch.manual_seed(seed)
    return _save(folder, tokenizer, _model(tokenizer, hidden_size=32, initializer_range=0.4))


def chain_model(folder: Path, tokenizer: Any, follows: Mapping[int, Sequence[int]]) -> Path:
    """Behind each token come these, the likeliest first. Layers add nothing: a token is its own one-hot vector."""
    import torch

    size = -(-len(tokenizer) // 8) * 8
    model = _model(tokenizer, hidden_size=size, initializer_range=0.02)
    state = model.state_dict()
    for name, weight in state.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
    state["model.embed_tokens.weight"].copy_(torch.eye(size)[: len(tokenizer)])
    head = state["lm_head.weight"].zero_()
    for token, nexts in follows.items():
        for place, following in enumerate(nexts):
            head[following, token] = 1.0 / (1 + place)
    return _save(folder, tokenizer, model)


def _model(tokenizer: Any, **settings: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
            tie_word_embeddings=False,
            **settings,
        )
    )


def _save(folder: Path, tokenizer: Any, model: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def engine(folder: Path, batch_size: int = 8) -> Engine:
    return open_engine(folder, schema.Engine(dtype="float32"), schema.Serving(batch_size=batch_size))
