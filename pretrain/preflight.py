"""Everything about a training stage that can be checked before torch is loaded. No torch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pretrain import convert, ledger, observers, parallel, tokens
from pretrain.checkpoint import files
from pretrain.tokens import Vocabulary
from recipes.manifest import read_manifest
from recipes.schema import Cadence, Cluster, Parallelism, TrainParams
from recipes.stage import LOGS, Stage, try_lock


@dataclass(frozen=True)
class Job:
    """A training stage whose inputs fit."""

    stage: Stage
    params: TrainParams
    cluster: Cluster
    parallelism: Parallelism
    cadence: Cadence
    vocabulary: Vocabulary
    init_checkpoint: Path | None  # that training begins from; None: it begins from Hugging Face weights

    @property
    def folder(self) -> Path:
        return self.stage.folder

    @property
    def tokens_per_step(self) -> int:
        return self.params.global_batch_size * self.params.sequence_length


def check(stage: Stage, *, is_ahead: bool = False) -> Job:
    """A ValueError names what does not fit, and the way out. `is_ahead`: of the job, so that its processes are those that the
    cluster's page promises, not those that were started."""
    params = TrainParams.model_validate(stage.params)
    cluster = Cluster.model_validate(stage.run["cluster"])
    parallelism = Parallelism.model_validate(stage.run.get("parallelism", {}))
    started = int(os.environ.get("WORLD_SIZE", "1"))
    parallel.check_layout(params, parallelism, cluster.num_processes if is_ahead else started)
    parallel.check_precision(params, cluster)
    vocabulary = tokens.check_tokenizer(Path(stage.input("tokenizer")), params.model.vocab_size)
    tokens.check_datasets(stage, params)
    cadence = Cadence.model_validate(stage.run.get("cadence", {}))
    observers.check(cadence.observers)
    if not params.init_from_stage:
        convert.check_config(Path(stage.input("init")), params.model)
        convert.check_weights(Path(stage.input("init")), params.model)
    for before, _ in ledger.lineage(stage):
        ledger.read_index(before.folder)  # what they have seen is asked for when this stage ends, if not before
    return Job(
        stage=stage,
        params=params,
        cluster=cluster,
        parallelism=parallelism,
        cadence=cadence,
        vocabulary=vocabulary,
        init_checkpoint=_init_checkpoint(Path(stage.input("init")), params) if params.init_from_stage else None,
    )


def _init_checkpoint(init: Path, params: TrainParams) -> Path:
    details = read_manifest(init)["details"]
    if params.load_optimizer and not has_optimizer(init):
        raise ValueError(f"{init} is an average, which has weights alone and no optimizer state; set load_optimizer: false")
    return init / details["checkpoint"] if params.init_step is None else files.kept(init, params.init_step)


def has_optimizer(init: Path) -> bool:
    """An average has none."""
    return bool(read_manifest(init)["details"].get("has_optimizer", True))


def lock(folder: Path) -> "IO[bytes] | Any":
    """Held by the first process while it lives: a second run of the stage must not write beside this one."""
    held = try_lock(folder / LOGS / "train.lock")
    if held is None:
        raise ValueError(
            f"another process trains this stage ({folder / LOGS / 'train.lock'} is locked); wait for it, or end it first"
        )
    return held
