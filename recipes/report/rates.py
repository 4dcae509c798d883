"""Shares against scores as inline SVG: lines with the intervals around them, and a diagonal where they should lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from recipes.report.axis import Axis, make_axis
from recipes.report.figures import clean
from recipes.report.frame import BOTTOM, axes, dashes, svg, upright

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP = 58, 10, 12


@dataclass(frozen=True)
class Line:
    """Points (x, share), and the intervals (x, low, high) that are known around them."""

    label: str
    colour: int
    points: Sequence[tuple[float, float]]
    intervals: Sequence[tuple[float, float, float]] = field(default=())


def rates_svg(
    lines: Sequence[Line], *, title: str, x_label: str, y_label: str, is_calibration: bool = False, mark: float | None = None
) -> Markup:
    """x from 0 to 1, y up to 1. `mark`: an upright line, at the chosen score. Empty without points."""
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup("")
    lowest = min([y for _, y in points] + [low for line in lines for _, low, _ in line.intervals])
    x = make_axis(0, 1, start=LEFT, end=WIDTH - RIGHT, num_ticks=5, widen=False)
    y = make_axis(0 if is_calibration else min(max(lowest, 0), 0.9), 1, start=HEIGHT - BOTTOM, end=TOP, num_ticks=5, widen=True)
    parts = axes(x, y, x_label=x_label, y_label=y_label)
    if is_calibration:
        parts.append(f'<line class="mark" x1="{x.start}" y1="{y.place(0):.1f}" x2="{x.end}" y2="{y.place(1):.1f}"/>')
    parts += upright(x, y, mark)
    parts += drawn(lines, x, y)
    described = "; ".join(f"{line.label}: " + ", ".join(f"{a:g} {b:.3f}" for a, b in line.points) for line in lines)
    return svg("chart", title, described, WIDTH, HEIGHT, parts)


def drawn(lines: Sequence[Line], x: Axis, y: Axis) -> list[str]:
    """The interval of each point as a whisker, the points joined, each with its figures for the pointer."""
    paths = ["M" + "L".join(f"{x.place(a):.1f} {y.place(b):.1f}" for a, b in line.points) for line in lines]
    parts = []
    for line, path, dash in zip(lines, paths, dashes(paths), strict=True):
        parts += [
            f'<line class="whisker c{line.colour}" x1="{x.place(at):.1f}" x2="{x.place(at):.1f}" '
            f'y1="{y.place(max(low, y.low)):.1f}" y2="{y.place(high):.1f}"/>'
            for at, low, high in line.intervals
        ]
        parts.append(f'<path class="line c{line.colour}"{dash} d="{path}"/>')
        for a, b in line.points:
            place = f'cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="3"'
            told = escape(clean(f"{line.label}: {b:.3f} at {a:g}"))
            parts.append(f'<circle class="bar c{line.colour}" {place}><title>{told}</title></circle>')
    return parts
