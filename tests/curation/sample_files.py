"""The size of the sample that tests share (the fixture `sample`), and its lines."""

import json

MODEL = {
    "num_layers": 2, "hidden_size": 32, "ffn_hidden_size": 64, "num_attention_heads": 4, "num_query_groups": 2,
    "vocab_size": 700, "max_position_embeddings": 16384, "rope_theta": 10000.0, "rope_scaling_factor": 4.0,
    "tie_embeddings": True, "norm_eps": 1e-5, "init_std": 0.02,
}  # fmt: skip
SIZES = {"num_pages": 160, "num_problems": 60, "vocab_size": 700, "model": MODEL}


def read_lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]
