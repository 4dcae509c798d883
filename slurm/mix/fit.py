"""Laws compared by cross-validation, the best one kept, and how sure it is by the bootstrap.

Folds are of blends, not of runs: repeats of a blend never stand on both sides. All laws are compared on the same folds. The
bootstrap draws residuals of predictions out of fold, which hold what the law misses as well as what seeds change, and draws whole
runs, so that targets that rise together stay together. Each draw chooses its law again: the one that is best out of fold on the
runs that were drawn, so that laws between which these runs do not decide share the draws (Buckland, Burnham and Augustin, "Model
selection: an integral part of inference", 1997).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slurm.mix.laws import LAWS, Law
from slurm.mix.noise import Noise, noise_of
from slurm.mix.table import Table

FOLDS, TIMES = 5, 2
REPLICATES = 200
OUTSIDE = 0.05  # of an interval: it is of 95 %
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
    """One target: `scores` of the laws that were compared, the laws themselves and their (runs,) predictions out of fold by name,
    and which was chosen."""

    name: str
    values: np.ndarray
    law_name: str
    laws: dict[str, Law]
    scores: list[Score]
    predicted: dict[str, np.ndarray]
    noise: Noise

    @property
    def law(self) -> Law:
        return self.laws[self.law_name]

    @property
    def out_of_fold(self) -> np.ndarray:
        return self.predicted[self.law_name]

    @property
    def score(self) -> Score:
        return next(score for score in self.scores if score.law == self.law_name)

    @property
    def is_noise(self) -> bool:
        """Nothing tells that the blend matters: repeats differ as much as blends do, and no law predicts an unseen blend."""
        return (self.noise.chance is None or self.noise.chance > CERTAIN) and self.score.chance > CERTAIN

    def best_of(self, rows: np.ndarray) -> str:
        """The law with the lowest error out of fold on these runs."""
        return min(self.laws, key=lambda kind: float(((self.values - self.predicted[kind])[rows] ** 2).mean()))

    def drawn(self, shares: np.ndarray, rows: np.ndarray) -> "Draw":
        kind = self.best_of(rows)
        truth, away = self.laws[kind], self.values - self.predicted[kind]
        return Draw(truth, LAWS[kind](shares, truth(shares) + (away - away.mean())[rows], truth))


@dataclass(frozen=True)
class Draw:
    """Of the bootstrap: a law that plays the truth, and the law of its kind that is fitted to runs made from it."""

    truth: Law
    fitted: Law


@dataclass(frozen=True)
class Fit:
    """`draws`: for each draw of the bootstrap one a target, in the order of `targets`."""

    table: Table
    targets: list[TargetFit]
    draws: list[list[Draw]]

    def objective(self, importance: dict[str, float]) -> Law:
        """The weighted sum of targets that is to become low."""
        return self._sum(importance, [target.law for target in self.targets])

    def objectives(self, importance: dict[str, float]) -> list[Draw]:
        """The same of each draw."""
        return [
            Draw(self._sum(importance, [one.truth for one in draw]), self._sum(importance, [one.fitted for one in draw]))
            for draw in self.draws
        ]

    def _sum(self, importance: dict[str, float], laws: Sequence[Law]) -> Law:
        weighed = [(importance[target.name], law) for target, law in zip(self.targets, laws) if target.name in importance]
        return lambda shares: np.sum([weight * law(shares) for weight, law in weighed], axis=0)

    @property
    def tails(self) -> tuple[float, float]:
        """The percentiles that are the ends of a 95 % interval. With few runs the bootstrap's are too near to each other, as a
        normal interval is to Student's: they are taken √(n / (n − 1)) t of n − 1 degrees apart (Hesterberg, "What teachers should
        know about the bootstrap", 2015); for 24 runs 1.7 and 98.3."""
        from scipy.stats import norm, t

        runs = len(self.table.names)
        end = 100.0 * float(norm.cdf((runs / (runs - 1)) ** 0.5 * t.ppf(OUTSIDE / 2, runs - 1)))
        return end, 100.0 - end

    def interval(self, importance: dict[str, float], shares: np.ndarray) -> np.ndarray:
        """(2, blends) the ends of 95 % intervals of the objective at these blends."""
        ends: np.ndarray = np.percentile([draw.fitted(shares) for draw in self.objectives(importance)], self.tails, axis=0)
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
    draws = []
    for _ in range(replicates):
        rows = random.integers(len(blends), size=len(blends))
        draws.append([target.drawn(table.shares, rows) for target in fitted])
    return Fit(table, fitted, draws)


def _fit_target(table: Table, name: str, law: str, folds: Sequence[np.ndarray], blends: np.ndarray) -> TargetFit:
    values = table.targets[name]
    compared = list(LAWS) if law == "best" else [law]
    predicted = {kind: _out_of_fold(kind, table.shares, values, folds) for kind in compared}
    scores = [_score(kind, values, predicted[kind]) for kind in compared]
    best = min(scores, key=lambda score: score.error).law
    laws = {kind: LAWS[kind](table.shares, values, None) for kind in compared}
    return TargetFit(name, values, best, laws, scores, predicted, noise_of(values, blends))


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
