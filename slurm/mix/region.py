"""Where a law may be believed: between the blends that were run, and within the limits of sources.

Between means in their convex hull: every blend here is a weighted mean of blends that were run, so that a law is never asked
about shares beyond all samples.
"""

from dataclasses import dataclass

import numpy as np

from slurm.mix.laws import Law
from slurm.mix.limits import Limits
from slurm.mix.table import DIGITS, Table

POINTS = 2000
STEPS = 40
LENGTHS = 0.5 ** np.arange(9)  # of a step towards a blend that was run
FURTHER = 1.02  # a blend that cannot be left outwards by 2 % of its way from the middle is at the border


@dataclass(frozen=True)
class Region:
    """`run` (blends, sources) are the corners, `points` many blends between them that are within limits."""

    run: np.ndarray
    points: np.ndarray
    limits: Limits

    def lowest(self, law: Law) -> np.ndarray:
        """(sources,) the blend of the lowest value: the best point, then steps towards blends that were run, which stay inside
        (Frank and Wolfe's, without a gradient: trees have none)."""
        values = law(self.points)
        best = self.points[int(np.argmin(values))]
        value = float(values.min())
        for _ in range(STEPS):
            ahead = (best + LENGTHS[:, None, None] * (self.run - best)).reshape(-1, len(best))
            ahead = ahead[self.limits.hold(ahead)]
            values = law(ahead) if len(ahead) else np.array([np.inf])
            if values.min() >= value - 1e-9 * max(1.0, abs(value)):
                break
            best, value = ahead[int(np.argmin(values))], float(values.min())
        return np.asarray(best)

    def has(self, blend: np.ndarray) -> bool:
        return self._reach(blend) >= 1.0 - 1e-6

    def is_border(self, blend: np.ndarray) -> bool:
        """Whether samples end there, so that the law may well go on to fall beyond."""
        return self._reach(blend) < FURTHER

    def _reach(self, blend: np.ndarray) -> float:
        """How far the hull goes in the direction of a blend, seen from the middle of what was run: 1 is the blend itself. A
        linear program: the largest t for which middle + t · (blend − middle) is a weighted mean of blends that were run."""
        from scipy.optimize import linprog

        middle = self.run.mean(axis=0)
        if np.allclose(blend, middle):
            return float("inf")
        along = np.vstack([self.run.T, np.ones(len(self.run))])
        way = np.append(middle - blend, 0.0)[:, None]
        answer = linprog(
            np.append(np.zeros(len(self.run)), -1.0),
            A_eq=np.hstack([along, way]),
            b_eq=np.append(middle, 1.0),
            bounds=[(0, None)] * (len(self.run) + 1),
        )
        return float(answer.x[-1]) if answer.success else 0.0


def region(table: Table, limits: Limits, *, seed: int = 0) -> Region:
    """ValueError where no blend between those that were run is within the limits."""
    random = np.random.default_rng(seed)
    run = np.unique(table.shares.round(DIGITS), axis=0)
    mixed = np.zeros((POINTS, len(run)))
    for row in mixed:  # of few blends, else all points would lie in the middle
        chosen = random.choice(len(run), size=min(len(run), 2 + int(random.integers(3))), replace=False)
        row[chosen] = random.dirichlet(np.ones(len(chosen)))
    points = np.vstack([run, mixed @ run])
    within = points[limits.hold(points)]
    if len(within) == 0:
        told = "; ".join(limits.broken_by(run.mean(axis=0))) or "limits together leave nothing"
        raise ValueError(
            f"no blend between those that were run is within the limits: in their middle {told}; sample within the limits"
        )
    return Region(run, within, limits)
