"""What sampled answers show, each figure a mean over problems of a mean over a problem's samples. No torch: pure functions."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from pretrain.intervals import DIFFERENCE, SHARE, Figure, interval
from pretrain.readiness.answers import Answer
from pretrain.readiness.repetition import loops, repeated_share
from recipes.pass_at_k import pass_at_k

Group = Sequence[Answer]

SHARES: dict[str, Callable[[Answer], bool | float]] = {
    "right": lambda answer: answer.is_right,
    "boxed": lambda answer: answer.is_boxed,
    "stopped": lambda answer: answer.finish in ("eos", "stop"),
    "ended_by_eos": lambda answer: answer.finish == "eos",
    "truncated": lambda answer: answer.finish == "length",
    "too_long": lambda answer: answer.finish == "too_long",
    "loops": lambda answer: loops(answer.text),
    "repeated": lambda answer: repeated_share(answer.text),
    "disputed": lambda answer: answer.is_disputed,
    "grader_trouble": lambda answer: answer.trouble in ("timeout", "crash"),
}
OF_GROUPS: dict[str, Callable[[Group], bool]] = {
    "mixed_groups": lambda group: len({answer.is_right for answer in group}) == 2,
    "all_right_groups": lambda group: all(answer.is_right for answer in group),
    "all_wrong_groups": lambda group: not any(answer.is_right for answer in group),
}


def figures(groups: Sequence[Group], seed: int) -> dict[str, Figure | None]:
    """By name. `entropy` is in nats a token; None where the engine does not tell."""
    found = {name: interval([_mean(map(of, group)) for group in groups], seed, SHARE) for name, of in SHARES.items()}
    found |= {name: interval([float(of(group)) for group in groups], seed, SHARE) for name, of in OF_GROUPS.items()}
    found["tokens"] = interval([_mean(answer.tokens for answer in group) for group in groups], seed)
    known = [[a.entropy for a in group if a.entropy is not None and isfinite(a.entropy)] for group in groups]
    found["entropy"] = interval([_mean(entropies) for entropies in known if entropies], seed)
    return found


def solved(groups: Sequence[Group], seed: int) -> dict[str, Figure]:
    """pass@k by k: powers of two, and all samples that the problem with the fewest has."""
    most = min((len(group) for group in groups), default=0)
    ks = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | ({most} if most else set()))
    counts = [(len(group), sum(answer.is_right for answer in group)) for group in groups]
    by_k = {k: interval([pass_at_k(*count, k) for count in counts], seed, SHARE) for k in ks}
    return {str(k): figure for k, figure in by_k.items() if figure is not None}


def gain(ours: Sequence[Group], theirs: Sequence[Group], seed: int) -> Figure | None:
    """By how much more of `ours` is right, problem by problem: both are of the same problems, in the same order."""
    pairs = zip(ours, theirs, strict=True)
    return interval([_mean(a.is_right for a in one) - _mean(a.is_right for a in other) for one, other in pairs], seed, DIFFERENCE)


def lengths(answers: Sequence[Answer], max_tokens: int) -> dict[str, Any]:
    """Tokens of answers, right and wrong ones apart: `bins` of (from, below, right, wrong), each twice as wide as the one before,
    and the quantiles of all."""
    edges = [0, *(2**power for power in range(max_tokens.bit_length() + 1))]
    counts = Counter((answer.tokens.bit_length(), answer.is_right) for answer in answers)
    bins = [(low, high, counts[n, True], counts[n, False]) for n, (low, high) in enumerate(pairwise(edges))]
    ordered = sorted(answer.tokens for answer in answers)
    quantiles = {str(share): ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.05, 0.5, 0.95) if ordered}
    return {"bins": [bin_ for bin_ in bins if bin_[2] or bin_[3]], "quantiles": quantiles}


def _mean(values: Any) -> float:
    given = [float(value) for value in values]
    return sum(given) / len(given)
