"""Tables of runs made from laws that are known, with noise that is known."""

from collections.abc import Callable

import numpy as np

from slurm.mix.table import Table

SOURCES = ["web", "qa", "cot"]
OWN = np.array([0.6, 0.25, 0.15])
Truth = Callable[[np.ndarray], dict[str, np.ndarray]]


def mixing_law(shares: np.ndarray) -> dict[str, np.ndarray]:
    """Two domains, each of which wants a source of its own: the best mean lies between (Ye et al.'s form)."""
    return {
        "prose": 2.0 + 0.5 * np.exp(-shares @ np.array([2.5, 0.3, 0.2])),
        "reasoning": 2.5 + 0.6 * np.exp(-shares @ np.array([0.2, 1.0, 3.0])),
    }


def nothing(shares: np.ndarray) -> dict[str, np.ndarray]:
    return {"prose": np.full(len(shares), 2.1), "reasoning": np.full(len(shares), 2.9)}


def mean(truth: Truth, shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.mean(list(truth(shares).values()), axis=0))


def runs(truth: Truth, *, noise: float, seed: int, blends: int = 18, repeats: int = 4) -> Table:
    """The own blend `repeats` times and `blends` drawn around it; `noise` is the standard deviation of one run."""
    random = np.random.default_rng(seed)
    shares = np.vstack([np.tile(OWN, (repeats, 1)), random.dirichlet(15 * OWN, blends)])
    targets = {name: values + noise * random.normal(size=len(shares)) for name, values in truth(shares).items()}
    return Table([f"run {i}" for i in range(len(shares))], SOURCES, shares, targets)
