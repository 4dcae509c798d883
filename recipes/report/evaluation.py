"""Scores of a page's checkpoints on its benchmarks, each with its interval; what was forgotten; how answers ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.figures import is_number
from recipes.report.proven import checkpoint_of, colour_keys
from recipes.report.record import Record
from recipes.score_interval import Interval, difference

FIGURES = ("tokens", "truncated", "ended", "stopped", "no_answer", "too_long", "disputed")
GENERAL = "general"


@dataclass(frozen=True)
class Row:
    """A benchmark, or the mean over those of a kind. `items`: None for a mean. A cell for each checkpoint; None: not measured."""

    name: str
    kind: str
    items: Any
    how: str
    cells: list[Interval | None]


@dataclass(frozen=True)
class Change:
    """Of a score against the first checkpoint's. `worse`: the whole interval lies below 0."""

    name: str
    cells: list[tuple[Interval, str] | None]


@dataclass(frozen=True)
class Evaluated:
    """`checkpoints`: (colour, name). `changes`: of means and general tasks; none where there is one checkpoint. `answers`:
    (checkpoint, benchmark, figures)."""

    checkpoints: list[tuple[int, str]]
    rows: list[Row]
    changes: list[Change]
    answers: list[tuple[str, str, dict[str, Any]]]


def read_evaluation(records: Sequence[Record], colours: Mapping[str, int]) -> Evaluated | None:
    """None where no checkpoint was evaluated. `colours`: by checkpoint (recipes/report/proven.py)."""
    asked = [record for record in records if record.do == "evaluate"]
    if not asked:
        return None
    checkpoints = [checkpoint_of(record) for record in asked]
    names = dict.fromkeys(name for record in asked for name in record.tree("details", "scores"))
    rows = [_row(asked, name) for name in names]
    ordered = []
    for kind in dict.fromkeys(row.kind for row in rows):
        of_kind = [row for row in rows if row.kind == kind]
        cells = [_interval(record, "details", "means", kind) for record in asked]
        mean = Row(f"mean of {kind}", kind, None, "", cells)
        ordered += [*of_kind, *([mean] if len(of_kind) > 1 else [])]
    answers = [
        (checkpoint, name, {key: record.number("details", "scores", name, key) for key in FIGURES})
        for record, checkpoint in zip(asked, checkpoints, strict=True)
        for name in names
    ]
    written = [row for row in answers if row[2]["tokens"] is not None]
    return Evaluated(colour_keys(colours, checkpoints), ordered, _changes(ordered) if len(asked) > 1 else [], written)


def _row(asked: Sequence[Record], name: str) -> Row:
    """What is asked is the same of all checkpoints; the first that knows it tells."""
    told = next((found for record in asked if (found := record.tree("details", "scores", name))), {})
    shots = told.get("shots")
    how = f"{shots}-shot {told.get('template')}, " if is_number(shots) else ""
    how += str(told.get("grade") or "").replace("_", " ")
    cells = [_interval(record, "details", "scores", name) for record in asked]
    return Row(name, str(told.get("kind") or "mathematics"), told.get("items"), how, cells)


def _interval(record: Record, *keys: str) -> Interval | None:
    found = [record.number(*keys, key) for key in ("mean", "low", "high")]
    return (float(found[0]), float(found[1]), float(found[2])) if all(is_number(figure) for figure in found) else None


def _changes(rows: Sequence[Row]) -> list[Change]:
    changes = []
    for row in rows:
        first, *others = row.cells
        if row.items is None or row.kind == GENERAL:
            changes.append(Change(row.name, [_change(cell, first) for cell in others]))
    return changes


def _change(cell: Interval | None, first: Interval | None) -> tuple[Interval, str] | None:
    if cell is None or first is None:
        return None
    found = difference(cell, first)
    return found, "worse" if found[2] < 0 else "better" if found[1] > 0 else ""
