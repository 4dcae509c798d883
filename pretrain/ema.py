"""An exponential moving average of the weights, kept beside them in float32 while training goes on.

It lies where AdamW's float32 weights lie, in the same shards: 4 bytes a parameter over all data-parallel processes, and a pass
over them a step. It begins as the weights that the stage begins from; after each update it goes 1 - decay of the way to them
(Tarvainen and Valpola 2017, arXiv 1703.01780, equation 3). Switched off it holds nothing, saves nothing and costs nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensorFactory
from megatron.core.dist_checkpointing.utils import extract_sharded_tensors_and_factories

from pretrain.saved_model import EMA

if TYPE_CHECKING:
    from megatron.core.optimizer.optimizer import MegatronOptimizer


@dataclass(frozen=True)
class _Shard:
    """This data-parallel process' elements `start` to `end` of a flattened parameter."""

    start: int
    end: int
    main: torch.Tensor  # the optimizer's, in float32
    average: torch.Tensor


class Ema:
    """All processes call its methods together, but for `begin`, `update` and `averages`."""

    def __init__(self, optimizer: "MegatronOptimizer", decay: float | None) -> None:
        self.decay = decay
        self.parts: list[Any] = list(optimizer.chained_optimizers) if decay is not None else []
        self.shards = {parameter: shard for part in self.parts for parameter, shard in _shards(part)}
        self.averages = [shard.average for shard in self.shards.values()]
        self.mains = [shard.main for shard in self.shards.values()]

    @property
    def is_on(self) -> bool:
        return self.decay is not None

    @torch.no_grad()
    def begin(self) -> None:
        """As the weights are now."""
        for shard in self.shards.values():
            shard.average.copy_(shard.main)

    @torch.no_grad()
    def update(self) -> None:
        """After an update of the weights."""
        if self.decay is not None:
            torch._foreach_lerp_(self.averages, self.mains, 1.0 - self.decay)

    # ------------------------------------------------------------------------------------------------ checkpoints

    def sharded_state(self, model_state: dict[str, Any], *, is_loading: bool) -> dict[str, Any]:
        """Whole tensors in the shapes and under the names of the model's, so that any layout can load them. To load, all of them,
        empty. To save, on each data-parallel process those that it gathers: together they hold the average once."""
        tensors, _ = extract_sharded_tensors_and_factories(model_state)
        known = {id(entry.data): entry for entry in nested_values(tensors)}
        held: dict[int, list[int]] = {}  # elements that each process of a data-parallel group holds
        state = {}
        for number, (part, parameter) in enumerate(self._parameters()):
            entry = known[id(parameter)]
            *elsewhere, _ = entry.replica_id
            if is_loading:
                state[str(number)] = _renamed(entry, torch.empty(parameter.shape), entry.replica_id)
            elif not any(elsewhere):  # else it is another tensor rank's too, or, tied, another pipeline stage's
                whole = self._gather(part.data_parallel_group, held.setdefault(id(part), []), parameter)
                if whole is not None:
                    state[str(number)] = _renamed(entry, whole, (*elsewhere, 0))
        return state

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor]) -> None:
        """What `sharded_state` has named, filled."""
        for number, (_, parameter) in enumerate(self._parameters()):
            if parameter in self.shards:
                shard = self.shards[parameter]
                shard.average.copy_(state[str(number)].flatten()[shard.start : shard.end])

    def _parameters(self) -> Iterator[tuple[Any, torch.nn.Parameter]]:
        """All of this process' model, in the same order on every data-parallel process."""
        for part in self.parts:
            for buffer in part.buffers:
                for parameter in buffer.param_index_map:
                    yield part, parameter

    @torch.no_grad()
    def _gather(self, group: Any, held: list[int], parameter: torch.nn.Parameter) -> torch.Tensor | None:
        """The whole average of a parameter, in the host memory of the process that holds least, None on the others. Shards are
        added up as integers: no bit of them changes."""
        held += [0] * (group.size() - len(held))
        holder = held.index(min(held))
        held[holder] += parameter.numel()
        whole = torch.zeros(parameter.numel(), dtype=torch.float32, device=parameter.device)
        if parameter in self.shards:
            shard = self.shards[parameter]
            whole[shard.start : shard.end] = shard.average
        torch.distributed.reduce(whole.view(torch.int32), dst=torch.distributed.get_global_rank(group, holder), group=group)
        return whole.view(parameter.shape).cpu() if group.rank() == holder else None

    # ------------------------------------------------------------------------------------------------ measured

    @contextmanager
    def as_weights(self, wrapped: list[Any]) -> Iterator[None]:
        """The model computes with the average; afterwards its weights are what they were, to the last bit."""
        self._exchange(wrapped)
        try:
            yield
        finally:
            self._exchange(wrapped)

    @torch.no_grad()
    def _exchange(self, wrapped: list[Any]) -> None:
        """Weights and averages change places, one shard after another."""
        for shard in self.shards.values():
            weight = shard.main.clone()
            shard.main.copy_(shard.average)
            shard.average.copy_(weight)
        for part in self.parts:
            part._copy_main_params_to_model_params()
        for chunk in wrapped:
            chunk.start_param_sync(force_sync=True)


def _renamed(entry: Any, average: torch.Tensor, replica_id: tuple[int, ...]) -> Any:
    """A model's tensor as its average's. `replica_id` of zeros: this process writes it."""
    dtype = {} if isinstance(entry, ShardedTensorFactory) else {"dtype": torch.float32}
    return replace(entry, key=EMA + entry.key, data=average, replica_id=replica_id, **dtype)


def _shards(part: Any) -> Iterator[tuple[torch.nn.Parameter, _Shard]]:
    """Of a DistributedOptimizer."""
    for ranges in part.gbuf_ranges:
        for buckets in ranges.values():
            for bucket in buckets:
                for parameter, place in bucket["param_map"].items():
                    group, order = part.model_param_group_index_map[parameter]
                    main = part.optimizer.param_groups[group]["params"][order]
                    span = place["param"]
                    yield parameter, _Shard(span.start, span.end, main, main.detach().float().clone())
