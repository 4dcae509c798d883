"""One micro-batch through the model: what Megatron's schedules call."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.packed_seq_params import PackedSeqParams

from pretrain import drift
from pretrain.batch import Batch

Loss = tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]


def forward_step(batches: Iterator[Batch], model: Any) -> tuple[torch.Tensor, Callable[[torch.Tensor], Loss]]:
    """The model's output for the next micro-batch, and the function that makes a loss of it. Every token in the loss counts the
    same: there is no padding."""
    batch = Batch(*next(batches))
    device = torch.cuda.current_device()
    named = {"tokens": batch.tokens, "labels": batch.labels}
    if batch.loss_mask is not None:
        named["loss_mask"] = batch.loss_mask
    inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in named.items()}
    # RoPE takes no notice of these: it counts from the start of the row, or of each document where they are kept apart
    inputs["position_ids"] = torch.arange(batch.tokens.shape[1], device=device).expand_as(batch.tokens)
    if parallel_state.get_context_parallel_world_size() > 1:
        inputs = drift.split_over_context(inputs)
    documents = None if batch.bounds is None else documents_apart(batch.bounds, device)
    output = model(inputs["tokens"], inputs["position_ids"], None, labels=inputs["labels"], packed_seq_params=documents)
    return output, partial(loss_of_output, mask=inputs.get("loss_mask"))


def documents_apart(bounds: torch.Tensor, device: Any) -> PackedSeqParams:
    """Attention within documents and positions that begin anew with each: packed sequences, without a mask of all pairs.

    The longest document must be its true length: told the row's whole length, megatron-core 0.16.1 takes it for a table of all
    positions in the row, and they go on across documents (rope_utils.py:210)."""
    longest = int(bounds.diff().max())
    places = bounds.to(device, non_blocking=True)
    return PackedSeqParams(
        qkv_format="thd", cu_seqlens_q=places, cu_seqlens_kv=places, max_seqlen_q=longest, max_seqlen_kv=longest
    )


def loss_of_output(losses: torch.Tensor, mask: torch.Tensor | None = None) -> Loss:
    """The sum over the tokens in the loss, their number, and for the report both and the number of all tokens. Losses and mask:
    (batch, sequence)."""
    losses = losses.float()
    if mask is None:
        total, num_counted = losses.sum(), torch.tensor(losses.numel(), dtype=torch.int, device=losses.device)
    else:
        total, num_counted = (losses * mask).sum(), mask.sum().int()
    num_tokens = torch.full_like(num_counted, losses.numel())
    return total, num_counted, {"report": torch.stack([total.detach().double(), num_counted.double(), num_tokens.double()])}


def loss_and_tokens(outputs: list[dict[str, torch.Tensor]]) -> list[float]:
    """Sums over this process' micro-batches: the loss, the tokens in it, all tokens. Each counts on one process only: last
    pipeline stage, first tensor rank."""
    if not outputs or parallel_state.get_tensor_model_parallel_rank() != 0:
        return [0.0, 0.0, 0.0]
    return torch.stack([output["report"] for output in outputs]).sum(0).tolist()
