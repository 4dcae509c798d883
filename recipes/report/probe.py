"""RL probes: what each checkpoint became by GRPO beside its control, checkpoints beside each other, and all curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.figures import clean, is_number, words
from recipes.report.proven import checkpoint_of
from recipes.report.record import Record
from recipes.report.spread import Band, spread_svg
from recipes.score_interval import Interval

ARMS = {"answer": "rewarded for right answers", "random": "control: rewarded at random"}
CURVE = "steps.jsonl"
FIGURES = {  # of a step: its name on the page, and the axis
    "right": ("Right answers while training", "share"),
    "reward": ("Reward, as it was told", "mean"),
    "length": ("Length of answers", "tokens"),
    "truncated": ("Answers cut off", "share"),
    "no_gradient": ("Groups without gradient", "share"),
    "entropy": ("Entropy", "nats per token"),
}
SHARES = ("before", "after", "control")
DIFFERENCES = ("against_control", "against_before")


@dataclass(frozen=True)
class Row:
    """Of a checkpoint. `collapses`: what became of its runs, in words."""

    name: str
    colour: int
    verdict: str
    shares: list[Interval | None]
    differences: list[Interval | None]
    seeds: Any
    problems: Any
    collapses: list[str]


@dataclass(frozen=True)
class Pair:
    """`better`: the checkpoint that is better after RL beyond chance, if one is."""

    names: str
    before: Interval | None
    after: Interval | None
    better: str
    order_changes: bool


@dataclass(frozen=True)
class Figure:
    """A plot an arm, on the same axes."""

    title: str
    plots: list[tuple[str, Markup]]


@dataclass(frozen=True)
class Probed:
    warnings: list[str]
    rows: list[Row]
    pairs: list[Pair]
    legend: list[tuple[str, int]]
    figures: list[Figure]


def read_probe(records: Sequence[Record], asked: Mapping[str, int]) -> Probed | None:
    """None where nothing was probed. Without a verdict, which lacks while a run lacks, there are curves alone. `asked`:
    colours by checkpoint (recipes/report/proven.py)."""
    runs = [record for record in records if record.do == "probe"]
    if not runs:
        return None
    colours = {name: asked.get(name, 0) for name in dict.fromkeys(checkpoint_of(run) for run in runs)}
    verdicts = [record for record in records if record.do == "probe_verdict"]
    return Probed(
        warnings=[clean(str(text)) for record in verdicts for text in record.at("details", "probe", "warnings") or ()],
        rows=[_row(record, name, colours) for record in verdicts for name in record.tree("details", "probe", "checkpoints")],
        pairs=[_pair(row) for record in verdicts for row in record.rows("details", "probe", "pairs")],
        legend=list(colours.items()),
        figures=_figures(runs, colours),
    )


def _row(record: Record, name: str, colours: dict[str, int]) -> Row:
    told = record.tree("details", "probe", "checkpoints", name)
    collapsed = [
        f"{row.get('arm')} {row.get('run')}: {words(kind)}, {clean(str(how))}"
        for row in record.rows("details", "probe", "collapses")
        if row.get("checkpoint") == name and isinstance(row.get("what"), dict)
        for kind, how in row["what"].items()
    ]
    against = told.get("against_control")
    against = against if isinstance(against, dict) else {}
    return Row(
        name=name,
        colour=colours.get(name, 0),
        verdict=clean(str(told.get("verdict"))),
        shares=[_interval(told.get(key)) for key in SHARES],
        differences=[_interval(told.get(key)) for key in DIFFERENCES],
        seeds=against.get("seeds"),
        problems=against.get("problems"),
        collapses=collapsed,
    )


def _pair(row: dict[str, Any]) -> Pair:
    names = clean(f"{row.get('first')} over {row.get('second')}")
    better = clean(str(row.get("better") or "not shown"))
    return Pair(names, _interval(row.get("before")), _interval(row.get("after")), better, row.get("order_changes") is True)


def _interval(found: Any) -> Interval | None:
    figures = [found.get(key) for key in ("mean", "low", "high")] if isinstance(found, dict) else []
    known = [float(figure) for figure in figures if is_number(figure)]
    return (known[0], known[1], known[2]) if len(known) == 3 else None


def _figures(runs: Sequence[Record], colours: dict[str, int]) -> list[Figure]:
    curves = [(checkpoint_of(run), run.at("details", "probe", "arm"), _curve(run)) for run in runs]
    found = []
    for key, (title, y_label) in FIGURES.items():
        bands = {
            arm: [
                _band(name, colour, [c for n, a, c in curves if (n, a) == (name, arm)], key) for name, colour in colours.items()
            ]
            for arm in ARMS
        }
        ends = [end for each in bands.values() for band in each for point in band.points for end in point[2:]]
        if ends:
            low, high = min(0.0, *ends), max(ends)
            plots = [
                (told, spread_svg(bands[arm], title=f"{title}, {told}", y_label=y_label, low=low, high=high))
                for arm, told in ARMS.items()
            ]
            found.append(Figure(title, plots))
    return found


def _band(name: str, colour: int, curves: Sequence[dict[int, dict[str, Any]]], key: str) -> Band:
    """Steps that only some runs have, as one has diverged, are of those."""
    points = []
    for step in sorted({step for curve in curves for step in curve}):
        values = [float(curve[step][key]) for curve in curves if step in curve and is_number(curve[step].get(key))]
        if values:
            points.append((float(step), sum(values) / len(values), min(values), max(values)))
    return Band(name, colour, points)


def _curve(run: Record) -> dict[int, dict[str, Any]]:
    """By step. What is no such line is left out."""
    file, found = run.folder / CURVE, {}
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            found[row["step"]] = row
    return found
