"""What came of a sweep, from the manifests of its points' ends: a row a point and end, a cell a metric.

Repeats of a point (other seeds) are one row: their mean and standard deviation. Where anything is repeated, the pooled standard
deviation s of all rows says what chance does: a difference to the control is called clear beyond twice its standard error,
2 s sqrt(1/n + 1/m) (two-sided test at about 5 %, many repeats supposed). Without repeats nothing is called clear.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recipes.manifest import read_summary
from recipes.schema import Metric, TrainRecipe
from recipes.stage import Stage
from slurm.plan import state
from slurm.sweep.plan import PlannedPoint, SweepPlan

LOWER: dict[str, bool | None] = {"validation": True, "bits_per_byte": True, "loss": True, "documents": None, "tokens": None}
DEFAULT: dict[bool, list[Metric]] = {True: ["validation"], False: ["documents", "tokens"]}  # of a train page, of a curate page
OF_DATASETS = ("documents", "tokens")
CLEAR = 2.0  # standard errors


@dataclass
class Row:
    """Of one point, without its seed, and one end. `values`: of each metric those of the finished repeats."""

    point: str
    end: str
    swept: dict[str, str]
    states: list[str] = field(default_factory=list)  # of the end, a repeat each
    values: dict[str, list[float]] = field(default_factory=dict)


def describe_results(planned: SweepPlan) -> dict[str, Any]:
    """The whole table as plain figures: what --json prints, and tables and pages are drawn from."""
    rows = read_rows(planned)
    metrics = list(dict.fromkeys(name for row in rows for name in row.values))
    control = planned.sweep.control or planned.points[0].point.group
    noise = {name: _pooled_spread([row.values.get(name, []) for row in rows]) for name in metrics}
    best = {name: _best(rows, name) for name in metrics}
    axes = list(dict.fromkeys(axis for row in rows for axis in row.swept))
    described = []
    for row in rows:
        against = _control_of(row, rows, control)
        cells = {name: _cell(row, against, name, noise[name], best[name]) for name in metrics if row.values.get(name)}
        described.append(
            {
                "point": row.point,
                "end": row.end,
                "swept": row.swept,
                "states": dict(Counter(row.states)),
                "repeats": len(row.states),
                "is_control": row.point == control,
                "cells": cells,
            }
        )
    return {
        "axes": axes,
        "control": control,
        "metrics": [{"name": name, "is_lower_better": LOWER[name.split()[0]], "noise": noise[name]} for name in metrics],
        "rows": described,
    }


def read_rows(planned: SweepPlan) -> list[Row]:
    rows: dict[tuple[str, str], Row] = {}
    shared = shared_by_all(planned.points)
    has_one_end = all(len(one.ends) == 1 for one in planned.points)
    for one in planned.points:
        for end, stage in one.ends.items():
            name = "" if has_one_end else end
            row = rows.setdefault((one.point.group, name), Row(one.point.group, name, one.point.values))
            row.states.append(state(stage))
            for metric, value in metrics_of(planned, one, stage, shared).items():
                row.values.setdefault(metric, []).append(value)
    return list(rows.values())


def metrics_of(planned: SweepPlan, one: PlannedPoint, end: Stage, shared: set[str]) -> dict[str, float]:
    """Of one point and end what is finished, by name: `validation web`, `tokens demo_web`."""
    is_model = isinstance(one.plan.recipe, TrainRecipe)
    found: dict[str, float] = {}
    for metric in planned.sweep.metrics or DEFAULT[is_model]:
        if metric in OF_DATASETS:
            found |= _of_datasets(metric, one, shared) if is_model else _of_dataset(metric, end)
        elif is_model and end.is_finished:
            found |= _of_model(metric, end)
    return found


def _of_model(metric: str, end: Stage) -> dict[str, float]:
    details = read_summary(end.folder)["details"]
    if metric == "loss":
        return {metric: details["loss"]["last"]} if metric in details else {}  # an average has none
    return {f"{metric} {name}": value for name, value in details.get(metric, {}).items()}


def _of_dataset(metric: str, end: Stage) -> dict[str, float]:
    counts = read_summary(end.folder)["counts"] if end.is_finished else {}
    count = counts.get(metric, counts.get(f"{metric}_out"))
    if count is None:
        return {}
    return {metric: float(sum(count.values()) if isinstance(count, dict) else count)}  # a dict is by split


def _of_datasets(metric: str, one: PlannedPoint, shared: set[str]) -> dict[str, float]:
    """Of those that are not the same at all points."""
    swept = [stage for stage in one.work if stage.do == "tokenize" and str(stage.folder) not in shared]
    return {f"{name} {s.page.removeprefix('curate/')}": n for s in swept for name, n in _of_dataset(metric, s).items()}


def shared_by_all(points: Sequence[PlannedPoint]) -> set[str]:
    folders = [{str(stage.folder) for stage in one.work} for one in points]
    return set.intersection(*folders) if len(folders) > 1 else set()


def _control_of(row: Row, rows: Sequence[Row], control: str) -> Row | None:
    """The control's row of the same end, or its only one; None for itself."""
    own = [other for other in rows if other.point == control]
    same = [other for other in own if other.end == row.end]
    found = same[0] if same else own[0] if len(own) == 1 else None
    return None if found is row else found


def _cell(row: Row, against: Row | None, name: str, noise: float | None, best: float | None) -> dict[str, Any]:
    values = row.values[name]
    cell: dict[str, Any] = {"values": values, "mean": _mean(values), "spread": _spread(values), "is_best": _mean(values) == best}
    other = against.values.get(name) if against else None
    if other:
        cell["difference"] = cell["mean"] - _mean(other)
        error = None if noise is None else noise * math.sqrt(1 / len(values) + 1 / len(other))
        cell["is_clear"] = None if error is None else abs(cell["difference"]) > CLEAR * error
    return cell


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float | None:
    """The standard deviation of the repeats; None for fewer than two."""
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _pooled_spread(groups: Sequence[Sequence[float]]) -> float | None:
    """sqrt(sum (n - 1) s^2 / sum (n - 1)) over the rows that have repeats; None where none has."""
    repeated = [values for values in groups if len(values) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    return math.sqrt(math.fsum((len(values) - 1) * (_spread(values) or 0.0) ** 2 for values in repeated) / freedom)


def _best(rows: Sequence[Row], name: str) -> float | None:
    """None where less is neither better nor worse, and where there is nothing to compare."""
    lower, means = LOWER[name.split()[0]], [_mean(row.values[name]) for row in rows if row.values.get(name)]
    if lower is None or len(means) < 2:
        return None
    return min(means) if lower else max(means)
