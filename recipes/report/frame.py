"""What all plots have in common: the inline SVG element, and grid lines, ticks and labels of two axes."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from recipes.report.axis import Axis
from recipes.report.figures import clean

BOTTOM = 44  # below a plot: its ticks and its label
DASH = 7
TICK_MARK, TICK_LABEL, LABEL = 4, 18, 38  # below the axis


def path_through(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """What draws a line through them, as `d` of an SVG path."""
    return "M" + "L".join(f"{x.place(a):.1f} {y.place(b):.1f}" for a, b in points)


def axes(x: Axis, y: Axis, *, x_label: str, y_label: str) -> list[str]:
    """Drawn before all else: data lie on the grid. y starts at the bottom."""
    parts = []
    for place, label in y.ticks:
        parts.append(f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text class="tick end" x="{x.start - 7}" y="{place + 4:.1f}">{label}</text>')
    for place, label in x.ticks:
        parts.append(f'<line class="axis" x1="{place:.1f}" x2="{place:.1f}" y1="{y.start}" y2="{y.start + TICK_MARK}"/>')
        parts.append(f'<text class="tick middle" x="{place:.1f}" y="{y.start + TICK_LABEL}">{label}</text>')
    parts.append(f'<line class="axis" x1="{x.start}" x2="{x.end}" y1="{y.start}" y2="{y.start}"/>')
    middle, up = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts.append(f'<text class="label middle" x="{middle:.0f}" y="{y.start + LABEL}">{escape(clean(x_label))}</text>')
    parts.append(f'<text class="label middle" transform="translate(11 {up:.0f}) rotate(-90)">{escape(clean(y_label))}</text>')
    return parts


def upright(x: Axis, y: Axis, value: float | None, kind: str = "mark") -> list[str]:
    """A line at a value, where the plot has it."""
    if value is None or not x.low <= value <= x.high:
        return []
    place = x.place(value)
    return [f'<line class="{kind}" x1="{place:.1f}" x2="{place:.1f}" y1="{y.start}" y2="{y.end}"/>']


def dashes(paths: Sequence[str]) -> list[str]:
    """An attribute for each line: those that coincide show their colours in turn."""
    found = []
    for at, path in enumerate(paths):
        together, position = paths.count(path), paths[:at].count(path)
        dash = f' stroke-dasharray="{DASH} {DASH * (together - 1)}" stroke-dashoffset="{-DASH * position}"'
        found.append(dash if together > 1 else "")
    return found


def svg(kind: str, title: str, described: str, width: int, height: int, parts: Sequence[str]) -> Markup:
    return Markup(
        '<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="{title}"><title>{title}</title><desc>{described}</desc>{inside}</svg>'
    ).format(
        kind=kind,
        width=width,
        height=height,
        title=clean(title),
        described=clean(described),
        inside=Markup("".join(parts)),
    )
