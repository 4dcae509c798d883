"""Intervals of sums and differences of scores, from the intervals of the scores themselves: the method of variance estimates
recovery (Zou and Donner 2008). Of two scores it is Newcombe's interval for their difference. No draw is needed, and a benchmark
whose every answer is wrong keeps the doubt that few items leave, which a bootstrap loses."""

import math
from collections.abc import Sequence

Interval = tuple[float, float, float]  # a score and its 95 % interval: mean, low, high


def weighted(scores: Sequence[Interval], weights: Sequence[float]) -> Interval:
    """The sum of independent scores times their weights, which may be below 0."""
    middle = sum(weight * mean for (mean, _, _), weight in zip(scores, weights, strict=True))
    below = above = 0.0
    for (mean, low, high), weight in zip(scores, weights, strict=True):
        down, up = (mean - low, high - mean) if weight >= 0 else (high - mean, mean - low)
        below += (weight * down) ** 2
        above += (weight * up) ** 2
    return middle, middle - math.sqrt(below), middle + math.sqrt(above)


def mean_of(scores: Sequence[Interval]) -> Interval:
    """Of at least one score."""
    return weighted(scores, [1 / len(scores)] * len(scores))


def difference(score: Interval, other: Interval) -> Interval:
    """How much more the first is."""
    return weighted((score, other), (1.0, -1.0))
