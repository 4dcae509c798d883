"""Training stages and exports: which began from which, their curves on one axis of tokens, blends, checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.bars import Share, blend_svg
from recipes.report.curves import Curve, curve_svg
from recipes.report.figures import is_number
from recipes.report.record import Metrics, Record, read_metrics

NUM_COLOURS = 6  # branches' colours in page.css; 0 is the trunk's
WIDE, NARROW = 1040, 360  # the page shows the one that fits the window
PARITY_KEYS = ("max_difference", "max_logit_difference")


@dataclass(frozen=True)
class Run:
    """A training stage. `first_token`: tokens its initial weights had seen. Colour 0: another stage begins from it."""

    record: Record
    label: str
    colour: int
    first_token: float
    metrics: Metrics | None

    @property
    def validation(self) -> dict[str, Any]:
        return self.record.numbers("details", "validation")

    @property
    def validation_before(self) -> dict[str, Any]:
        """Of the weights that the stage began from."""
        return self.record.numbers("details", "validation_before")

    @property
    def final_loss(self) -> Any:
        return self.record.number("details", "loss", "last")

    @property
    def restarts(self) -> Any:
        return self.record.number("details", "resume", "restarts")

    def points(self, what: str) -> list[tuple[float, float]]:
        if self.metrics is None:
            return []
        return [(self.first_token + x, y) for x, y in zip(self.metrics.tokens, getattr(self.metrics, what), strict=True)]


@dataclass(frozen=True)
class Checkpoint:
    """An exported model. `difference` is the largest of all logits compared, `limit` what was allowed."""

    record: Record
    label: str
    colour: int
    run: Run | None
    difference: Any
    limit: Any

    @property
    def is_passed(self) -> bool | None:
        """None when a figure is missing."""
        return None if self.difference is None or self.limit is None else bool(self.difference <= self.limit)


@dataclass(frozen=True)
class Blend:
    run: Run
    rows: list[dict[str, Any]]
    plot: Markup


def read_runs(records: Sequence[Record]) -> list[Run]:
    stages = [record for record in records if record.do == "train"]
    trained_or_averaged = {record.made: record for record in records if record.do in ("train", "average")}
    begun_from = {record.inputs.get("init") for record in stages}
    exported = {r.inputs.get("checkpoint"): r.stage.removeprefix("export_") for r in records if r.do == "export"}
    runs: list[Run] = []
    num_ends = 0
    for record in stages:
        is_end = record.made not in begun_from
        runs.append(
            Run(
                record=record,
                label=exported.get(record.made, record.stage),
                colour=num_ends % NUM_COLOURS + 1 if is_end else 0,
                first_token=_tokens_before(record, trained_or_averaged),
                metrics=read_metrics(record),
            )
        )
        num_ends += is_end
    return runs


def _tokens_before(record: Record, by_name: dict[str, Record]) -> float:
    """A stage that begins on the way of another one has seen that one's tokens up to its branch point."""
    seen, tokens = {record.made}, 0.0
    before = by_name.get(_begun_from(record))
    while before is not None and before.made not in seen:
        seen.add(before.made)
        tokens += _tokens_after(before, record.number("params", "init_step"))
        record, before = before, by_name.get(_begun_from(before))
    return tokens


def _begun_from(record: Record) -> str:
    """The stage whose weights these were first; of an average, that of its first member."""
    members = [made for role, made in record.inputs.items() if role.startswith("checkpoint/")]
    return record.inputs.get("init", members[0] if members else "")


def _tokens_after(record: Record, step: Any) -> float:
    """Of a stage's tokens those up to `step`; None: all."""
    tokens, steps = record.number("counts", "tokens") or 0, record.number("counts", "steps")
    return tokens * step / steps if step and steps else tokens


def read_checkpoints(records: Sequence[Record], runs: Sequence[Run]) -> list[Checkpoint]:
    by_name = {run.record.made: run for run in runs}
    checkpoints = []
    for record in records:
        if record.do != "export":
            continue
        run = by_name.get(record.inputs.get("checkpoint", ""))
        differences = [record.number("details", "parity", key) for key in PARITY_KEYS]
        checkpoints.append(
            Checkpoint(
                record=record,
                label=record.stage.removeprefix("export_"),
                colour=run.colour if run else 0,
                run=run,
                difference=next((found for found in differences if found is not None), None),
                limit=record.number("params", "max_logit_difference"),
            )
        )
    return checkpoints


@dataclass(frozen=True)
class Plot:
    title: str
    note: str
    wide: Markup
    narrow: Markup


def plots(runs: Sequence[Run]) -> list[Plot]:
    """Loss and learning rate of all runs on the same axis of tokens, then the branches' loss alone."""
    branches = [run for run in runs if run.colour and run.first_token]
    start = min((run.first_token for run in branches), default=None)
    made = [
        _plot("Training loss", "loss", runs, height=340, mark=start),
        _plot("Learning rate", "lr", runs, height=210, mark=start),
    ]
    if branches and len(branches) < len(runs):
        made.append(_plot("Training loss of the branches, closer", "loss", branches, height=300, first=start or 0))
    return [plot for plot in made if plot.wide]


def _plot(title: str, what: str, runs: Sequence[Run], *, height: int, first: float = 0, mark: float | None = None) -> Plot:
    curves = [Curve(run.label, run.colour, run.points(what)) for run in runs]

    is_loss = what == "loss"
    y_label = "loss (nats per token)" if is_loss else "learning rate"

    def drawn(width: int, tall: int) -> Markup:
        return curve_svg(curves, title=title, y_label=y_label, first=first, mark=mark, width=width, height=tall, smooth=is_loss)

    note = "faint: single steps, strong: their mean" if is_loss else ""
    return Plot(title, note, drawn(WIDE, height), drawn(NARROW, min(height, 270)))


def read_blends(runs: Sequence[Run]) -> list[Blend]:
    """Of each run, the ledger; where there is none, what was asked for."""
    blends = []
    for run in runs:
        rows: list[dict[str, Any]] = run.record.rows("details", "ledger")
        if not rows:
            asked = run.record.numbers("params", "blend")
            rows = [{"dataset": name, "asked_share": part} for name, part in asked.items()]
        shares = [
            Share(str(row.get("dataset", "")), _number(row.get("asked_share")), _number(row.get("delivered_share")))
            for row in rows
        ]
        title = f"Blend of {run.label}: asked and delivered"
        if rows:
            blends.append(Blend(run, rows, blend_svg(shares, title=title, colour=run.colour)))
    return blends


def _number(given: Any) -> float | None:
    return float(given) if is_number(given) else None
