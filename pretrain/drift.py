"""The call whose signature differs between megatron-core 0.16 and 0.19."""

import inspect
from functools import cache
from typing import Any

from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank


def split_over_context(batch: dict[str, Any]) -> dict[str, Any]:
    """This context rank's part of a batch. 0.19 slices by the whole world when it is given no group, and says nothing."""
    options: dict[str, Any] = {"cp_group": parallel_state.get_context_parallel_group()}
    if "is_hybrid_cp" in parameters(get_batch_on_this_cp_rank):
        options["is_hybrid_cp"] = False
    part: dict[str, Any] = get_batch_on_this_cp_rank(batch, **options)
    return part


@cache
def parameters(function: Any) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
