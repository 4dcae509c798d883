"""95 % intervals of means over problems, by drawing problems anew (bootstrap). Samples of one problem are no independent
measurements: drawing answers instead would give intervals that are far too narrow.

Values that are all alike, or all but one, show too little of their spread. So for the lower end two problems that nobody asked
stand beside those that were asked, and came out as low as can be; for the upper end two as high as can be. The draws are the same
for as many problems, so a larger value raises every drawn mean: a worse model never gets the better interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 2_000
ROWS = 1 << 22  # numbers drawn at a time
UNSEEN = 2  # problems that nobody asked, for each end of an interval
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
    """`span`: what the values lie between; without one nothing is known of problems that nobody asked. None without values."""
    if not values:
        return None
    below, above = ([*values, *unseen] for unseen in _unseen(span))
    return _figure(float(np.mean(values)), _means(below, seed), _means(above, seed), len(values))


def difference(ours: Sequence[float], theirs: Sequence[float], seed: int) -> Figure | None:
    """Of two means of shares over different problems."""
    if not ours or not theirs:
        return None
    low, high = _unseen(SHARE)
    below = _means([*ours, *low], seed) - _means([*theirs, *high], seed + 1)
    above = _means([*ours, *high], seed) - _means([*theirs, *low], seed + 1)
    return _figure(float(np.mean(ours) - np.mean(theirs)), below, above, min(len(ours), len(theirs)))


def _unseen(span: tuple[float, float] | None) -> tuple[list[float], list[float]]:
    return ([], []) if span is None else ([span[0]] * UNSEEN, [span[1]] * UNSEEN)


def _means(values: Sequence[float], seed: int) -> npt.NDArray[np.float64]:
    """Of each draw of as many problems, with repeats."""
    given, rng = np.asarray(values, dtype=np.float64), np.random.default_rng(seed)
    step = max(1, ROWS // len(given))
    sizes = [min(step, DRAWS - start) for start in range(0, DRAWS, step)]
    return np.concatenate([given[rng.integers(0, len(given), (size, len(given)))].mean(axis=1) for size in sizes])


def _figure(mean: float, below: npt.NDArray[np.float64], above: npt.NDArray[np.float64], num: int) -> Figure:
    low, high = min(float(np.percentile(below, TAILS[0])), mean), max(float(np.percentile(above, TAILS[1])), mean)
    return Figure(round(mean, DIGITS), round(low, DIGITS), round(high, DIGITS), num)
