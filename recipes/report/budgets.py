"""Accuracy against tokens spent: a plot of all checkpoints under all budgets of thinking, and the figures of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.axis import ValueAxis, make_axis
from recipes.report.dots import HEIGHT, LEFT, RIGHT, TOP, WIDTH
from recipes.report.figures import is_number
from recipes.report.frame import BOTTOM, axes, svg
from recipes.report.rates import Line, drawn

ROUND = (1, 2, 5)
MARGIN = 1.6  # on either side of the fewest and the most tokens: a round number is always among them
ENDED = {
    "the model": "by itself",
    "max_tokens": "at its cap of tokens",
    "max_steps": "at its cap of steps",
    "end of text": "with the text, its answer forced",
    "nothing": "never",
}


@dataclass(frozen=True)
class Row:
    """A checkpoint under a budget. `interval`: the accuracy's, if known. `figures`: those of the card."""

    checkpoint: str
    colour: int
    name: str
    asked: str
    interval: tuple[float, float] | None
    ended: list[tuple[str, Any]]
    waits: Any
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class BudgetsSection:
    """`legend`: (colour, checkpoint) of each line."""

    rows: list[Row]
    plot: Markup
    legend: list[tuple[int, str]]


def budgets_section(of: Mapping[str, Mapping[str, Any]], colours: Mapping[str, int]) -> BudgetsSection | None:
    """Of each checkpoint the figures of its budgets (pretrain/readiness/budgets.py). None where nothing was measured."""
    rows = [
        _row(checkpoint, colours.get(checkpoint, 0), name, figures)
        for checkpoint, budgets in of.items()
        for name, figures in budgets.items()
        if isinstance(figures, dict) and all(is_number(figures.get(key)) for key in ("accuracy", "mean_tokens"))
    ]
    if not rows:
        return None
    legend = list({row.checkpoint: (row.colour, row.checkpoint) for row in rows}.values())
    return BudgetsSection(rows, _plot(rows), legend)


def _row(checkpoint: str, colour: int, name: str, figures: Mapping[str, Any]) -> Row:
    budget, ended = figures.get("budget"), figures.get("ended_by")
    told = [(words, ended[key]) for key, words in ENDED.items() if key in ended] if isinstance(ended, dict) else []
    forced = figures.get("forced")
    waits = forced.get("wait", 0) if isinstance(forced, dict) else None
    ends = figures.get("interval")
    is_known = isinstance(ends, list) and [is_number(end) for end in ends] == [True, True]
    interval = (float(ends[0]), float(ends[1])) if ends and is_known else None
    return Row(checkpoint, colour, name, asked(budget if isinstance(budget, dict) else {}), interval, told, waits, figures)


def asked(budget: Mapping[str, Any]) -> str:
    """ "25 to 40 tokens, 2 waits"."""
    parts = [_range(budget.get(f"min_{unit}"), budget.get(f"max_{unit}"), unit) for unit in ("tokens", "steps")]
    waits = budget.get("waits")
    parts.append(f"{waits} {'wait' if waits == 1 else 'waits'}" if waits else "")
    return ", ".join(part for part in parts if part)


def _range(low: Any, high: Any, unit: str) -> str:
    if low and high:
        return f"{low} to {high} {unit}"
    return f"at most {high} {unit}" if high else f"at least {low} {unit}" if low else ""


def _plot(rows: Sequence[Row]) -> Markup:
    """Tokens by their logarithm: every doubling takes the same room."""
    lines = [_line([row for row in rows if row.checkpoint == one]) for one in dict.fromkeys(row.checkpoint for row in rows)]
    tokens = [max(float(row.figures["mean_tokens"]), 1.0) for row in rows]
    low, high = min(tokens) / MARGIN, max(tokens) * MARGIN
    x = ValueAxis(low, high, LEFT, WIDTH - RIGHT, 1.0, values=_round_values(low, high), is_log=True)
    top = max([y for line in lines for _, y in line.points] + [y for line in lines for _, _, y in line.intervals])
    y = make_axis(0, max(top, 0.01), start=HEIGHT - BOTTOM, end=TOP, num_ticks=5, widen=True)
    parts = axes(x, y, x_label="mean tokens spent, of an answer", y_label="accuracy")
    parts += drawn(lines, x, y)
    described = "; ".join(f"{row.checkpoint} {row.name}: {_point(row)[1]:.3f} at {_point(row)[0]:.4g} tokens" for row in rows)
    return svg("chart", "Accuracy against tokens spent", described, WIDTH, HEIGHT, parts)


def _line(rows: Sequence[Row]) -> Line:
    ordered = sorted(rows, key=_point)
    intervals = [(_point(row)[0], *row.interval) for row in ordered if row.interval]
    return Line(rows[0].checkpoint, rows[0].colour, [_point(row) for row in ordered], intervals)


def _point(row: Row) -> tuple[float, float]:
    return max(float(row.figures["mean_tokens"]), 1.0), float(row.figures["accuracy"])


def _round_values(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten."""
    found = [factor * 10.0**power for power in range(13) for factor in ROUND]
    return tuple(value for value in found if low <= value <= high)
