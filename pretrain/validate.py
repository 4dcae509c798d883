"""Loss on held-out documents. Only forward passes; the same sequences in the same order every time."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain.data import HeldOut
from pretrain.forward import forward_step, loss_and_tokens
from pretrain.parallel import Layout, sum_over_processes
from pretrain.tokens import num_text_bytes


def held_out_bytes(held_out: HeldOut, tokenizer: Path) -> int:
    """Of the text of the tokens in the loss, in UTF-8."""
    num_tokens = held_out.num_sequences * held_out.length
    is_counted = np.ones(num_tokens, dtype=bool)
    if held_out.params.eod_mask_loss:
        is_counted[held_out.ends[held_out.ends <= num_tokens] - 1] = False
    return num_text_bytes(tokenizer, held_out.tokens[1 : num_tokens + 1][is_counted])


def held_out_loss(held_out: HeldOut, model: list[Any], layout: Layout) -> tuple[float, int]:
    """Mean loss a token, and the number of tokens in it. All processes call this together."""
    size = layout.parallelism.micro_batch_size
    firsts = list(range(0, held_out.num_sequences, size))[layout.data_rank :: layout.data_size]
    batches = [held_out.batch(first, min(first + size, held_out.num_sequences)) for first in firsts]
    # interleaved pipeline stages work on as many micro-batches as there are stages: the same one so often, which changes no mean
    times = layout.parallelism.pipeline if len(model) > 1 else 1
    total = [0.0, 0.0, 0.0]
    for chunk in model:
        chunk.eval()
    with torch.no_grad():
        for batch in batches:  # one at a time: the last may be shorter, and pipelines want equal shapes within a call
            outputs = get_forward_backward_func()(
                forward_step_func=forward_step,
                data_iterator=[iter([batch] * times) for _ in model] if len(model) > 1 else iter([batch]),
                model=model,
                num_microbatches=times,
                seq_length=batch.tokens.shape[1],
                micro_batch_size=batch.tokens.shape[0],
                forward_only=True,
            )
            total = [before + now for before, now in zip(total, loss_and_tokens(outputs), strict=True)]
    for chunk in model:
        chunk.train()
    loss, tokens, _ = sum_over_processes(total, layout)
    return loss / tokens, int(tokens) // times
