"""Measured values with their spread as inline SVG: over a number that was swept, or a row each where names were."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from recipes.report.axis import make_axis, value_axis
from recipes.report.figures import clean
from recipes.report.frame import BOTTOM, axes, svg, upright
from recipes.report.rates import Line, drawn

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP = 70, 14, 12
ROW, FOOT = 38, 8


@dataclass(frozen=True)
class Dot:
    """`low` and `high`: its interval, if known."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 1


def dots_over(lines: Sequence[Line], *, title: str, x_label: str, y_label: str, level: float | None = None) -> Markup:
    """Points over the swept values, of which there are two or more. `level`: a line across, at the control's value."""
    points = [point for line in lines for point in line.points]
    ends = [value for line in lines for _, low, high in line.intervals for value in (low, high)]
    seen = [value for _, value in points] + ends + ([] if level is None else [level])
    x = value_axis((at for at, _ in points), start=LEFT, end=WIDTH - RIGHT)
    y = make_axis(min(seen), max(seen), start=HEIGHT - BOTTOM, end=TOP, num_ticks=5, widen=True)
    parts = axes(x, y, x_label=x_label, y_label=y_label)
    if level is not None:
        place = y.place(level)
        parts.append(f'<line class="mark strong" x1="{x.start}" x2="{x.end}" y1="{place:.1f}" y2="{place:.1f}"/>')
    parts += drawn(lines, x, y)
    described = "; ".join(f"{line.label}: " + ", ".join(f"{a:g} {b:.4g}" for a, b in line.points) for line in lines)
    return svg("chart", title, described, WIDTH, HEIGHT, parts)


def dots_in_rows(dots: Sequence[Dot], *, title: str, x_label: str, level: float | None = None) -> Markup:
    """A row a name. `level`: an upright line, at the control's value."""
    seen = [value for dot in dots for value in (dot.value, dot.low, dot.high) if value is not None]
    bottom = len(dots) * ROW + FOOT
    x = make_axis(min(seen), max(seen), start=10, end=WIDTH - RIGHT, num_ticks=4, widen=True)
    y = make_axis(0, 1, start=bottom, end=0, num_ticks=1, widen=False)
    parts = upright(x, y, level, "mark strong")
    for place, label in x.ticks:
        parts.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text class="tick middle" x="{place:.1f}" y="{bottom + 18}">{label}</text>')
    parts.append(f'<text class="label middle" x="{(x.start + x.end) / 2:.0f}" y="{bottom + 38}">{escape(clean(x_label))}</text>')
    for number, dot in enumerate(dots):
        top, place = number * ROW + 14, number * ROW + 27
        parts.append(f'<text class="tick strong over" x="{x.start}" y="{top}">{escape(clean(dot.label))}</text>')
        if dot.low is not None and dot.high is not None:
            ends = f'x1="{x.place(dot.low):.1f}" x2="{x.place(dot.high):.1f}"'
            parts.append(f'<line class="whisker c{dot.colour}" {ends} y1="{place}" y2="{place}"/>')
        told = escape(clean(f"{dot.label}: {dot.value:.6g}"))
        centre = f'cx="{x.place(dot.value):.1f}" cy="{place}"'
        parts.append(f'<circle class="bar c{dot.colour}" {centre} r="4"><title>{told}</title></circle>')
    described = "; ".join(f"{dot.label}: {dot.value:.4g}" for dot in dots)
    return svg("chart", title, described, WIDTH, bottom + BOTTOM, parts)
