"""Charts of a fit as inline SVG: what was predicted and what came, effects of sources, and the objective along each share."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from recipes.report.axis import Axis, make_axis
from recipes.report.figures import clean
from recipes.report.frame import BOTTOM, axes, path_through, svg, upright
from slurm.mix.fit import Fit, TargetFit
from slurm.mix.proposal import Effect, Proposal
from slurm.mix.region import Region

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP = 62, 12, 10
ROW = 30
RUN, OWN, LAW = 1, 2, 3  # colours: of runs, of the own blend, of the law and what it proposes
POINTS = 41  # of a curve


def predicted_svg(fitted: Fit, target: TargetFit, own: np.ndarray) -> Markup:
    """What a run came to over what a law that had not seen its blend predicted; across, the 95 % interval of the law. The band is
    what a seed changes, one deviation either way."""
    interval = fitted.interval({target.name: 1.0}, fitted.table.shares)
    reach = np.concatenate([target.values, target.out_of_fold])
    x, y = _axes(reach, reach)
    parts = axes(x, y, x_label="predicted of unseen blends", y_label=f"{target.name}, as it came")
    low, high = max(x.low, y.low), min(x.high, y.high)
    if target.noise.deviation is not None:
        corners = [(low, -1), (high, -1), (high, 1), (low, 1)]
        edge = [(at, float(np.clip(at + side * target.noise.deviation, y.low, y.high))) for at, side in corners]
        parts.append(f'<path class="bar c{OWN}" fill-opacity="0.12" d="{path_through(edge, x, y)}Z"/>')
    parts.append(f'<path class="mark strong" d="{path_through([(low, low), (high, high)], x, y)}"/>')
    is_own = _is_blend(fitted, own)
    for i, (came, said) in enumerate(zip(target.values, target.out_of_fold)):
        half = (interval[1, i] - interval[0, i]) / 2
        colour = OWN if is_own[i] else RUN
        ends = [(max(x.low, said - half), came), (min(x.high, said + half), came)]
        parts.append(f'<path class="faint c{colour}" d="{path_through(ends, x, y)}"/>')
        told = f"{fitted.table.names[i]}: came to {came:.4g}, predicted {said:.4g}"
        parts.append(_dot(x.place(said), y.place(came), colour, told))
    described = f"{len(target.values)} runs; error out of fold {target.score.error:.3g}"
    return svg("plot", f"{target.name}: predicted and came", described, WIDTH, HEIGHT, parts)


def effects_svg(effects: Sequence[Effect], better: str) -> Markup:
    """A row a source: the change of the objective with its interval. Left of 0 is better, and right where it is to become
    higher."""
    side = "right" if better == "higher" else "left"
    height = len(effects) * ROW + TOP + BOTTOM + 8
    reach = np.array([0.0, *(end for effect in effects for end in (effect.low, effect.high, effect.change))])
    x = make_axis(float(reach.min()), float(reach.max()), start=12, end=WIDTH - RIGHT, num_ticks=5, widen=True)
    y = Axis(0.1, 0.9, height - BOTTOM, TOP, step=2.0)  # without ticks
    parts = axes(x, y, x_label=f"change of the objective ({side} is better)", y_label="")
    parts += upright(x, y, 0.0, "mark strong")
    for i, effect in enumerate(effects):
        place, colour = TOP + i * ROW, 0 if effect.is_noise else LAW
        noise = " (noise)" if effect.is_noise else ""
        parts.append(f'<text class="tick strong" x="{x.start}" y="{place + 11}">{escape(clean(effect.source))}{noise}</text>')
        ends = f'x1="{x.place(effect.low):.1f}" x2="{x.place(effect.high):.1f}"'
        parts.append(f'<line class="whisker c{colour}" {ends} y1="{place + 21}" y2="{place + 21}"/>')
        parts.append(_dot(x.place(effect.change), place + 21, colour, f"{effect.source}: {effect.change:+.3g}"))
    described = "; ".join(f"{e.source} {e.change:+.3g} ({e.low:+.3g} to {e.high:+.3g})" for e in effects)
    return svg("plot", "Effect of each source", described, WIDTH, height, parts)


def slice_svg(fitted: Fit, importance: dict[str, float], region: Region, proposal: Proposal, source: str, better: str) -> Markup:
    """The objective as one share goes from the lowest to the highest that was run, the others in the own proportions. Runs
    are drawn as far from the law as they came, at their share (partial residuals)."""
    i, runs = fitted.table.sources.index(source), fitted.table.shares
    shares = np.linspace(region.run[:, i].min(), region.run[:, i].max(), POINTS)
    line = _along(proposal.own, i, shares)
    objective = fitted.objective(importance)
    law, band = objective(line), fitted.interval(importance, line)
    came = np.sum([importance[t.name] * t.values for t in fitted.targets if t.name in importance], axis=0)
    came = came - objective(runs) + objective(_along(proposal.own, i, runs[:, i]))
    x, y = _axes(shares, np.concatenate([came, law]), is_share=True)
    parts = axes(
        x, y, x_label=f"share of {source}", y_label=f"objective ({'higher' if better == 'higher' else 'lower'} is better)"
    )
    clipped = np.clip(band, y.low, y.high)
    edge = [*zip(shares, clipped[1]), *reversed(list(zip(shares, clipped[0])))]
    parts.append(f'<path class="bar c{LAW}" fill-opacity="0.15" d="{path_through(edge, x, y)}Z"/>')
    parts.append(f'<path class="line c{LAW}" d="{path_through(list(zip(shares, np.clip(law, y.low, y.high))), x, y)}"/>')
    is_own = _is_blend(fitted, proposal.own)
    for name, row, value, own in zip(fitted.table.names, runs, came, is_own):
        parts.append(_dot(x.place(row[i]), y.place(value), OWN if own else RUN, f"{name}: {value:.4g}"))
    parts += upright(x, y, float(proposal.own[i])) + upright(x, y, float(proposal.blend[i]), "mark strong")
    described = f"own share {proposal.own[i]:.3f}, proposed {proposal.blend[i]:.3f}"
    return svg("plot", f"Objective along {source}", described, WIDTH, HEIGHT, parts)


def _along(own: np.ndarray, source: int, shares: np.ndarray) -> np.ndarray:
    """(shares, sources) blends with these shares of one source and the others in the own proportions."""
    others = np.delete(own, source)
    spread = others / others.sum() if others.sum() > 0 else np.full(len(others), 1 / len(others))
    return np.insert((1 - shares)[:, None] * spread, source, shares, axis=1)


def _is_blend(fitted: Fit, blend: np.ndarray) -> np.ndarray:
    return np.asarray(np.isclose(fitted.table.shares, blend, atol=1e-6).all(axis=1))


def _axes(x: np.ndarray, y: np.ndarray, *, is_share: bool = False) -> tuple[Axis, Axis]:
    across = make_axis(float(x.min()), float(x.max()), start=LEFT, end=WIDTH - RIGHT, num_ticks=5, widen=not is_share)
    return across, make_axis(float(y.min()), float(y.max()), start=HEIGHT - BOTTOM, end=TOP, num_ticks=5, widen=True)


def _dot(x: float, y: float, colour: int, told: str) -> Markup:
    shape = '<circle class="bar c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{told}</title></circle>'
    return Markup(shape).format(colour=colour, x=x, y=y, told=clean(told))
