"""Checkpoints of a stage: `checkpoints/step_00001000/` in Megatron's torch_dist format, whole or not there.

A checkpoint is written under a temporary name, hashed, completed by `complete.json` (sha256 of every file) and renamed. It
loads under any tensor, pipeline and data-parallel layout. Its bytes depend on the state alone: torch puts a random id and object
identities into two of the files, which are rewritten without them.

Saving is synchronous, by torch's own writer: Megatron's forks helper processes and starts a manager by importing the main module
again (2-4 s for the first save, and a hang when psutil is missing). Costs one read of what was written, for the hashes.
"""

import json
import logging
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.strategies.base import SaveShardedStrategy
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelSaveStrategyWrapper
from megatron.core.dist_checkpointing.strategies.torch import (
    MCoreSavePlanner,
    _replace_state_dict_keys_with_sharded_keys,
    mcore_to_pyt_state_dict,
)
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save as save_by_torch

from pretrain.parallel import Layout
from recipes.fingerprint import file_hash
from recipes.stage import LOGS

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.optimizer.optimizer import MegatronOptimizer

CHECKPOINTS = "checkpoints"
COMPLETE = "complete.json"
log = logging.getLogger(__name__)


def step_folder(folder: Path, step: int) -> Path:
    return folder / CHECKPOINTS / f"step_{step:08d}"


def present(folder: Path) -> list[Path]:
    """Published checkpoints of a stage, newest first."""
    return sorted((folder / CHECKPOINTS).glob("step_[0-9]*"), reverse=True)


# ---------------------------------------------------------------------------------------------------- save


def save(folder: Path, step: int, gpt: "GPTModel", optimizer: "MegatronOptimizer", layout: Layout) -> Path:
    """All processes call this together."""
    final = step_folder(folder, step)
    making = final.with_name(f".{final.name}.tmp")
    if layout.is_first:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
    torch.distributed.barrier()

    strategy: SaveShardedStrategy = _InProcessSave("torch_dist", 1)
    if layout.data_size * layout.parallelism.context > 1:
        strategy = FullyParallelSaveStrategyWrapper(strategy, parallel_state.get_data_parallel_group(with_context_parallel=True))
    metadata = _metadata()
    state = _state(gpt, optimizer, metadata, is_loading=False)
    state["step"] = step
    recorded = {name: value for name, value in metadata.items() if name != "dp_cp_group"}
    dist_checkpointing.save(state, str(making), strategy, content_metadata=recorded)

    if layout.is_first:
        _rewrite_metadata(making / ".metadata")
        _rewrite_common(making / "common.pt")
    torch.distributed.barrier()
    hashes = _on_every_process(_hash_files(making, layout), layout)
    if layout.is_first:
        files = dict(sorted(item for part in hashes for item in part.items()))
        _write_synced(making / COMPLETE, json.dumps({"step": step, "files": files}, indent=2).encode())
        _remove(final)
        os.replace(making, final)
        _sync_folder(final.parent)
    torch.distributed.barrier()
    return final


def drop_old(folder: Path, keep: int) -> None:
    """Leaves the newest `keep`. The first process calls this."""
    for path in present(folder)[keep:]:
        _remove(path)


def drop_unfinished(folder: Path) -> None:
    """Removes what an interrupted save or removal left behind. The first process calls this."""
    for path in (folder / CHECKPOINTS).glob(".step_*.tmp"):
        shutil.rmtree(path)


class _InProcessSave(SaveShardedStrategy):
    """Megatron's torch_dist format, written by torch's own FileSystemWriter in this process."""

    def save(self, sharded_state_dict: dict[str, Any], checkpoint_dir: str | Path) -> None:
        flat, _, _ = _replace_state_dict_keys_with_sharded_keys(sharded_state_dict, True)
        writer = FileSystemWriter(checkpoint_dir, single_file_per_rank=True, sync_files=True, thread_count=1)
        planner = MCoreSavePlanner(dedup_replicated_tensors=False, flatten_state_dict=False)
        save_by_torch(mcore_to_pyt_state_dict(flat, False), storage_writer=writer, planner=planner)

    @property
    def can_handle_sharded_objects(self) -> bool:
        return True


