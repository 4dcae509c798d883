"""Saving: planned together, written by every process on its own, published together.

`begin` takes the state, copied to host memory where training goes on meanwhile; a thread writes and hashes this process' file;
`finish` publishes when all have written. Saving at once is `begin` and `finish` in one breath: the same code, the same bytes.

The writer is torch's own, in this process: Megatron's forks helper processes and starts a manager by importing the main module
again (2-4 s for the first save, and a hang when psutil is missing). A checkpoint's bytes depend on the state alone: torch puts a
random id and object identities into two of the files, which are rewritten without them.
"""

import errno
import os
import pickle
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from megatron.core import parallel_state
from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config
from megatron.core.dist_checkpointing.mapping import ShardedTensor
from megatron.core.dist_checkpointing.state_dict_utils import save_preprocess
from megatron.core.dist_checkpointing.strategies.async_utils import AsyncRequest
from megatron.core.dist_checkpointing.strategies.base import AsyncSaveShardedStrategy
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelSaveStrategyWrapper
from megatron.core.dist_checkpointing.strategies.torch import (
    MCoreSavePlanner,
    _replace_state_dict_keys_with_sharded_keys,
    mcore_to_pyt_state_dict,
)
from torch.distributed.checkpoint.filesystem import FileSystemWriter

from pretrain.agreement import each_finds, first_decides
from pretrain.checkpoint import files
from pretrain.checkpoint.state import metadata, sharded_state
from pretrain.ending import SaveFailed
from pretrain.parallel import Layout
from recipes.fingerprint import file_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.optimizer.optimizer import MegatronOptimizer

    from pretrain.ema import Ema

COMMON = "common.pt"  # what is no tensor: written by the first process
FORMAT = ("torch_dist", 1)


@dataclass
class _Pending:
    step: int
    making: Path
    digest: dict[str, Any]
    request: AsyncRequest
    written: "Future[dict[str, str]]"


class Saver:
    """Saves a stage's checkpoints. All processes call its methods together, but for `is_written`."""

    def __init__(self, folder: Path, layout: Layout, *, is_async: bool) -> None:
        self.folder, self.layout, self.is_async = folder, layout, is_async
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self.pending: _Pending | None = None

    def begin(
        self,
        step: int,
        chunks: "Sequence[GPTModel]",
        optimizer: "MegatronOptimizer",
        digest: dict[str, Any],
        ema: "Ema | None" = None,
    ) -> None:
        self.finish()
        making = files.making_folder(self.folder, step)
        strategy: AsyncSaveShardedStrategy = _InProcessSave(copies=self.is_async)
        if self.layout.data_size * self.layout.parallelism.context > 1:
            group = parallel_state.get_data_parallel_group(with_context_parallel=True)
            strategy = FullyParallelSaveStrategyWrapper(strategy, group)
        about = metadata()
        state = sharded_state(chunks, optimizer, about, ema, is_loading=False)
        state["step"] = step
        state["content_metadata"] = {name: value for name, value in about.items() if name != "dp_cp_group"}
        # the steps of dist_checkpointing.save, in which the first process would fail alone while the others wait for it
        shards, common = save_preprocess(state)
        try:
            first_decides(lambda: torch.save(common, files.begin(self.folder, step) / COMMON))
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "iostream" not in str(error):  # torch's word for a full disk
                raise
            raise _failed(step, error) from error
        request = strategy.async_save(shards, making)
        self.pending = _Pending(step, making, digest, request, self.writer.submit(self._write, making, request))
        if not self.is_async:
            self.finish()

    def _write(self, making: Path, request: AsyncRequest) -> dict[str, str]:
        """In a thread: this process' file and its sha256."""
        assert request.async_fn is not None
        request.async_fn(*request.async_fn_args)
        mine = sorted(making.glob(f"__{self.layout.rank}_*.distcp"))
        return {file.name: file_hash(file) for file in mine}

    @property
    def is_written(self) -> bool:
        """By this process: `finish` would not wait for it."""
        return self.pending is not None and self.pending.written.done()

    def finish(self) -> Path | None:
        """Waits for what is being written, and publishes it. None when nothing was."""
        pending, self.pending = self.pending, None
        if pending is None:
            return None
        try:
            written = each_finds(pending.written.result)
            for finalize in pending.request.finalize_fns:
                finalize()
            return first_decides(lambda: self._publish(pending, written))
        except (OSError, RuntimeError) as error:  # torch's writer tells of a full disk by either
            if _is_of_a_peer(error):
                raise
            raise _failed(pending.step, error) from error

    def _publish(self, pending: _Pending, written: list[dict[str, str]]) -> Path:
        """The first process calls this."""
        making = pending.making
        rewrite_metadata(making / ".metadata")
        rewrite_common(making / COMMON)
        save_config(CheckpointingConfig(*FORMAT), str(making))
        hashes = {name: sha256 for hashed in written for name, sha256 in hashed.items()}
        hashes |= {file.name: file_hash(file) for file in making.iterdir() if file.name not in hashes}
        return files.publish(making, self.folder, pending.step, hashes, pending.digest)

    def close(self) -> None:
        self.finish()
        self.writer.shutdown()


