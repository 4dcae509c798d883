"""Laws compared by cross-validation, the best one kept, and how sure it is by the bootstrap.

Folds are of blends, not of runs: repeats of a blend never stand on both sides. All laws are compared on the same folds. The
bootstrap draws residuals of predictions out of fold, which hold what the law misses as well as what seeds change, and draws whole
runs, so that targets that rise together stay together. What it leaves out: that another law might have been chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slurm.mix.laws import LAWS, Law
from slurm.mix.noise import Noise, noise_of
from slurm.mix.table import Table

FOLDS, TIMES = 5, 4
REPLICATES = 200
TAILS = (2.5, 97.5)  # percentiles of an interval: 95 %
CERTAIN = 0.05  # what has a lower probability is no chance


@dataclass(frozen=True)
class Score:
    """Of predictions out of fold: root mean squared error, share of variance explained, Spearman's rank correlation, and the
    chance of one so high where there is no law."""

    law: str
    error: float
    explained: float
    rank: float
    chance: float


@dataclass(frozen=True)
class TargetFit:
    """One target: its law, the scores of all laws that were compared, and (runs,) predictions out of fold."""

    name: str
    values: np.ndarray
    law_name: str
    law: Law
    scores: list[Score]
    out_of_fold: np.ndarray
    noise: Noise

    @property
    def score(self) -> Score:
        return next(score for score in self.scores if score.law == self.law_name)

    @property
    def is_noise(self) -> bool:
        """Nothing tells that the blend matters: repeats differ as much as blends do, and no law predicts an unseen blend."""
        return (self.noise.chance is None or self.noise.chance > CERTAIN) and self.score.chance > CERTAIN

    @property
    def residuals(self) -> np.ndarray:
        away = self.values - self.out_of_fold
        centred: np.ndarray = away - away.mean()
        return centred


@dataclass(frozen=True)
class Fit:
    """`replicates`: for each draw of the bootstrap a law a target, in the order of `targets`."""

    table: Table
    targets: list[TargetFit]
    replicates: list[list[Law]]

    def objective(self, importance: dict[str, float], replicate: int | None = None) -> Law:
        """The weighted sum of targets that is to become low; of one draw of the bootstrap, or of the fit itself."""
        laws = [target.law for target in self.targets] if replicate is None else self.replicates[replicate]
        weighed = [(importance[target.name], law) for target, law in zip(self.targets, laws) if target.name in importance]
        return lambda shares: np.sum([weight * law(shares) for weight, law in weighed], axis=0)

    def interval(self, importance: dict[str, float], shares: np.ndarray) -> np.ndarray:
        """(2, blends) the ends of 95 % intervals of the objective at these blends."""
        drawn = [self.objective(importance, i)(shares) for i in range(len(self.replicates))]
        ends: np.ndarray = np.percentile(drawn, TAILS, axis=0)
        return ends


def fit(table: Table, targets: Sequence[str], *, law: str = "best", replicates: int = REPLICATES, seed: int = 0) -> Fit:
    """Fits every target. `law`: one of LAWS, or "best" by cross-validation of each target."""
    blends = table.blend_of_run
    needed = len(table.sources) + 3  # the log-linear law has a number a source and one more
    if blends.max() + 1 < needed:
        raise ValueError(
            f"{blends.max() + 1} distinct blends of {len(table.sources)} sources: a law needs at least {needed}; run more of them"
        )
    random = np.random.default_rng(seed)
    folds = _folds(blends, random)
    fitted = [_fit_target(table, name, law, folds, blends) for name in targets]
    drawn = []
    for _ in range(replicates):
        rows = random.integers(len(blends), size=len(blends))
        drawn.append([_refitted(table, target, rows) for target in fitted])
    return Fit(table, fitted, drawn)


def _refitted(table: Table, target: TargetFit, rows: np.ndarray) -> Law:
    values = target.law(table.shares) + target.residuals[rows]
    return LAWS[target.law_name](table.shares, values, target.law)


def _fit_target(table: Table, name: str, law: str, folds: Sequence[np.ndarray], blends: np.ndarray) -> TargetFit:
    values = table.targets[name]
    compared = list(LAWS) if law == "best" else [law]
    predicted = {kind: _out_of_fold(kind, table.shares, values, folds) for kind in compared}
    scores = [_score(kind, values, predicted[kind]) for kind in compared]
    best = min(scores, key=lambda score: score.error).law
    whole = LAWS[best](table.shares, values, None)
    return TargetFit(name, values, best, whole, scores, predicted[best], noise_of(values, blends))


def _folds(blends: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Masks of the runs left out; every TIMES of them leave each run out once."""
    folds = []
    number = int(blends.max()) + 1
    for _ in range(TIMES):
        fold_of_blend = random.permutation(number) % min(FOLDS, number)
        folds += [fold_of_blend[blends] == fold for fold in range(min(FOLDS, number))]
    return folds


def _out_of_fold(kind: str, shares: np.ndarray, values: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """(runs,) what a law that has not seen a run's blend says of it: the mean over repeats."""
    total = np.zeros(len(values))
    for left_out in folds:
        total[left_out] += LAWS[kind](shares[~left_out], values[~left_out], None)(shares[left_out])
    return total / TIMES


def _score(kind: str, values: np.ndarray, predicted: np.ndarray) -> Score:
    from scipy.stats import spearmanr

    away = values - predicted
    variance = float(values.var())
    is_flat = min(np.ptp(values), np.ptp(predicted)) == 0
    rank, chance = (0.0, 1.0) if is_flat else spearmanr(values, predicted, alternative="greater")
    return Score(
        kind,
        error=float((away**2).mean() ** 0.5),
        explained=1.0 - float((away**2).mean()) / variance if variance > 0 else 0.0,
        rank=float(rank),
        chance=float(chance),
    )
