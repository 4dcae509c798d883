"""95 % intervals of a mean over seeds and problems, which are crossed: every run answers the same problems.

Both are drawn anew, each by itself (Owen 2007, "The pigeonhole bootstrap", which is rather too wide than too narrow); of S seeds
S - 1 are drawn, for with S the spread of so few would come out too small (Rao and Wu 1988).
"""

import numpy as np
import numpy.typing as npt

from pretrain.intervals import DIGITS, DRAWS, SHARE, TAILS, UNSEEN

Table = npt.NDArray[np.float64]  # (seeds, problems)


def interval(table: Table, seed: int, span: tuple[float, float] = SHARE) -> dict[str, float | int]:
    """`mean`, `low`, `high`, and over how many seeds and problems. Of one seed the interval is one over problems alone.

    `span`: what values lie between; for each end of the interval problems that nobody asked stand at that end of it, as in
    pretrain/intervals.py."""
    (seeds, problems), mean = table.shape, float(table.mean())
    rng, columns = np.random.default_rng(seed), problems + UNSEEN
    drawn_seeds = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), DRAWS) / max(1, seeds - 1)
    drawn_problems = rng.multinomial(columns, np.full(columns, 1 / columns), DRAWS) / columns

    def tail(end: float, percent: float) -> float:
        known = np.hstack([table, np.full((seeds, UNSEEN), end)])
        means = np.einsum("ds,sp,dp->d", drawn_seeds, known, drawn_problems, optimize=True)
        return float(np.percentile(means, percent))

    low, high = (tail(end, percent) for end, percent in zip(span, TAILS, strict=True))
    figures = {"mean": mean, "low": min(low, mean), "high": max(high, mean)}
    return {name: round(figure, DIGITS) + 0.0 for name, figure in figures.items()} | {"seeds": seeds, "problems": problems}
