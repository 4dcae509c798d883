"""A short name for everything that the next step depends on: weights, optimizer, random numbers, the next batch.

Written into a checkpoint when it is saved, computed again from what was loaded: equal digests prove that training goes on from
the very same state. Each process' part of the model has its own, so digests of different layouts are not compared.

A tensor's sum of 32-bit words and its sum weighted by position, both modulo 2^64, are computed where the tensor lies, in a pass
over memory; SHA-256 of all of them makes the name. Changes one bit anywhere and it differs; it is no protection against somebody
who forges checkpoints, which the files' own SHA-256 is there for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from pretrain.parallel import Layout, on_every_process

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.optimizer.optimizer import MegatronOptimizer

PIECE = 1 << 24  # words summed at a time: the positions' weights take 8 bytes each
SAME, NOT_SAME = "same", "not same"
PARTS = ("weights", "optimizer", "random", "next_batch")


def digest(
    chunks: "Sequence[GPTModel]",
    optimizer: "MegatronOptimizer",
    next_batch: Iterable[torch.Tensor],
    layout: Layout,
    averages: Iterable[torch.Tensor] = (),
) -> dict[str, Any]:
    """All processes call this together. `averages` of the weights are named with the optimizer."""
    weights = [tensor for chunk in chunks for _, tensor in sorted(chunk.named_parameters())]
    states = [*_optimizer_tensors(optimizer), *averages]
    mine = dict(zip(PARTS, (_name(weights), _name(states), _name(_random_states(layout)), _name(next_batch)), strict=True))
    return {"layout": describe(layout), "processes": on_every_process(mine, layout)}


def compare(saved: dict[str, Any] | None, loaded: dict[str, Any]) -> str:
    """`SAME`, `NOT_SAME` with what differs by process, or why the two cannot be compared."""
    if not saved:
        return "not compared: the checkpoint has no digest"
    if saved["layout"] != loaded["layout"]:
        return f"not compared: saved by {saved['layout']}, loaded by {loaded['layout']}"
    pairs = enumerate(zip(saved["processes"], loaded["processes"], strict=True))
    changed = [f"{part} of process {rank}" for rank, (one, other) in pairs for part in PARTS if one[part] != other[part]]
    return f"{NOT_SAME}: {', '.join(changed)}" if changed else SAME


def describe(layout: Layout) -> str:
    parallelism = layout.parallelism
    return (
        f"data {layout.data_size} x tensor {parallelism.tensor} x pipeline {parallelism.pipeline} x context "
        f"{parallelism.context}, virtual pipeline {parallelism.virtual_pipeline}, {layout.device}"
    )


def _random_states(layout: Layout) -> list[torch.Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state()] if layout.device == "cuda" else states


def _optimizer_tensors(optimizer: "MegatronOptimizer") -> Iterable[torch.Tensor]:
    """torch's AdamW counts its steps with each parameter, the fused ones with each group."""
    for part in optimizer.chained_optimizers:
        for group in part.optimizer.param_groups:
            for parameter in group["params"]:
                state = {"step": group.get("step"), **part.optimizer.state[parameter]}
                yield parameter
                yield from (torch.as_tensor(state[name]).float() for name in sorted(state) if state[name] is not None)


def _name(tensors: Iterable[torch.Tensor]) -> str:
    sums = [_sums(tensor) for tensor in tensors]
    return hashlib.sha256(repr(sums).encode()).hexdigest()[:32]


@torch.no_grad()
def _sums(tensor: torch.Tensor) -> tuple[int, int]:
    """Of the tensor's words: 32 bits where they divide, else 16 or 8."""
    flat = tensor.detach().contiguous().view(-1)
    word = {8: torch.int32, 4: torch.int32, 2: torch.int16, 1: torch.uint8}[flat.element_size()]
    words = flat.view(word)
    plain = weighted = 0
    for start in range(0, words.numel(), PIECE):
        piece = words[start : start + PIECE].long()
        weights = torch.arange(start + 1, start + 1 + piece.numel(), device=piece.device)
        plain += int(piece.sum())
        weighted += int((piece * (weights * 0x9E3779B97F4A7C1 | 1)).sum())
    return plain % 2**64, weighted % 2**64