def _is_of_a_peer(error: BaseException) -> bool:
    """A process that is gone, in gloo's or NCCL's words: no fault of the disk."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _failed(step: int, error: BaseException) -> SaveFailed:
    room = "; make room and start again" if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return SaveFailed(f"the checkpoint of step {step:,} could not be written: {error}{room}. The one before it is whole")


class _InProcessSave(AsyncSaveShardedStrategy):
    """Megatron's torch_dist format, written by torch's FileSystemWriter in this process."""

    def __init__(self, *, copies: bool) -> None:
        super().__init__(*FORMAT)
        self.copies = copies

    @property
    def can_handle_sharded_objects(self) -> bool:
        return True

    def async_save(self, sharded_state_dict: dict[str, Any], checkpoint_dir: str | Path) -> AsyncRequest:
        """Plans the save with all processes. The request's function writes this process' file; its finalizer, called by all,
        lets the first process write the checkpoint's table of contents."""
        mine, _, _ = _replace_state_dict_keys_with_sharded_keys(sharded_state_dict, True)
        if self.copies:
            for shards in mine.values():
                for shard in shards:
                    if isinstance(shard, ShardedTensor) and shard.data is not None:
                        shard.data = shard.data.detach().to("cpu", copy=True)
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        writer = FileSystemWriter(checkpoint_dir, single_file_per_rank=True, sync_files=True, thread_count=1)
        planner = MCoreSavePlanner(dedup_replicated_tensors=False, flatten_state_dict=False)
        planner.set_up_planner(mcore_to_pyt_state_dict(mine, False), writer.storage_meta(), is_coordinator=rank == 0)
        writer.set_up_storage_writer(rank == 0, rank=rank, use_collectives=True)
        local = writer.prepare_local_plan(planner.create_local_plan())

        plans: list[Any] | None = [None] * size if rank == 0 else None
        torch.distributed.gather_object(local, plans)
        contents: Any = None
        if plans is not None:
            plans, contents = planner.create_global_plan(plans)
            plans = writer.prepare_global_plan(plans)
        own: list[Any] = [None]
        torch.distributed.scatter_object_list(own, plans)
        plan = planner.finish_plan(own[0])
        results: list[Any] = []

        def write() -> None:
            writing = writer.write_data(plan, planner)
            writing.wait()
            results.extend(writing.value())

        def write_contents() -> None:
            everyone: list[Any] = [None] * size
            torch.distributed.gather_object(results, everyone if rank == 0 else None)
            first_decides(lambda: writer.finish(contents, everyone))

        return AsyncRequest(write, (), [write_contents])


class _PlainPickler(pickle.Pickler):
    """Writes equal values as equal bytes. By default pickle writes a second reference to the same object as a reference, so the
    bytes would tell which equal strings happen to be one object, which differs after a load."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fast = True


def rewrite_metadata(file: Path) -> None:
    """A checkpoint's table of contents, so that its bytes depend on the contents alone."""
    contents = pickle.loads(file.read_bytes())
    contents.storage_meta = None  # the folder's path and a random id
    temporary = file.with_name(".metadata.tmp")
    with open(temporary, "wb") as stream:
        _PlainPickler(stream, protocol=4).dump(contents)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)


def rewrite_common(file: Path) -> None:
    common = torch.load(file, weights_only=False)
    with open(file, "wb") as stream:
        torch.save(common, stream, pickle_module=SimpleNamespace(__name__="plain", Pickler=_PlainPickler))
        stream.flush()
        os.fsync(stream.fileno())
