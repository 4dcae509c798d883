"""stories260K (karpathy/tinyllamas, llama2.c format) as a Hugging Face Llama folder: real weights small enough for a test."""

import json
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers


def to_hugging_face(weights: Path, vocabulary: Path, out: Path) -> None:
    """Writes config.json, model.safetensors and the tokenizer. Rotary dimensions go from pairs to halves, Hugging Face's way."""
    raw = weights.read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, length = struct.unpack("7i", raw[:28])
    flat, place = np.frombuffer(raw, dtype=np.float32, offset=28), 0

    def take(*shape: int) -> np.ndarray:
        nonlocal place
        size = int(np.prod(shape))
        place += size
        return flat[place - size : place].reshape(shape).copy()

    def halves(weight: np.ndarray, num_heads: int) -> np.ndarray:
        rows = weight.shape[0] // num_heads
        return weight.reshape(num_heads, rows // 2, 2, dim).swapaxes(1, 2).reshape(-1, dim).copy()

    kv = dim // heads * kv_heads
    tensors = {"model.embed_tokens.weight": take(vocab, dim)}
    parts = {
        "input_layernorm": take(layers, dim),
        "self_attn.q_proj": take(layers, dim, dim),
        "self_attn.k_proj": take(layers, kv, dim),
        "self_attn.v_proj": take(layers, kv, dim),
        "self_attn.o_proj": take(layers, dim, dim),
        "post_attention_layernorm": take(layers, dim),
        "mlp.gate_proj": take(layers, hidden, dim),
        "mlp.down_proj": take(layers, dim, hidden),
        "mlp.up_proj": take(layers, hidden, dim),
    }
    tensors["model.norm.weight"] = take(dim)
    for layer in range(layers):
        for name, stack in parts.items():
            weight = stack[layer].copy()
            if name.endswith(("q_proj", "k_proj")):
                weight = halves(weight, heads if name.endswith("q_proj") else kv_heads)
            tensors[f"model.layers.{layer}.{name}.weight"] = weight
    out.mkdir(parents=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": dim, "intermediate_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": dim // heads,
        "vocab_size": vocab, "max_position_embeddings": length, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(config, indent=2))
    (out / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    write_tokenizer(vocabulary, vocab, out)


def write_tokenizer(vocabulary: Path, size: int, out: Path) -> None:
    """SentencePiece BPE by its scores: a merge's rank is the rank of the piece that it makes."""
    raw, place, pieces, scores = vocabulary.read_bytes(), 4, [], []
    for _ in range(size):
        score, length = struct.unpack_from("fi", raw, place)
        pieces.append(raw[place + 8 : place + 8 + length].decode())
        scores.append(score)
        place += 8 + length
    pieces = ["<unk>", "<s>", "</s>", *(piece.replace(" ", "▁") for piece in pieces[3:])]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    merges = []
    for piece in sorted(vocab, key=lambda piece: -scores[vocab[piece]]):
        splits = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        merges += [pair for pair in splits if pair[0] in vocab and pair[1] in vocab and not piece.startswith("<")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    tokenizer.save(str(out / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (out / "tokenizer_config.json").write_text(json.dumps(config))