class _PlainPickler(pickle.Pickler):
    """Writes equal values as equal bytes. By default pickle writes a second reference to the same object as a reference, so the
    bytes would tell which equal strings happen to be one object, which differs after a load."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fast = True


def _rewrite_metadata(file: Path) -> None:
    metadata = pickle.loads(file.read_bytes())
    metadata.storage_meta = None  # the folder's path and a random id
    temporary = file.with_name(".metadata.tmp")
    with open(temporary, "wb") as stream:
        _PlainPickler(stream, protocol=4).dump(metadata)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)


def _rewrite_common(file: Path) -> None:
    common = torch.load(file, weights_only=False)
    with open(file, "wb") as stream:
        torch.save(common, stream, pickle_module=SimpleNamespace(__name__="plain", Pickler=_PlainPickler))
        stream.flush()
        os.fsync(stream.fileno())


# ---------------------------------------------------------------------------------------------------- load


def newest(folder: Path, layout: Layout) -> Path | None:
    """The newest checkpoint whose files are as they were written. A damaged one is set aside, with a warning, and the one before
    it is looked at. All processes call this together."""
    for path in _on_every_process(present(folder), layout)[0]:
        problems = damage(path, layout)
        if not problems:
            return Path(path)
        aside = folder / LOGS / "damaged" / path.name
        if layout.is_first:
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, aside)
            log.warning(
                "checkpoint %s is damaged (%s): set aside as %s, using the one before it", path.name, "; ".join(problems), aside
            )
        torch.distributed.barrier()
    return None


def damage(path: Path, layout: Layout) -> list[str]:
    """What is wrong with a checkpoint's files. Every process hashes its share of them."""
    complete = path / COMPLETE
    if not complete.is_file():
        return [f"it has no {COMPLETE}"]
    try:
        wanted = json.loads(complete.read_bytes())["files"]
    except (ValueError, KeyError, TypeError):
        return [f"{COMPLETE} cannot be read"]
    mine = []
    for name in sorted(wanted)[layout.rank :: layout.world_size]:
        if not (path / name).is_file():
            mine.append(f"{name} is missing")
        elif file_hash(path / name) != wanted[name]:
            mine.append(f"{name} has changed")
    return [problem for part in _on_every_process(mine, layout) for problem in part]


def load(path: Path, gpt: "GPTModel", optimizer: "MegatronOptimizer | None") -> int:
    """Fills the model and, unless None, the optimizer. Returns the step that the checkpoint was saved after."""
    metadata = _metadata()
    state = _state(gpt, optimizer, metadata, is_loading=True)
    loaded = dist_checkpointing.load(state, str(path))
    gpt.load_state_dict(loaded["model"])
    if optimizer is not None:
        _keep_own_settings(optimizer, loaded["optimizer"])
        with torch.no_grad():
            optimizer.load_state_dict(loaded["optimizer"])
    return int(loaded["step"])


def _state(
    gpt: "GPTModel", optimizer: "MegatronOptimizer | None", metadata: dict[str, Any], *, is_loading: bool
) -> dict[str, Any]:
    model = gpt.sharded_state_dict(metadata=metadata)
    state: dict[str, Any] = {"model": model}
    if optimizer is not None:
        state["optimizer"] = optimizer.sharded_state_dict({"model": model}, is_loading=is_loading, metadata=metadata)
    return state


def _metadata() -> dict[str, Any]:
    return {
        # gathers the optimizer's shards at saving, so that any layout can load them
        "distrib_optim_sharding_type": "fully_reshardable",
        "chained_optim_avoid_prefix": True,
        "dp_cp_group": parallel_state.get_data_parallel_group(with_context_parallel=True),
    }


def _keep_own_settings(optimizer: "MegatronOptimizer", loaded: dict[str, Any]) -> None:
    """Of the saved parameter groups only AdamW's step count is taken: the rest (learning rate, its maximum, betas) is what the
    run that saved them was asked for, not this one."""
    same = ("wd_mult", "lr_mult", "is_expert_parallel", "is_decoupled_lr")
    groups = optimizer.chained_optimizers[0].optimizer.param_groups
    own = {tuple(group.get(name) for name in same): group for group in groups}
    for group in loaded["optimizer"]["param_groups"]:
        settings = own[tuple(group.get(name) for name in same)]
        kept = {name: group[name] for name in ("step", "params") if name in group}
        if "step" in kept:
            kept["step"] = int(kept["step"])  # torch's AdamW saves a float, FusedAdam wants an integer
        group.clear()
        group.update({name: value for name, value in settings.items() if name not in ("params", "step")})
        group.update(kept)


# ---------------------------------------------------------------------------------------------------- files


def _hash_files(path: Path, layout: Layout) -> dict[str, str]:
    names = sorted(file.name for file in path.iterdir() if file.is_file())
    return {name: file_hash(path / name) for name in names[layout.rank :: layout.world_size]}


def _on_every_process(value: Any, layout: Layout) -> list[Any]:
    """Every process' value, on every process."""
    if layout.world_size == 1:
        return [value]
    values: list[Any] = [None] * layout.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def _remove(path: Path) -> None:
    """First out of sight, then away: an interrupted removal leaves no half checkpoint."""
    if path.exists():
        doomed = path.with_name(f".{path.name}.tmp")
        shutil.rmtree(doomed, ignore_errors=True)
        os.replace(path, doomed)
        shutil.rmtree(doomed)


def _write_synced(file: Path, content: bytes) -> None:
    with open(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(file.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
