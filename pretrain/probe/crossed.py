"""95 % intervals of a mean over seeds and problems, which are crossed: every run answers the same problems.

Both are drawn anew, each by itself (Owen 2007, "The pigeonhole bootstrap", which is rather too wide than too narrow); of S seeds
S - 1 are drawn, for with S the spread of so few would come out too small (Rao and Wu 1988).
"""

import numpy as np
import numpy.typing as npt

from pretrain.readiness.intervals import DIGITS, DRAWS, SHARE, TAILS
from recipes.pass_at_k import wilson

Table = npt.NDArray[np.float64]  # (seeds, problems)


def interval(table: Table, seed: int, span: tuple[float, float] = SHARE) -> dict[str, float | int]:
    """`mean`, `low`, `high`, and over how many seeds and problems. Of one seed the interval is one over problems alone.

    `span`: what values lie between. Equal ones have no spread to draw from: as many others are allowed for as Wilson does."""
    seeds, problems = table.shape
    rng = np.random.default_rng(seed)
    drawn_seeds = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), DRAWS) / max(1, seeds - 1)
    drawn_problems = rng.multinomial(problems, np.full(problems, 1 / problems), DRAWS) / problems
    means = np.einsum("ds,sp,dp->d", drawn_seeds, table, drawn_problems, optimize=True)
    mean, (low, high) = float(table.mean()), (float(end) for end in np.percentile(means, TAILS))
    if table.min() == table.max():
        width = wilson(0.0, problems)[1]
        low, high = max(span[0], mean - width), min(span[1], mean + width)
    figures = {"mean": mean, "low": low, "high": high}
    return {name: round(figure, DIGITS) + 0.0 for name, figure in figures.items()} | {"seeds": seeds, "problems": problems}
