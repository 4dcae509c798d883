"""Lines over tokens as inline SVG. Thousands of steps become a few hundred points: a faint line keeps their extremes, a
strong one is their mean. Curves that coincide share one line, dashed in turn in each one's colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from recipes.report.axis import Axis, amount_unit, make_axis, power_unit
from recipes.report.frame import BOTTOM, axes, dashes, path_through, svg, upright

MAX_RAW_POINTS = 300  # of the faint line; two of each bucket
MAX_MEAN_POINTS, STEPS_PER_MEAN = 60, 4
LEFT, RIGHT, TOP = 46, 10, 10

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    label: str
    colour: int
    points: Points


def curve_svg(
    curves: Sequence[Curve],
    *,
    title: str,
    y_label: str,
    first: float,
    mark: float | None,
    width: int,
    height: int,
    smooth: bool,
) -> Markup:
    """`first`: tokens at the left end. `mark`: tokens at which branches start, a vertical line. `smooth`: for noisy
    figures; others are drawn as they are, from zero. Empty without points."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        return Markup("")
    x_factor, x_unit = amount_unit(max(x for x, _ in points))
    largest = max(y for _, y in points)
    y_factor, y_unit = (1.0, "") if smooth else power_unit(largest)
    lowest = min(y for _, y in points) if smooth else 0.0
    last = max(x for x, _ in points)
    x = make_axis(first, last, start=LEFT, end=width - RIGHT, num_ticks=4 + width // 250, widen=False, factor=x_factor)
    y = make_axis(lowest, largest, start=height - BOTTOM, end=TOP, num_ticks=5, widen=True, factor=y_factor)
    parts = axes(x, y, x_label=f"tokens seen{x_unit}", y_label=f"{y_label}{y_unit}")
    if mark is not None and x.low < mark < x.high:
        parts += upright(x, y, mark)
        told = "branches start" if smooth else ""
        parts.append(f'<text class="tick end" x="{x.place(mark) - 6:.1f}" y="{y.end + 12}">{told}</text>')
    described = "; ".join(f"{c.label}: {c.points[0][1]:.4g} to {c.points[-1][1]:.4g}" for c in curves if c.points)
    return svg("plot", title, described, width, height, [*parts, *_lines(curves, x, y, smooth=smooth)])


def _lines(curves: Sequence[Curve], x: Axis, y: Axis, *, smooth: bool) -> list[Markup]:
    """Faint lines first, so that no curve's scatter hides another's mean."""
    shown = [curve for curve in curves if curve.points]
    paths = [path_through(means(curve.points) if smooth else extremes(curve.points, MAX_RAW_POINTS), x, y) for curve in shown]
    faint = [
        Markup(f'<path class="faint c{curve.colour}" d="{path_through(extremes(curve.points, MAX_RAW_POINTS), x, y)}"/>')
        for curve in (shown if smooth else ())
    ]
    strong = [
        Markup(f'<path class="line c{curve.colour}"{dash} d="{path}"/>')
        for curve, path, dash in zip(shown, paths, dashes(paths), strict=True)
    ]
    return faint + strong


def extremes(points: Points, limit: int) -> Points:
    """At most `limit` points, about: of each bucket the lowest and the highest, in order. The ends always stay."""
    if len(points) <= limit:
        return points
    kept = [points[0]]
    for start, end in _buckets(len(points), limit // 2):
        bucket = range(start, end)
        pair = sorted({min(bucket, key=lambda i: points[i][1]), max(bucket, key=lambda i: points[i][1])})
        kept += [points[i] for i in pair if 0 < i < len(points) - 1]
    return [*kept, points[-1]]


def means(points: Points) -> Points:
    """The mean of each bucket of steps, at the bucket's middle."""
    limit = min(MAX_MEAN_POINTS, len(points) // STEPS_PER_MEAN)
    if limit < 2:
        return points
    return [
        (sum(p[0] for p in points[start:end]) / (end - start), sum(p[1] for p in points[start:end]) / (end - start))
        for start, end in _buckets(len(points), limit)
    ]


def _buckets(length: int, num: int) -> list[tuple[int, int]]:
    return list(pairwise(length * i // num for i in range(num + 1)))
