"""What is measured: a model's shape on a device in a precision, as a training stage on the disk with all that it reads.

Weights and text are random: the time of a step does not depend on them. The files are those of a real stage.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from pretrain import memory
from pretrain.benchmark.convert import make_base
from recipes.fingerprint import tokenizer_hash
from recipes.load import RECIPES
from recipes.manifest import publish
from recipes.schema import Cluster, Model, Parallelism, TrainParams
from recipes.stage import RECIPE, Input, Stage, write_stage

TINY = {
    "num_layers": 4,
    "hidden_size": 256,
    "ffn_hidden_size": 768,
    "num_attention_heads": 8,
    "num_query_groups": 2,
    "head_dim": 32,
    "vocab_size": 8192,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "rope_scaling_factor": 32.0,
    "tie_embeddings": True,
}
SHAPES = ("tiny", "llama3_2_1b", "llama3_2_3b")
DOCUMENT_TOKENS = 700  # of a text document on the web, about
LEARNING_RATE = 1e-4
STEPS_BESIDE_A_SAVE = 500  # that are there to be taken: 45 GB of a 3B model's state are written in a minute or two


@dataclass(frozen=True)
class Case:
    """`steps` beyond those that warm up. Steps have 8 sequences: of 512 tokens where the model is tiny, else of 8,192."""

    device: Literal["cpu", "cuda"]
    shape: str
    precision: str
    steps: int
    warm_up: int
    gpu_memory_gib: float

    @property
    def name(self) -> str:
        return f"{self.shape} {self.precision} on {self.device}"

    @property
    def num_steps(self) -> int:
        return self.warm_up + self.steps

    @cached_property
    def model(self) -> Model:
        page = RECIPES / "model" / f"{self.shape}.yaml"
        return Model.model_validate(TINY if self.shape == "tiny" else yaml.safe_load(page.read_text()))

    @cached_property
    def params(self) -> TrainParams:
        return TrainParams.model_validate(
            {
                "seed": 1,
                "model": self.model,
                "sequence_length": 512 if self.shape == "tiny" else 8192,
                "global_batch_size": 8,
                "precision": self.precision,
                "optimizer": {},
                "steps": self.num_steps + STEPS_BESIDE_A_SAVE,
                "lr": {"schedule": "constant", "peak": LEARNING_RATE},
                "load_optimizer": True,
                "init_from_stage": False,
                "blend": {"text": 1.0},
                "validation": {},
                "validation_sequences": 1,
            }
        )

    @property
    def tokens_per_step(self) -> int:
        return self.params.global_batch_size * self.params.sequence_length

    @cached_property
    def cluster(self) -> Cluster:
        """One process; on CUDA an H100, whose peak an H200 has too."""
        page = yaml.safe_load((RECIPES / "cluster" / f"{'h100' if self.device == 'cuda' else 'local'}.yaml").read_text())
        memory_gib = self.gpu_memory_gib if self.device == "cuda" else None
        return Cluster.model_validate({**page, "nodes": 1, "processes_per_node": 1, "gpu_memory_gib": memory_gib})

    @cached_property
    def parallelism(self) -> Parallelism:
        """With as many layers made again in the backward pass as the memory asks for."""
        count = memory.recompute_that_fits(self.params, Parallelism(), self.cluster, 1)
        if count is None:
            raise ValueError(f"{self.name} does not fit into --gpu-memory {self.gpu_memory_gib:g} GiB; take a smaller --shape")
        return Parallelism(recompute_layers=count)

    def prepare(self, root: Path) -> Path:
        """Tokenizer, dataset, base checkpoint and the stage that reads them; the stage's folder is returned. Its cadence saves
        nothing before the end."""
        tokenizer = _make_tokenizer(root / "tokenizer", self.model.vocab_size)
        dataset = _make_dataset(root / "text", tokenizer, self.model.vocab_size, self.num_steps * self.tokens_per_step)
        base = root / "base"
        if not base.exists():
            base.mkdir()
            make_base(self.model, base)
        places = {"tokenizer": tokenizer, "dataset/text": dataset, "init": base}
        run = {
            "cluster": self.cluster.model_dump(),
            "parallelism": self.parallelism.model_dump(),
            "cadence": {"checkpoint_every_steps": 10**9, "log_every_steps": 1},
        }
        return self._write("train", root / f"train-{self.precision}", self.params.model_dump(by_alias=True), places, run)

    def _write(self, name: str, folder: Path, params: dict[str, Any], places: dict[str, Path], run: dict[str, Any]) -> Path:
        inputs = {role: Input(str(path), "made for the benchmark") for role, path in places.items()}
        write_stage(Stage("benchmark", name, "pretrain", "train", 1, params, inputs, run, "0" * 12, folder))
        return folder


def not_begun(stage: Path) -> Path:
    """The same stage once more."""
    again = stage.with_name(f"{stage.name}-again")
    again.mkdir()
    (again / RECIPE).write_bytes((stage / RECIPE).read_bytes())
    return again


def _make_tokenizer(folder: Path, vocab_size: int) -> Path:
    """Words that stand for nothing."""
    from tokenizers import Tokenizer, models

    if not folder.exists():
        folder.mkdir(parents=True)
        words = {"<end>": 0} | {f"w{number}": number for number in range(1, vocab_size)}
        Tokenizer(models.WordLevel(words, unk_token="w1")).save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}))
    return folder


def _make_dataset(folder: Path, tokenizer: Path, vocab_size: int, num_tokens: int) -> Path:
    """A finished tokenize stage of random documents, in Megatron's format."""
    if folder.exists():
        return folder
    import torch
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

    random = np.random.default_rng(0)
    stage = Stage("benchmark", "text", "curation", "tokenize", 1, {}, {}, {}, "0" * 12, folder)
    write_stage(stage)
    builder = IndexedDatasetBuilder(str(folder / "train.bin"), dtype=DType.optimal_dtype(vocab_size))
    written = 0
    while written <= num_tokens:
        document = random.integers(1, vocab_size, size=1 + random.geometric(1 / DOCUMENT_TOKENS))
        document[-1] = 0
        builder.add_document(torch.from_numpy(document), [len(document)])
        written += len(document)
    builder.finalize(str(folder / "train.idx"))
    publish(stage, counts={"tokens": written}, started=0.0, details={"tokenizer_sha256": tokenizer_hash(tokenizer)})
    return folder
