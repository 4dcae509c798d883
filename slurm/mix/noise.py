"""What a seed alone changes: the noise floor, below which no difference between two runs says anything of their blends."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Noise:
    """`deviation`: of one run, pooled over all blends that were run more than once: s² = Σ (n_b − 1) s_b² / Σ (n_b − 1).
    `share`: of the variance between runs. `chance`: of blends at least so far apart if all were equal (an F test).
    None where no blend was repeated."""

    deviation: float | None
    degrees: int
    share: float | None
    chance: float | None

    @property
    def floor(self) -> float | None:
        """The standard deviation of the difference of two runs of one blend."""
        return None if self.deviation is None else float(np.sqrt(2.0)) * self.deviation


def noise_of(figures: np.ndarray, blend_of_run: np.ndarray) -> Noise:
    """Of one target, `figures` (runs,)."""
    from scipy.stats import f as fisher

    sizes = np.bincount(blend_of_run)
    means = np.bincount(blend_of_run, weights=figures) / sizes
    degrees = int((sizes - 1).sum())
    if degrees == 0:
        return Noise(None, 0, None, None)
    within = float(((figures - means[blend_of_run]) ** 2).sum()) / degrees
    total = float(figures.var(ddof=1))
    between_degrees = len(sizes) - 1
    if between_degrees == 0 or total == 0.0:
        return Noise(within**0.5, degrees, 1.0, 1.0)
    between = float((sizes * (means - figures.mean()) ** 2).sum()) / between_degrees
    chance = float(fisher.sf(between / within, between_degrees, degrees)) if within > 0 else 0.0
    return Noise(within**0.5, degrees, min(1.0, within / total), chance)


def runs_to_tell(difference: float, deviation: float) -> int:
    """Seeds of each of two blends that show such a difference in 8 of 10 trials, tested at 5 %: n = 2 (1.96 + 0.84)² s² / d²."""
    return max(2, int(np.ceil(2 * (1.96 + 0.84) ** 2 * deviation**2 / difference**2)))
