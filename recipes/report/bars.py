"""Horizontal bars of a blend and the histogram of a score, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from recipes.report.axis import make_axis
from recipes.report.figures import clean, share, whole
from recipes.report.frame import BOTTOM, axes, svg, upright

WIDTH = 440
ROW = 44
HISTOGRAM_HEIGHT = 184
LEFT, RIGHT, TOP = 62, 10, 10


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
    x = make_axis(bins[0][0], bins[-1][1], start=LEFT, end=WIDTH - RIGHT, num_ticks=5, widen=False)
    y = make_axis(0, max(1, *(n for _, _, n in bins)), start=bottom, end=TOP, num_ticks=3, widen=True)
    parts = axes(x, y, x_label=x_label, y_label="documents")
    for low, high, documents in bins:
        left, top = x.place(low) + 1, y.place(documents)
        parts.append(
            f'<rect class="bar c0" x="{left:.1f}" y="{top:.1f}" '
            f'width="{x.place(high) - left - 1:.1f}" height="{bottom - top:.1f}">'
            f"<title>{low:g} to {high:g}: {whole(documents)} documents</title></rect>"
        )
    parts += upright(x, y, mark, "mark strong")
    described = "; ".join(f"{low:g} to {high:g}: {n}" for low, high, n in bins)
    return svg("chart", title, described, WIDTH, HISTOGRAM_HEIGHT, parts)
