"""Loss on held-out documents. Only forward passes; the same sequences in the same order every time."""

from typing import Any

import torch
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain.data import HeldOut
from pretrain.forward import forward_step, loss_and_tokens
from pretrain.parallel import Layout, sum_over_processes


def held_out_loss(held_out: HeldOut, model: Any, layout: Layout) -> tuple[float, int]:
    """Mean loss a token, and the number of tokens it was measured on. All processes call this together."""
    size = layout.parallelism.micro_batch_size
    firsts = list(range(0, held_out.num_sequences, size))[layout.data_rank :: layout.data_size]
    batches = [held_out.batch(first, min(first + size, held_out.num_sequences)) for first in firsts]
    total = [0.0, 0.0]
    model.eval()
    with torch.no_grad():
        for batch in batches:  # one at a time: the last may be shorter, and pipelines want equal shapes within a call
            outputs = get_forward_backward_func()(
                forward_step_func=forward_step,
                data_iterator=iter([batch]),
                model=[model],
                num_microbatches=1,
                seq_length=held_out.length,
                micro_batch_size=batch[0].shape[0],
                forward_only=True,
            )
            total = [before + now for before, now in zip(total, loss_and_tokens(outputs), strict=True)]
    model.train()
    loss, tokens = sum_over_processes(total, layout)
    return loss / tokens, int(tokens)
