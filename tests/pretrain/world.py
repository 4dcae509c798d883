"""A tiny world to train in: tokenizer, tokenized datasets, base checkpoint and training stages, as other rooms make them."""

import json
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stage_process

from recipes.fingerprint import file_hash, tokenizer_hash
from recipes.manifest import output_files, publish
from recipes.schema import Model
from recipes.stage import Input, Stage, write_stage

ROOT = Path(__file__).parents[2]
VOCAB, SEQUENCE, BATCH = 256, 32, 4
MODEL = {
    "num_layers": 2,
    "hidden_size": 32,
    "ffn_hidden_size": 64,
    "num_attention_heads": 4,
    "num_query_groups": 2,
    "head_dim": 8,
    "vocab_size": VOCAB,
    "max_position_embeddings": 128,
    "rope_theta": 10000.0,
    "rope_scaling_factor": None,
    "tie_embeddings": True,
}
CLUSTER = {
    "device": "cpu",
    "nodes": 1,
    "processes_per_node": 1,
    "threads_per_process": 1,
    "curation_workers": 1,
    "peak_tflops": 0.1,
    "mfu": 0.3,
}
PARAMS = {
    "seed": 7,
    "model": MODEL,
    "sequence_length": SEQUENCE,
    "global_batch_size": BATCH,
    "precision": "fp32",
    "optimizer": {},
    "steps": 12,
    "lr": {"schedule": "cosine", "peak": 1e-2, "end": 1e-3, "warmup_steps": 2},
    "load_optimizer": True,
    "init_from_stage": False,
    "blend": {"web": 0.7, "cot": 0.3},
    "validation": {"held_out": "web"},
    "validation_sequences": 6,
}


class World:
    """Folders that pretrain reads, under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tokenizer = make_tokenizer(root / "tokenizer")
        self.datasets = {
            "web": make_dataset(root / "web", self.tokenizer, num_documents=60, seed=1),
            "cot": make_dataset(root / "cot", self.tokenizer, num_documents=9, seed=2),
        }
        self.base = make_base(root / "base", Model.model_validate(MODEL))

    def stage(self, name: str, run: dict[str, Any] | None = None, inputs: dict[str, Path] | None = None, **params: Any) -> Path:
        """The folder of a training stage, ready to run."""
        locations = {"init": self.base, "tokenizer": self.tokenizer}
        locations |= {f"dataset/{dataset}": folder for dataset, folder in self.datasets.items()} | (inputs or {})
        settings = {"cluster": CLUSTER, "cadence": {"checkpoint_every_steps": 4, "log_every_steps": 4}} | (run or {})
        return self.write(name, "train", {**PARAMS, **params}, locations, settings)

    def write(self, name: str, do: str, params: dict[str, Any], locations: dict[str, Path], run: dict[str, Any]) -> Path:
        entries = {role: Input(str(path), "identity", str(path)) for role, path in locations.items()}
        stage = Stage("page", name, "pretrain", do, 1, params, entries, run, "0" * 12, self.root / name)
        write_stage(stage)
        return stage.folder

    def start(self, folder: Path, file_size_limit: int | None = None) -> "Run":
        return Run(folder, file_size_limit)

    def train(self, folder: Path) -> "Run":
        return self.start(folder).finish()

    def export(self, folder: Path) -> "Run":
        return self.start(folder).finish()

    def command(self, folder: Path, *, processes: int = 1) -> subprocess.Popen[str]:
        """The command line, as a user or a job starts it."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*launcher, "-m", "pretrain", str(folder)]
        return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


class Run:
    """A stage that runs in a process of its own."""

    def __init__(self, folder: Path, file_size_limit: int | None = None) -> None:
        self.log = folder / "logs" / "stderr.txt"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["preloaded_megatron"])
        self.process = context.Process(target=stage_process.run, args=(folder, self.log, file_size_limit))
        with pytest.MonkeyPatch.context() as patch:
            # the fork server of Python 3.11 finds what it preloads by the environment alone
            patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
            self.process.start()

    def finish(self, timeout: float = 90) -> "Run":
        self.process.join(timeout)
        assert self.process.exitcode is not None, "the run does not end"
        return self

    def signal_when(self, is_time: Callable[[], bool], number: int = signal.SIGKILL) -> "Run":
        """Sends the signal as soon as `is_time`."""
        deadline = time.monotonic() + 60
        while self.process.is_alive() and not is_time():
            assert time.monotonic() < deadline, "the moment to send the signal never came"
            time.sleep(0.001)
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)
        return self.finish()

    @property
    def status(self) -> int | None:
        return self.process.exitcode

    @property
    def stderr(self) -> str:
        return self.log.read_text()


