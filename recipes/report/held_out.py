"""Loss on held-out documents, domain by domain: what a stage has learnt since its first step, and what it has forgotten."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from recipes.report.curves import Curve, curve_svg
from recipes.report.training import NARROW, WIDE, Plot, Run

HEIGHT = 210


def held_out_table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row a held-out set: the loss of every run, the change since its first step, and which of them is the lowest of the row.
    Below, the same in bits per byte, where the manifests have them."""
    names = list(dict.fromkeys(name for run in runs for name in run.validation))
    rows = [_row(name, [run.validation.get(name) for run in runs], [_change(run, name) for run in runs]) for name in names]
    for name in names:
        bits = [run.record.numbers("details", "bits_per_byte").get(name) for run in runs]
        if any(known is not None for known in bits):
            rows.append(_row(f"{name}, bits per byte", bits, [None] * len(bits)))
    return rows


def _row(name: str, figures: Sequence[Any], changes: Sequence[Any]) -> dict[str, Any]:
    known = [figure for figure in figures if figure is not None]
    best = min(known) if len(known) > 1 else None
    cells = [
        {"loss": figure, "change": change, "is_best": figure is not None and figure == best}
        for figure, change in zip(figures, changes, strict=True)
    ]
    return {"name": name, "cells": cells}


def _change(run: Run, name: str) -> str | None:
    """+0.0123: worse than the weights that the stage began from."""
    before, after = run.validation_before.get(name), run.validation.get(name)
    return None if before is None or after is None else f"{after - before:+.4f}".replace("-", "−")


def held_out_plots(runs: Sequence[Run]) -> list[Plot]:
    """One a held-out set: every run from its first step to its end, on the axis of tokens of all runs."""
    names = list(dict.fromkeys(name for run in runs for name in run.validation_before))
    return [plot for name in names if (plot := _plot(name, runs)).wide]


def _plot(name: str, runs: Sequence[Run]) -> Plot:
    title = f"Held-out loss of {name}"
    curves = [Curve(run.label, run.colour, _points(run, name)) for run in runs]
    start = min((run.first_token for run in runs if run.colour and run.first_token), default=None)

    def drawn(width: int) -> Markup:
        return curve_svg(
            curves, title=title, y_label="loss (nats per token)", first=0, mark=start, width=width, height=HEIGHT, smooth=True
        )

    note = "from the first step of each stage to its end: a line that rises has forgotten"
    return Plot(title, note, drawn(WIDE), drawn(NARROW))


def _points(run: Run, name: str) -> list[tuple[float, float]]:
    before, after = run.validation_before.get(name), run.validation.get(name)
    if before is None or after is None:
        return []
    return [(run.first_token, before), (run.first_token + (run.record.number("counts", "tokens") or 0), after)]
