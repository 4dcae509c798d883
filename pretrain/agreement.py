"""What all processes must agree on before they go on together. No torch until it is asked.

A file that each process reads for itself may be there for one and not for another: on a shared file system that lags or fails.
One that then takes another way than the rest, or ends with an error, leaves them waiting for it for ever. So one process reads,
decides and tells the others, or all say what they found; what failed on one is raised on all. What fails between the collectives
of Megatron's own code, as when memory is short, is not: there the others end when communication tells them that a peer is lost.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = timedelta(days=2)  # for what one process does alone while the others wait: NCCL gives up after ten minutes


def first_decides(decide: Callable[[], T], group: Any = None) -> T:
    """What `decide` gives on the first process, on every process. All processes call this together. `group`: of all of them."""
    from torch import distributed

    found: list[Any] = [_attempt(decide) if distributed.get_rank() == 0 else None]
    if distributed.get_world_size() > 1:
        distributed.broadcast_object_list(found, src=0, group=group)
    decided: T = _without_errors(found)[0]
    return decided


def each_finds(find: Callable[[], T]) -> list[T]:
    """What `find` gives on every process, by rank, on every process. All processes call this together."""
    from torch import distributed

    found: list[Any] = [_attempt(find)]
    if distributed.get_world_size() > 1:
        mine, found = found[0], [None] * distributed.get_world_size()
        distributed.all_gather_object(found, mine)
    return _without_errors(found)


def patient_group() -> Any:
    """Of all processes, to wait in for a long time. On the host: NCCL's would keep the GPUs spinning."""
    from torch import distributed

    return distributed.new_group(backend="gloo", timeout=PATIENCE)


def _attempt(find: Callable[[], T]) -> T | Exception:
    try:
        return find()
    except Exception as error:
        return error


def _without_errors(found: list[Any]) -> list[Any]:
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found
