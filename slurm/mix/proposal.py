"""The next blend, with what it is expected to gain over the own one, and whether that is more than noise.

The blend that a fitted law likes best is liked partly by luck: its gain by that law is too high (the winner's curse). So the
bootstrap repeats the whole search: in draw b the fitted law f plays the truth, a law f_b is fitted to data made from it, and
w_b is the blend that f_b likes best. The error of its promise, e_b = [f_b(own) − f_b(w_b)] − [f(own) − f(w_b)], holds both luck
and uncertainty. Expected is gain − median(e), the interval gain − the 97.5th to gain − the 2.5th percentile of e (Efron's basic
bootstrap with his optimism, "Estimating the error rate of a prediction rule", 1983), widened to hold the percentiles of
f_b(own) − f_b(proposal) too: of two intervals that are right for many runs, the outer ends are safer for few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slurm.mix.fit import TAILS, Fit
from slurm.mix.laws import Law
from slurm.mix.limits import rounded
from slurm.mix.noise import Noise, noise_of, runs_to_tell
from slurm.mix.region import Region

MOVE = 0.05  # share of the blend that goes to one source, to tell the source's effect


@dataclass(frozen=True)
class Effect:
    """What the objective changes by when MOVE of the own blend goes to `source`, from all others alike, with its interval."""

    source: str
    change: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        return self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class Proposal:
    """`gain`: how much lower the objective becomes, expected, with its 95 % interval; `promised` by the law alone. `is_flat`:
    every target is noise by itself."""

    own: np.ndarray
    blend: np.ndarray
    gain: float
    low: float
    high: float
    promised: float
    noise: Noise
    effects: list[Effect]
    remarks: list[str]
    is_flat: bool = False

    @property
    def why_noise(self) -> str | None:
        """None for a gain."""
        if self.is_flat:
            return "no law predicts a blend that it has not seen"
        if self.low <= 0.0:
            return "its interval includes 0"
        if self.noise.floor is not None and self.gain < self.noise.floor:
            return f"two runs of one blend differ by {self.noise.floor:.4g} (one standard deviation) by their seeds alone"
        return None

    @property
    def verdict(self) -> str:
        return "gain" if self.why_noise is None else "noise"


def objective_noise(fitted: Fit, importance: dict[str, float]) -> Noise:
    """Of the weighted sum itself, run by run: what targets share is in it."""
    figures = np.sum([importance[target.name] * target.values for target in fitted.targets if target.name in importance], axis=0)
    return noise_of(figures, fitted.table.blend_of_run)


def propose(fitted: Fit, region: Region, own: np.ndarray, importance: dict[str, float]) -> Proposal:
    """The best blend of the region for the weighted sum of targets, against `own` (sources,)."""
    law, noise = fitted.objective(importance), objective_noise(fitted, importance)
    blend = rounded(region.lowest(law), region.limits)
    promised = _gain(law, own, blend)
    errors = [_error_of_promise(fitted, region, own, importance, i) for i in range(len(fitted.replicates))]
    searched = promised - np.percentile(errors, TAILS)
    held = np.percentile([_gain(fitted.objective(importance, i), own, blend) for i in range(len(errors))], TAILS)
    low, high = float(min(searched[1], held[0])), float(max(searched[0], held[1]))
    return Proposal(
        own,
        blend,
        gain=promised - float(np.median(errors)),
        low=low,
        high=high,
        promised=promised,
        noise=noise,
        effects=effects(fitted, own, importance),
        remarks=_remarks(fitted, region, own, blend, noise, low),
        is_flat=all(target.is_noise for target in fitted.targets if target.name in importance),
    )


def _error_of_promise(fitted: Fit, region: Region, own: np.ndarray, importance: dict[str, float], replicate: int) -> float:
    drawn = fitted.objective(importance, replicate)
    liked = region.lowest(drawn)
    return _gain(drawn, own, liked) - _gain(fitted.objective(importance), own, liked)


def _gain(law: Law, own: np.ndarray, blend: np.ndarray) -> float:
    before, after = law(np.stack([own, blend]))
    return float(before - after)


def effects(fitted: Fit, own: np.ndarray, importance: dict[str, float]) -> list[Effect]:
    moved = own + MOVE * (np.eye(len(own)) - own)
    points = np.vstack([own, moved])
    values = fitted.objective(importance)(points)
    drawn = [fitted.objective(importance, i)(points) for i in range(len(fitted.replicates))]
    low, high = np.percentile([row[1:] - row[0] for row in drawn], TAILS, axis=0)
    rows = zip(fitted.table.sources, values[1:] - values[0], low, high)
    return [Effect(source, float(change), float(a), float(b)) for source, change, a, b in rows]


def _remarks(fitted: Fit, region: Region, own: np.ndarray, blend: np.ndarray, noise: Noise, low: float) -> list[str]:
    """What a reader must know beside the verdict."""
    told = list(region.limits.binding(blend))
    if low > 0.0 and region.is_border(blend):
        told.append("the proposal is at the border of what the runs cover: the best blend may lie beyond; sample around it")
    if not region.has(own):
        told.append("the own blend is outside what the runs cover: its figure is extrapolated")
    if noise.deviation is None:
        told.append(
            "no blend was run twice: what a seed changes is unknown, and the interval has it only as far as the law misses it"
        )
    elif low > 0.0:
        number = runs_to_tell(low, noise.deviation)
        told.append(f"to see the low end of the interval in runs: {number} seeds of each of the two blends")
    flat = [target.name for target in fitted.targets if target.law_name == "constant"]
    if flat:
        told.append(f"no law predicts {', '.join(flat)} better than its mean")
    return told


def importances(given: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """NAME or NAME=WEIGHT; a negative weight where higher is better. Nothing given: the mean of all targets."""
    if not given:
        return {name: 1.0 / len(targets) for name in targets}
    chosen: dict[str, float] = {}
    for text in given:
        name, _, weight = text.rpartition("=") if "=" in text else (text, "", "1")
        try:
            chosen[name] = float(weight)
        except ValueError:
            raise ValueError(f"--target {text}: {weight!r} is no number; write it as NAME or NAME=WEIGHT") from None
        if name not in targets:
            raise ValueError(f"--target {text}: the runs have no {name!r}; they have {', '.join(targets)}")
    return chosen