def outputs(folder: Path) -> dict[str, str]:
    """sha256 of every output file."""
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in output_files(folder)}


def make_tokenizer(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<|begin|>": 0, "<|end|>": 1} | {f"w{number}": number for number in range(2, VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w2"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def make_dataset(folder: Path, tokenizer: Path, num_documents: int, seed: int) -> Path:
    """A finished tokenize stage: .bin and .idx of two splits in Megatron's format, docs.parquet, manifest."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    random = np.random.default_rng(seed)
    stage = Stage("page", folder.name, "curation", "tokenize", 1, {}, {}, {}, "0" * 12, folder)
    write_stage(stage)
    rows = []
    for split, number in (("train", num_documents), ("validation", 8)):
        lengths = random.integers(5, 90, size=number)
        # a walk through the vocabulary: something that can be learnt
        documents = [
            np.append((random.integers(2, VOCAB) + np.arange(length - 1) * seed) % (VOCAB - 2) + 2, 1) for length in lengths
        ]
        write_indexed(folder / split, documents)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows += [
            {
                "split": split,
                "document": i,
                "id": f"{folder.name}-{split}-{i}",
                "url": f"https://example.org/{i}",
                "source": folder.name,
                "first_token": int(starts[i]),
                "num_tokens": int(lengths[i]),
            }
            for i in range(number)
        ]
    parquet.write_table(arrow.Table.from_pylist(rows), folder / "docs.parquet")
    publish(stage, counts={"documents": num_documents}, started=0.0, details={"tokenizer_sha256": tokenizer_hash(tokenizer)})
    return folder


def write_indexed(prefix: Path, documents: list[np.ndarray]) -> None:
    lengths = np.array([len(document) for document in documents], dtype=np.int32)
    pointers = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)]) * 2
    prefix.with_suffix(".bin").write_bytes(np.concatenate(documents).astype(np.uint16).tobytes())
    with open(prefix.with_suffix(".idx"), "wb") as file:
        file.write(b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, len(documents), len(documents) + 1))
        file.write(lengths.tobytes() + pointers.astype(np.int64).tobytes())
        file.write(np.arange(len(documents) + 1, dtype=np.int64).tobytes())


def hf_config(model: Model) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": model.rope_theta}
    if model.rope_scaling_factor:
        rope |= {"rope_type": "llama3", "factor": model.rope_scaling_factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        rope |= {"original_max_position_embeddings": 8192}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.ffn_hidden_size,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_query_groups,
        "head_dim": model.head_dim,
        "max_position_embeddings": model.max_position_embeddings,
        "rms_norm_eps": model.norm_eps,
        "tie_word_embeddings": model.tie_embeddings,
        "rope_parameters": rope,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "dtype": "float32",
    }


def make_base(folder: Path, model: Model) -> Path:
    """A Hugging Face Llama folder with random weights; norms are not 1, so that a swapped norm is seen."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.05

    def norm() -> torch.Tensor:
        return 0.5 + torch.rand(model.hidden_size, generator=generator)

    hidden, keys = model.hidden_size, model.num_query_groups * model.head_dim
    queries = model.num_attention_heads * model.head_dim
    tensors = {"model.embed_tokens.weight": weight(model.vocab_size, hidden), "model.norm.weight": norm()}
    if not model.tie_embeddings:
        tensors["lm_head.weight"] = weight(model.vocab_size, hidden)
    for layer in range(model.num_layers):
        prefix = f"model.layers.{layer}."
        tensors |= {
            f"{prefix}self_attn.q_proj.weight": weight(queries, hidden),
            f"{prefix}self_attn.k_proj.weight": weight(keys, hidden),
            f"{prefix}self_attn.v_proj.weight": weight(keys, hidden),
            f"{prefix}self_attn.o_proj.weight": weight(hidden, queries),
            f"{prefix}mlp.gate_proj.weight": weight(model.ffn_hidden_size, hidden),
            f"{prefix}mlp.up_proj.weight": weight(model.ffn_hidden_size, hidden),
            f"{prefix}mlp.down_proj.weight": weight(hidden, model.ffn_hidden_size),
            f"{prefix}input_layernorm.weight": norm(),
            f"{prefix}post_attention_layernorm.weight": norm(),
        }
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(hf_config(model), indent=2))
    return folder
