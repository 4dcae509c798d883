"""A micro-batch: what the model reads, what it shall say, where documents end in it, and what counts in the loss."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from recipes.schema import TrainParams


class Batch(NamedTuple):
    """Where documents are kept apart, all sequences stand behind one another in one row."""

    tokens: torch.Tensor  # (micro_batch_size, sequence_length), or (1, micro_batch_size * sequence_length)
    labels: torch.Tensor  # of the same shape
    loss_mask: torch.Tensor | None = None  # of the same shape, 1.0 or 0.0; None: every token counts
    bounds: torch.Tensor | None = None  # int32: where documents begin in the row, then its length; None: they are not kept apart


def make_batch(tokens: torch.Tensor, labels: torch.Tensor, ends: Sequence[np.ndarray], params: TrainParams) -> Batch:
    """From sequences (number, length). `ends` of each: the places behind the last token of every document that ends among its
    inputs, from 1 to its length."""
    number, length = tokens.shape
    mask = bounds = None
    if params.eod_mask_loss:
        mask = torch.ones(number, length)
        for row, places in zip(mask, ends, strict=True):
            row[torch.from_numpy(places - 1)] = 0.0
    if params.documents == "reset":
        parts = [row * length + np.append(0, places) for row, places in enumerate(ends)]
        bounds = torch.from_numpy(np.unique(np.append(np.concatenate(parts), number * length)).astype(np.int32))
        tokens, labels = tokens.view(1, -1), labels.view(1, -1)
        mask = None if mask is None else mask.view(1, -1)
    return Batch(tokens, labels, mask, bounds)
