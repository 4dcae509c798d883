"""One micro-batch through the model: what Megatron's schedules call."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank

from pretrain.data import Batch

Loss = tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]


def forward_step(batches: Iterator[Batch], model: Any) -> tuple[torch.Tensor, Callable[[torch.Tensor], Loss]]:
    """The model's output for the next micro-batch, and the function that makes a loss of it. Every token counts the same:
    documents are packed without padding and nothing is masked."""
    tokens, labels = next(batches)
    device = torch.cuda.current_device()
    tokens, labels = tokens.to(device, non_blocking=True), labels.to(device, non_blocking=True)
    positions = torch.arange(tokens.shape[1], device=device).expand_as(tokens)
    batch = {"tokens": tokens, "labels": labels, "position_ids": positions}
    if parallel_state.get_context_parallel_world_size() > 1:
        batch = get_batch_on_this_cp_rank(batch, cp_group=parallel_state.get_context_parallel_group())
    output = model(batch["tokens"], batch["position_ids"], None, labels=batch["labels"])
    return output, loss_of_output


def loss_of_output(losses: torch.Tensor) -> Loss:
    """Sum over tokens, their number, and both for the report. Losses: (batch, sequence)."""
    total = losses.float().sum()
    num_tokens = torch.tensor(losses.numel(), dtype=torch.int, device=losses.device)
    return total, num_tokens, {"report": torch.stack([total.detach().double(), num_tokens.double()])}


def loss_and_tokens(outputs: list[dict[str, torch.Tensor]]) -> list[float]:
    """Sums over this process' micro-batches. Each token counts on one process only: last pipeline stage, first tensor rank."""
    if not outputs or parallel_state.get_tensor_model_parallel_rank() != 0:
        return [0.0, 0.0]
    return torch.stack([output["report"] for output in outputs]).sum(0).tolist()
