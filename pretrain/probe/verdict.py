"""What runs of a probe tell of a checkpoint: whether it learned from its right answers, and whether it collapsed.

Learned: on problems it never trained on, and paired by them and by seeds, it is better than its own control, which had the same
rollouts to begin with and a coin for a reward, and not shown to be worse than before. Some models get better by any reward
(Spurious Rewards, arXiv 2506.10947): to be better than before is not enough. A coin can ruin a model: nor is it enough to be
better than a control that fell, and one that broke compares nothing.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from pretrain.intervals import DIFFERENCE
from pretrain.probe import crossed
from recipes.pass_at_k import wilson
from recipes.schema.probe import Collapse

Verdict = Literal[
    "learned",
    "fell less than its control",
    "worse than its control",
    "no difference shown",
    "the control broke",
    "too little asked",
]
MIN_SEEDS, MIN_PROBLEMS = 2, 20  # for less, an interval says more than was seen
WINDOWS = 5  # first and last: a fifth of the steps
FIGURES = ("right", "length", "truncated", "entropy", "no_gradient", "groups_all_right", "groups_all_wrong")
MORE_TRUNCATED = 0.2  # of all answers, than at first


def of_differences(to_control: Mapping[str, Any], to_before: Mapping[str, Any], *, control_broke: bool) -> Verdict:
    """The first two: intervals of what it is better by."""
    if control_broke:
        return "the control broke"
    if to_control["seeds"] < MIN_SEEDS or to_control["problems"] < MIN_PROBLEMS:
        return "too little asked"
    if to_control["low"] > 0:
        return "fell less than its control" if to_before["high"] < 0 else "learned"
    return "worse than its control" if to_control["high"] < 0 else "no difference shown"


def collapses(curve: Sequence[Mapping[str, Any]], limits: Collapse) -> dict[str, str]:
    """By name: what became of the figure. Empty for a run that is well."""
    if not curve or any(row[name] is None for row in curve for name in ("loss", "grad_norm")):
        return {"diverged": "its gradient is no number any more"}
    first, *_, last = windows = _windows(curve)
    found = {}
    best = max(windows, key=lambda window: window["right"])
    if last["right"] < limits.kept_right * best["right"] and _is_below(last, best):
        found["right_dropped"] = _told(best, last, "right")
    if last["length"] > limits.longer * first["length"]:
        found["length_spike"] = _told(first, last, "length")
    if last["length"] < limits.shorter * first["length"]:
        found["length_shrink"] = _told(first, last, "length")
    if last["truncated"] >= limits.truncated and last["truncated"] >= first["truncated"] + MORE_TRUNCATED:
        found["truncated"] = _told(first, last, "truncated")
    if last["entropy"] < limits.kept_entropy * first["entropy"]:
        found["entropy_collapse"] = _told(first, last, "entropy")
    if last["no_gradient"] >= limits.no_gradient and last["groups_all_wrong"] > last["groups_all_right"]:
        found["no_gradient"] = _told(first, last, "no_gradient")
    return found


def _windows(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Means of fifths, or of single steps where there are fewer than five. Two at least: a lone step is first and last."""
    number = min(WINDOWS, len(curve))
    ends = [len(curve) * at // number for at in range(number + 1)]
    parts = [curve[start:end] for start, end in pairwise(ends)]
    made = [
        {name: float(np.mean([row[name] for row in part])) for name in FIGURES}
        | {"rollouts": float(sum(row["rollouts"] for row in part))}
        for part in parts
    ]
    return made if number > 1 else made * 2


def _is_below(last: Mapping[str, float], best: Mapping[str, float]) -> bool:
    """Beyond chance: the intervals of both shares stand apart."""
    return wilson(last["right"], round(last["rollouts"]))[1] < wilson(best["right"], round(best["rollouts"]))[0]


def _told(before: Mapping[str, float], after: Mapping[str, float], name: str) -> str:
    return f"{before[name]:.3g} to {after[name]:.3g}"


def difference(ours: crossed.Table, theirs: crossed.Table, seed: int) -> dict[str, Any]:
    """How much better, over seeds and problems in pairs."""
    return dict(crossed.interval(ours - theirs, seed, DIFFERENCE))
