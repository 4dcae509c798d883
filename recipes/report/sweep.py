"""The page of a sweep: its points in one table, with the swept values only, and a plot of each metric.

`record` is what `midtrain sweep --json` prints (slurm/sweep/describe.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.dots import Dot, dots_in_rows, dots_over
from recipes.report.figures import whole, words
from recipes.report.rates import Line
from recipes.report.sheet import sheet
from recipes.report.training import NUM_COLOURS

UNITS = {"validation": "nats per token", "loss": "nats per token", "bits_per_byte": "bits per byte"}


@dataclass(frozen=True)
class Plot:
    metric: str
    drawn: Markup
    legend: list[tuple[int, str]]


def render_sweep(record: dict[str, Any]) -> str:
    results = record["results"]
    plots = [plot for metric in results["metrics"] if (plot := _plot(metric["name"], results)) is not None]
    return sheet(
        "sweep.html.j2",
        record=record,
        results=results,
        plots=plots,
        common=[text for text in record["points"][0]["overrides"] if all(text in one["overrides"] for one in record["points"])],
        repeated=any(row["repeats"] > 1 for row in results["rows"]),
        has_ends=any(row["end"] for row in results["rows"]),
        figure=figure,
        state_of=state_of,
    )


def figure(metric: str, value: float, *, signed: bool = False) -> str:
    """Losses with four digits behind the point, counts as whole numbers."""
    if metric.split()[0] in UNITS:
        return f"{value:+.4f}".replace("-", "−") if signed else f"{value:,.4f}"
    return ("+" if signed and value >= 0 else "") + whole(value).replace("-", "−")


def label_of(row: dict[str, Any]) -> str:
    """A point by its swept values alone."""
    swept = row["swept"]
    told = list(swept.values()) if len(swept) == 1 or "point" in swept else [f"{axis} {value}" for axis, value in swept.items()]
    return ", ".join([*told, *([row["end"]] if row["end"] else [])])


def state_of(row: dict[str, Any]) -> str:
    """How far the runs of a row are: `done`, `missing`, or `1 done, 1 resumable` of repeats."""
    states = row["states"]
    return next(iter(states)) if len(states) == 1 else ", ".join(f"{number} {state}" for state, number in states.items())


def _plot(metric: str, results: dict[str, Any]) -> Plot | None:
    """None where nothing is finished yet."""
    rows = [row for row in results["rows"] if metric in row["cells"]]
    if not rows:
        return None
    name = metric.split()[0]
    title, unit = words(metric), UNITS.get(name, name)
    control = [row["cells"][metric]["mean"] for row in rows if row["is_control"]]
    level = control[0] if len(control) == 1 else None
    found = _number_of(rows)
    if found is None:
        dots = [_dot(row, row["cells"][metric]) for row in rows]
        return Plot(title, dots_in_rows(dots, title=title, x_label=unit, level=level), [])
    x_label, numbers = found
    lines: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for row, (line, number) in zip(rows, numbers, strict=True):
        lines.setdefault(line, []).append((number, row["cells"][metric]))
    drawn = [_line(label, i % NUM_COLOURS + 1, cells, metric) for i, (label, cells) in enumerate(lines.items())]
    legend = [(line.colour, line.label) for line in drawn] if len(drawn) > 1 else []
    return Plot(title, dots_over(drawn, title=title, x_label=x_label, y_label=unit, level=level), legend)


def _line(label: str, colour: int, cells: Sequence[tuple[float, dict[str, Any]]], metric: str) -> Line:
    ordered = sorted(cells, key=lambda entry: entry[0])
    spread = [(at, cell["mean"] - cell["spread"], cell["mean"] + cell["spread"]) for at, cell in ordered if cell["spread"]]
    return Line(label or words(metric), colour, [(at, cell["mean"]) for at, cell in ordered], spread)


def _dot(row: dict[str, Any], cell: dict[str, Any]) -> Dot:
    mean, spread = cell["mean"], cell["spread"]
    return Dot(label_of(row), mean, mean - spread if spread else None, mean + spread if spread else None)


def _number_of(rows: Sequence[dict[str, Any]]) -> tuple[str, list[tuple[str, float]]] | None:
    """What the plot goes over, and of each row the line that it is on and its number there. Where every row has one axis alone,
    and these differ, that axis is the line: shares of several datasets. None where no numbers were swept."""
    axes = list(dict.fromkeys(axis for row in rows for axis in row["swept"]))
    if len(axes) > 1 and all(len(row["swept"]) == 1 for row in rows):
        found = [(axis, _number(value)) for row in rows for axis, value in row["swept"].items()]
        label = "the value of each"
    else:
        numeric = [axis for axis in axes if all(_number(row["swept"].get(axis)) is not None for row in rows)]
        if not numeric:
            return None
        label = max(numeric, key=lambda axis: len({row["swept"][axis] for row in rows}))
        found = [(_without(row, label), _number(row["swept"][label])) for row in rows]
    numbers = [(line, number) for line, number in found if number is not None]
    if len(numbers) < len(rows) or len({number for _, number in numbers}) < 2:
        return None
    return label, numbers


def _without(row: dict[str, Any], axis: str) -> str:
    return label_of({**row, "swept": {key: value for key, value in row["swept"].items() if key != axis}})


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
