"""95 % intervals of means over problems, by drawing problems anew (bootstrap). Samples of one problem are no independent
measurements: drawing answers instead would give intervals that are far too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recipes.pass_at_k import wilson

DRAWS = 2_000
ROWS = 1 << 22  # numbers drawn at a time
DIGITS = 6  # kept: the order in which a machine adds up changes later ones
TAILS = (2.5, 97.5)
SHARE, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)


@dataclass(frozen=True)
class Figure:
    """A mean over problems and its interval."""

    mean: float
    low: float
    high: float
    problems: int


def interval(values: Sequence[float], seed: int, span: tuple[float, float] | None = None) -> Figure | None:
    """`span`: what the values lie between. Equal values have no spread to draw from; then as many unseen ones are allowed for as
    Wilson's interval does. None without values."""
    if not values:
        return None
    return _figure(float(np.mean(values)), _means(values, seed), len(values), _is_constant(values), span)


def difference(ours: Sequence[float], theirs: Sequence[float], seed: int) -> Figure | None:
    """Of two means of shares over different problems."""
    if not ours or not theirs:
        return None
    means = _means(ours, seed) - _means(theirs, seed + 1)
    num = min(len(ours), len(theirs))
    is_constant = _is_constant(ours) and _is_constant(theirs)
    return _figure(float(np.mean(ours) - np.mean(theirs)), means, num, is_constant, DIFFERENCE)


def _means(values: Sequence[float], seed: int) -> npt.NDArray[np.float64]:
    """Of each draw of as many problems, with repeats."""
    given, rng = np.asarray(values, dtype=np.float64), np.random.default_rng(seed)
    step = max(1, ROWS // len(given))
    sizes = [min(step, DRAWS - start) for start in range(0, DRAWS, step)]
    return np.concatenate([given[rng.integers(0, len(given), (size, len(given)))].mean(axis=1) for size in sizes])


def _is_constant(values: Sequence[float]) -> bool:
    return min(values) == max(values)


def _figure(mean: float, means: npt.NDArray[np.float64], num: int, is_constant: bool, span: tuple[float, float] | None) -> Figure:
    low, high = (float(end) for end in np.percentile(means, TAILS))
    if is_constant and span is not None:
        width = wilson(0.0, num)[1]
        low, high = max(span[0], mean - width), min(span[1], mean + width)
    return Figure(round(mean, DIGITS), round(low, DIGITS), round(high, DIGITS), num)
