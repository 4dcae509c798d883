"""The next blend, with what it is expected to gain over the own one, and whether that is more than noise.

The blend that a fitted law likes best is liked partly by luck: its gain by that law is too high (the winner's curse). So the
bootstrap repeats the whole search: in draw b a law f plays the truth (the fitted one, or another that these runs do not rule
out), a law f_b is fitted to data made from it, and w_b is the blend that f_b likes best. The error of its promise,
e_b = [f_b(own) − f_b(w_b)] − [f(own) − f(w_b)], holds both luck and uncertainty. Expected is gain − median(e), the interval
gain − the upper to gain − the lower tail of e (Efron's basic bootstrap with his optimism, "Estimating the error rate of a
prediction rule", 1983), widened to hold the percentiles of f_b(own) − f_b(proposal) too: of two intervals that are right for many
runs, the outer ends are safer for few. A law that promises nothing proposes the own blend.
"""

from dataclasses import dataclass

import numpy as np

from slurm.mix.fit import Draw, Fit
from slurm.mix.laws import Law
from slurm.mix.limits import rounded
from slurm.mix.noise import Noise, noise_of, runs_to_tell
from slurm.mix.region import Region
from slurm.mix.sought import as_told

MOVE = 0.05  # share of the blend that goes to one source, to tell the source's effect


@dataclass(frozen=True)
class Effect:
    """What the objective, as people see it, changes by when MOVE of the own blend goes to `source`, from all others alike, with
    its interval."""

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
    noise, draws = objective_noise(fitted, importance), fitted.objectives(importance)
    law = fitted.objective(importance)
    blend = _liked(law, region, own)
    promised = _gain(law, own, blend)
    errors = [_error_of_promise(draw, region, own) for draw in draws]
    searched = promised - np.percentile(errors, fitted.tails)
    held = np.percentile([_gain(draw.fitted, own, blend) for draw in draws], fitted.tails)
    low, high = float(min(searched[1], held[0])), float(max(searched[0], held[1]))
    return Proposal(
        own,
        blend,
        gain=promised - float(np.median(errors)),
        low=low,
        high=high,
        promised=promised,
        noise=noise,
        effects=effects(fitted, own, as_told(importance)),
        remarks=_remarks(fitted, region, own, blend, noise, low),
        is_flat=all(target.is_noise for target in fitted.targets if target.name in importance),
    )


def _liked(law: Law, region: Region, own: np.ndarray) -> np.ndarray:
    best = rounded(region.lowest(law), region.limits)
    return own if _gain(law, own, best) <= 0.0 and region.limits.hold(own) else best


def _error_of_promise(draw: Draw, region: Region, own: np.ndarray) -> float:
    liked = _liked(draw.fitted, region, own)
    return _gain(draw.fitted, own, liked) - _gain(draw.truth, own, liked)


def _gain(law: Law, own: np.ndarray, blend: np.ndarray) -> float:
    before, after = law(np.stack([own, blend]))
    return float(before - after)


def effects(fitted: Fit, own: np.ndarray, importance: dict[str, float]) -> list[Effect]:
    moved = own + MOVE * (np.eye(len(own)) - own)
    points = np.vstack([own, moved])
    values = fitted.objective(importance)(points)
    drawn = [draw.fitted(points) for draw in fitted.objectives(importance)]
    low, high = np.percentile([row[1:] - row[0] for row in drawn], fitted.tails, axis=0)
    rows = zip(fitted.table.sources, values[1:] - values[0], low, high)
    return [Effect(source, float(change), float(a), float(b)) for source, change, a, b in rows]


def _remarks(fitted: Fit, region: Region, own: np.ndarray, blend: np.ndarray, noise: Noise, low: float) -> list[str]:
    """What a reader must know beside the verdict."""
    told = list(region.limits.binding(blend))
    unfinished = fitted.table.unfinished
    if unfinished:
        told.append(f"not finished and left out: {', '.join(unfinished)}")
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
