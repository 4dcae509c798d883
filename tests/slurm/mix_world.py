"""Tables of runs of three sources, made from a law that is known, with noise that is known."""

import numpy as np

from slurm.mix import coverage
from slurm.mix.coverage import Truth
from slurm.mix.table import Table

SOURCES = ["web", "qa", "cot"]
OWN = np.array([0.6, 0.25, 0.15])


def mixing_law(shares: np.ndarray) -> dict[str, np.ndarray]:
    """Two domains, each of which wants a source of its own: the best mean lies between (Ye et al.'s form)."""
    return {
        "prose": 2.0 + 0.5 * np.exp(-shares @ np.array([2.5, 0.3, 0.2])),
        "reasoning": 2.5 + 0.6 * np.exp(-shares @ np.array([0.2, 1.0, 3.0])),
    }


def runs(truth: Truth, *, noise: float, seed: int, blends: int = 18, repeats: int = 4) -> Table:
    return coverage.runs(truth, noise=noise, seed=seed, sources=SOURCES, own=OWN, blends=blends, repeats=repeats)
