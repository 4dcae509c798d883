"""Horizontal bars of a blend and the histogram of a score, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from recipes.report.axis import make_axis
from recipes.report.figures import clean, share, whole

WIDTH = 440
ROW = 44
HISTOGRAM_HEIGHT = 180
LEFT, BOTTOM, TOP = 62, 40, 10


@dataclass(frozen=True)
class Share:
    """A source of a blend: what was asked for and what was delivered, as shares of all tokens; None: not known."""

    name: str
    asked: float | None
    delivered: float | None


def blend_svg(shares: Sequence[Share], *, title: str, colour: int) -> Markup:
    """A bar is what was delivered, the upright line on it what was asked for. The whole width is the whole blend."""
    scale = WIDTH - 2
    parts = []
    for i, entry in enumerate(shares):
        top = i * ROW
        parts.append(f'<text class="name" x="0" y="{top + 14}">{escape(clean(entry.name))}</text>')
        figures = f"{share(entry.delivered)} of {share(entry.asked)} asked"
        parts.append(f'<text class="tick end" x="{WIDTH}" y="{top + 14}">{escape(figures)}</text>')
        parts.append(f'<rect class="track" x="0" y="{top + 21}" width="{WIDTH}" height="12" rx="2"/>')
        if entry.delivered is not None:
            width = entry.delivered * scale
            parts.append(f'<rect class="bar c{colour}" x="0" y="{top + 21}" width="{width:.1f}" height="12" rx="2"/>')
        if entry.asked is not None:
            parts.append(f'<rect class="asked" x="{entry.asked * scale:.1f}" y="{top + 18}" width="2" height="18"/>')
    described = "; ".join(f"{entry.name} asked {share(entry.asked)}, delivered {share(entry.delivered)}" for entry in shares)
    return svg("chart", title, described, WIDTH, len(shares) * ROW, parts)


def histogram_svg(bins: Sequence[tuple[float, float, int]], *, title: str, x_label: str, mark: float | None = None) -> Markup:
    """Bins are (from, to, documents). `mark`: an upright line, at the score that was asked for."""
    if not bins:
        return Markup("")
    bottom = HISTOGRAM_HEIGHT - BOTTOM
    x = make_axis(bins[0][0], bins[-1][1], start=LEFT, end=WIDTH - 10, num_ticks=5, widen=False)
    y = make_axis(0, max(1, *(n for _, _, n in bins)), start=bottom, end=TOP, num_ticks=3, widen=True)
    parts = []
    for place, label in y.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 7}" y="{place + 4:.1f}">{whole(float(label))}</text>')
    for low, high, documents in bins:
        left, top = x.place(low) + 1, y.place(documents)
        parts.append(
            f'<rect class="bar c0" x="{left:.1f}" y="{top:.1f}" '
            f'width="{x.place(high) - left - 1:.1f}" height="{bottom - top:.1f}">'
            f"<title>{low:g} to {high:g}: {whole(documents)} documents</title></rect>"
        )
    if mark is not None and x.low <= mark <= x.high:
        at = x.place(mark)
        parts.append(f'<line class="mark strong" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{TOP}"/>')
    for place, label in x.ticks:
        parts.append(f'<text class="tick middle" x="{place:.1f}" y="{bottom + 18}">{label}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 10}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(
        f'<text class="label middle" x="{(LEFT + WIDTH - 10) / 2:.0f}" y="{HISTOGRAM_HEIGHT - 5}">{escape(x_label)}</text>'
    )
    parts.append(f'<text class="label middle" transform="translate(11 {(TOP + bottom) / 2:.0f}) rotate(-90)">documents</text>')
    described = "; ".join(f"{low:g} to {high:g}: {n}" for low, high, n in bins)
    return svg("chart", title, described, WIDTH, HISTOGRAM_HEIGHT, parts)


def svg(kind: str, title: str, described: str, width: int, height: int, parts: list[str]) -> Markup:
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
