"""A training state as Megatron's sharded state dict, and back. It loads under any tensor, pipeline and data-parallel layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.utils import add_prefix_for_sharding, extract_sharded_tensors_and_factories

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.optimizer.optimizer import MegatronOptimizer

    from pretrain.ema import Ema


def load(
    path: Path, chunks: "Sequence[GPTModel]", optimizer: "MegatronOptimizer | None", ema: "Ema | None" = None, kind: str = ""
) -> int:
    """Fills the model and, unless None, the optimizer and the average. Returns the step that the checkpoint was saved after.
    `kind` EMA: the model gets the average that the checkpoint has."""
    state = sharded_state(chunks, optimizer, metadata(), ema, is_loading=True)
    tensors, _ = extract_sharded_tensors_and_factories({name: state[name] for name in _names(chunks)})
    add_prefix_for_sharding(tensors, kind)
    loaded = dist_checkpointing.load(state, str(path))
    for name, chunk in zip(_names(chunks), chunks, strict=True):
        chunk.load_state_dict(loaded[name])
    if optimizer is not None:
        _keep_own_settings(optimizer, loaded["optimizer"])
        with torch.no_grad():
            optimizer.load_state_dict(loaded["optimizer"])
    if ema is not None and ema.is_on:
        ema.load(loaded["ema"])
    return int(loaded["step"])


def sharded_state(
    chunks: "Sequence[GPTModel]",
    optimizer: "MegatronOptimizer | None",
    about: dict[str, Any],
    ema: "Ema | None" = None,
    *,
    is_loading: bool,
) -> dict[str, Any]:
    state: dict[str, Any] = {
        name: chunk.sharded_state_dict(metadata=about) for name, chunk in zip(_names(chunks), chunks, strict=True)
    }
    model = dict(state)
    if optimizer is not None:
        state["optimizer"] = optimizer.sharded_state_dict(model, is_loading=is_loading, metadata=about)
    if ema is not None and ema.is_on:
        state["ema"] = ema.sharded_state(model, is_loading=is_loading)
    return state


def metadata() -> dict[str, Any]:
    return {
        # gathers the optimizer's shards at saving, so that any layout can load them
        "distrib_optim_sharding_type": "fully_reshardable",
        "chained_optim_avoid_prefix": True,
        "dp_cp_group": parallel_state.get_data_parallel_group(with_context_parallel=True),
    }


def _names(chunks: Sequence[Any]) -> list[str]:
    """As Megatron's optimizer expects them: `model`, or one a virtual pipeline stage."""
    return ["model"] if len(chunks) == 1 else [f"model{i}" for i in range(len(chunks))]


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
