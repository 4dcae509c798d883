"""The next token of each row from its logits: the likeliest, or the one that a number from 0 to 1 falls on."""

from collections.abc import Sequence

import torch

from pretrain.generation.engine import NoNumbers, Sampling


def draw(
    logits: torch.Tensor, uniforms: Sequence[float], forbidden: Sequence[Sequence[int]], sampling: Sampling
) -> tuple[list[int], list[float]]:
    """Of logits (row, vocab): a token and the entropy of its distribution, in nats, for each row. Greedy entropy is that at
    temperature 1. NoNumbers for logits that are none."""
    scores = logits.float()
    for row, ids in enumerate(forbidden):
        if len(ids):
            scores[row, torch.tensor(list(ids), device=scores.device)] = -torch.inf
    if sampling.temperature:
        scores = scores / sampling.temperature
    logs = scores.log_softmax(dim=-1)
    shares = logs.exp()
    entropies = -(shares * logs.masked_fill(shares == 0, 0.0)).sum(dim=-1)
    check_numbers(entropies)
    if not sampling.temperature:
        return scores.argmax(dim=-1).tolist(), entropies.tolist()
    at = torch.tensor(uniforms, dtype=torch.float64, device=scores.device)
    return _fall(shares, at, sampling.top_p).tolist(), entropies.tolist()


def check_numbers(figures: torch.Tensor) -> None:
    if figures.isnan().any():
        raise NoNumbers(
            "the model's logits are no numbers (NaN): its weights are damaged, or too large for engine.dtype, or every token "
            "was forbidden"
        )


def _fall(shares: torch.Tensor, at: torch.Tensor, top_p: float) -> torch.Tensor:
    """Where `at` falls when the shares (row, vocab) lie behind one another: in the order of ids, or with `top_p` those that
    make up this much first, the largest first."""
    order = None
    if top_p < 1.0:
        shares, order = shares.sort(dim=-1, descending=True, stable=True)
        shares = shares.double()
        before = shares.cumsum(dim=-1) - shares
        shares = shares.masked_fill(before >= top_p, 0.0)
        shares[:, 0].clamp_(min=1e-300)  # top_p 0 leaves the likeliest
    sums = shares.double().cumsum(dim=-1)
    places = torch.searchsorted(sums, (at * sums[:, -1])[:, None], right=True)
    last = (shares > 0).long().cumsum(dim=-1).argmax(dim=-1, keepdim=True)  # of those that have a share: rounding goes no further
    places = torch.minimum(places, last)
    return (places if order is None else order.gather(-1, places))[:, 0]
