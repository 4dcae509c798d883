"""Means over steps as inline SVG, each with the band between the lowest and the highest of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recipes.report.axis import Axis, make_axis
from recipes.report.frame import BOTTOM, axes, dashes, path_through, svg

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP = 58, 12, 12


@dataclass(frozen=True)
class Band:
    """`points`: (step, mean, lowest, highest)."""

    label: str
    colour: int
    points: Sequence[tuple[float, float, float, float]]


def spread_svg(bands: Sequence[Band], *, title: str, y_label: str, low: float, high: float) -> Markup:
    """`low` and `high`: the ends of the values of all plots that stand beside this one. Empty without points."""
    points = [point for band in bands for point in band.points]
    if not points:
        return Markup("")
    steps = [point[0] for point in points]
    num_ticks = min(6, max(1, len(set(steps)) - 1))  # none between two steps
    x = make_axis(min(steps), max(steps), start=LEFT, end=WIDTH - RIGHT, num_ticks=num_ticks, widen=False)
    y = make_axis(low, high, start=HEIGHT - BOTTOM, end=TOP, num_ticks=5, widen=True)
    parts = axes(x, y, x_label="steps", y_label=y_label)
    parts += [_area(band, x, y) for band in bands if band.points]
    parts += _lines(bands, x, y)
    described = "; ".join(f"{b.label}: {b.points[0][1]:.4g} to {b.points[-1][1]:.4g}" for b in bands if b.points)
    return svg("chart", title, described, WIDTH, HEIGHT, parts)


def _area(band: Band, x: Axis, y: Axis) -> str:
    """There along the highest, back along the lowest. Of one run it is nothing that is seen."""
    there = [(step, highest) for step, _, _, highest in band.points]
    back = [(step, lowest) for step, _, lowest, _ in reversed(band.points)]
    return f'<path class="spread c{band.colour}" d="{path_through(there + back, x, y)}Z"/>'


def _lines(bands: Sequence[Band], x: Axis, y: Axis) -> list[str]:
    paths = [path_through([(step, mean) for step, mean, _, _ in band.points], x, y) for band in bands]
    return [
        f'<path class="line c{band.colour}"{dash} d="{path}"/>'
        for band, path, dash in zip(bands, paths, dashes(paths), strict=True)
        if band.points
    ]
