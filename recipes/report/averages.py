"""Averages of checkpoints: what each is made of, and the held-out loss of every member beside the average's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.record import Record


@dataclass(frozen=True)
class Average:
    """`rows`: the members, then the average. Of each its weight, and a cell a held-out set."""

    record: Record
    names: list[str]
    rows: list[dict[str, Any]]


def read_averages(records: Sequence[Record]) -> list[Average]:
    return [_average(record) for record in records if record.do == "average"]


def _average(record: Record) -> Average:
    members = record.rows("details", "members")
    own = record.numbers("details", "validation")
    losses = [member.get("validation") for member in members] + [own]
    known = [entry if isinstance(entry, dict) else {} for entry in losses]
    labels = [f"{member.get('stage')} after step {member.get('step')}" for member in members] + [record.stage]
    weights = [member.get("weight") for member in members] + [None]
    rows = []
    for label, weight, by_name in zip(labels, weights, known, strict=True):
        cells = [{"loss": by_name.get(name), "is_best": by_name.get(name) == _lowest(known, name)} for name in own]
        rows.append({"label": label, "weight": weight, "cells": cells, "is_average": weight is None})
    return Average(record, list(own), rows)


def _lowest(known: Sequence[dict[str, Any]], name: str) -> Any:
    return min((loss for by_name in known if isinstance(loss := by_name.get(name), float)), default=None)
