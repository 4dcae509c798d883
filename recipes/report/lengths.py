"""How long answers are, as inline SVG: a bar a bin, each twice as wide as the one before; right answers below, wrong above."""

from collections.abc import Sequence

from markupsafe import Markup

from recipes.report.axis import make_axis
from recipes.report.figures import short, whole
from recipes.report.frame import BOTTOM, svg

WIDTH, HEIGHT = 440, 200
LEFT, RIGHT, TOP = 58, 10, 12
LABEL_WIDTH = 30  # of a bin's first length


def lengths_svg(bins: Sequence[Sequence[int]], *, title: str, colour: int) -> Markup:
    """Bins are (from, below, right, wrong). Empty without any."""
    if not bins:
        return Markup("")
    bottom, width = HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / len(bins)
    y = make_axis(0, max(right + wrong for _, _, right, wrong in bins), start=bottom, end=TOP, num_ticks=3, widen=True)
    parts = []
    for place, label in y.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 7}" y="{place + 4:.1f}">{label}</text>')
    every = max(1, round(LABEL_WIDTH / width + 0.5))
    for number, (low, high, right, wrong) in enumerate(bins):
        left = LEFT + number * width + 2
        middle, top = y.place(right), y.place(right + wrong)
        told = f"{low} to {high - 1} tokens: {whole(right)} right, {whole(wrong)} wrong"
        parts.append(f'<g><title>{told}</title><rect class="bar c0" x="{left:.1f}" y="{top:.1f}" ')
        parts.append(f'width="{width - 4:.1f}" height="{middle - top:.1f}"/><rect class="bar c{colour}" x="{left:.1f}" ')
        parts.append(f'y="{middle:.1f}" width="{width - 4:.1f}" height="{bottom - middle:.1f}"/></g>')
        if number % every == 0:
            parts.append(f'<text class="tick" x="{left:.1f}" y="{bottom + 18}">{short(low)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text class="label middle" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{bottom + 38}">tokens, from</text>')
    parts.append(f'<text class="label middle" transform="translate(11 {bottom / 2:.0f}) rotate(-90)">answers</text>')
    described = "; ".join(f"{low} to {high - 1}: {right} right, {wrong} wrong" for low, high, right, wrong in bins)
    return svg("chart", title, described, WIDTH, HEIGHT, parts)
