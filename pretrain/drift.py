"""The calls whose signature differs between megatron-core 0.16 and 0.19, in one place."""

import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank

if TYPE_CHECKING:
    from megatron.core.dist_checkpointing.strategies.async_utils import AsyncRequest
    from megatron.core.dist_checkpointing.strategies.base import AsyncSaveShardedStrategy


def split_over_context(batch: dict[str, Any]) -> dict[str, Any]:
    """This context rank's part of a batch. 0.19 slices by the whole world when it is given no group, and says nothing."""
    options: dict[str, Any] = {"cp_group": parallel_state.get_context_parallel_group()}
    if "is_hybrid_cp" in parameters(get_batch_on_this_cp_rank):
        options["is_hybrid_cp"] = False
    part: dict[str, Any] = get_batch_on_this_cp_rank(batch, **options)
    return part


def begin_saving(
    state: dict[str, Any], folder: Path, strategy: "AsyncSaveShardedStrategy", recorded: dict[str, Any]
) -> "AsyncRequest":
    """0.19 would hand the writing to nvidia-resiliency-ext unless told otherwise."""
    options: dict[str, Any] = {"async_sharded_save": True, "content_metadata": recorded}
    if "async_strategy" in parameters(dist_checkpointing.save):
        options["async_strategy"] = "mcore"
    request = dist_checkpointing.save(state, str(folder), strategy, **options)
    assert request is not None
    return request


@cache
def parameters(function: Any) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
