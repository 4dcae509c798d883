"""What documents were compared with, what was hit, and how much of what was planted the same detector found."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.classifier import interval
from recipes.report.figures import is_number
from recipes.report.record import Record, flat

CERTIFICATE = "certificate.json"
MAX_BYTES = 50_000_000
HASH_CHARS = 12  # of a sha256 shown; the certificate has all
HIT_COLUMNS = ("tier", "benchmark", "part", "documents", "share", "matched")


@dataclass(frozen=True)
class Table:
    """`rows`: (name, figures in the order of `columns`). A figure may be (value, low, high): a share with its interval."""

    heading: str
    first: str
    columns: list[str]
    rows: list[tuple[str, list[Any]]]


@dataclass(frozen=True)
class Contamination:
    """`tables` of benchmarks and of planted canaries, the items that were `hit`, `figures` that stand alone."""

    stage: str
    tables: list[Table]
    hits: list[Table]
    figures: list[tuple[str, Any]]


def read_contamination(records: Sequence[Record]) -> list[Contamination]:
    found = [_of(record) for record in records if record.do in ("decontaminate", "certificate")]
    return [told for told in found if told.tables or told.hits or told.figures]


def _of(record: Record) -> Contamination:
    """Trees of mappings by name become tables, all else figures."""
    details = record.tree("details")
    dropped = record.numbers("counts", "details", "contaminated")
    tables, rest = [], {}
    for key, value in details.items():
        by_name = _by_name(value)
        if key == "benchmarks" and (by_name or dropped):
            tables.append(_benchmarks(by_name, dropped, told=record.do == "decontaminate"))
        elif by_name:
            tables.append(_table(key, by_name))
        else:
            rest[key] = value
    return Contamination(record.stage, [table for table in tables if table.rows], _hits(record), flat(rest))


def _hits(record: Record) -> list[Table]:
    """The items that documents held, the surest first, with the words that gave them away."""
    file = record.folder / CERTIFICATE
    if record.do != "certificate" or not file.is_file() or file.stat().st_size > MAX_BYTES:
        return []
    try:
        hits = json.loads(file.read_bytes())["hits"]
    except (ValueError, KeyError, TypeError):
        return []  # changed since it was made, which `midtrain verify` names
    found = [row for row in hits if isinstance(row, dict)] if isinstance(hits, list) else []
    found.sort(key=lambda row: (row.get("tier") == "near", -row["share"] if is_number(row.get("share")) else 0))
    rows = [(str(row.get("item")), [row.get(column) for column in HIT_COLUMNS]) for row in found]
    return [Table(f"{len(rows):,} items hit", "item", list(HIT_COLUMNS), rows)] if rows else []


def _by_name(value: Any) -> dict[str, dict[str, Any]]:
    """A mapping of mappings, or rows that each carry a name; else nothing."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        keys = [key for key in ("name", "kind", "benchmark", "variant", "item") if all(key in row for row in value)]
        if keys:
            return {str(row[keys[0]]): {k: v for k, v in row.items() if k != keys[0]} for row in value}
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return {str(name): row for name, row in value.items()}
    return {}


def _benchmarks(by_name: dict[str, dict[str, Any]], dropped: dict[str, Any], *, told: bool) -> Table:
    """Every benchmark, also one that hit nothing: `dropped` documents are a figure of it."""
    if told:
        named = dict.fromkeys([*by_name, *dropped])
        by_name = {name: {**by_name.get(name, {}), "documents_dropped": dropped.get(name, 0)} for name in named}
    return _table("benchmarks", by_name)


def _table(key: str, by_name: dict[str, dict[str, Any]]) -> Table:
    columns: dict[str, None] = {}
    for row in by_name.values():
        columns |= dict.fromkeys(column for column, figure in row.items() if is_number(figure) or isinstance(figure, str))
    shown = [column for column in columns if not column.endswith(("_low", "_high"))]
    rows = [(name, [_figure(row, column) for column in shown]) for name, row in by_name.items()]
    return Table(key, "benchmark" if key == "benchmarks" else "kind", shown, rows)


def _figure(row: dict[str, Any], column: str) -> Any:
    low, high = interval(row, column)
    if column == "sha256":
        return str(row.get(column))[:HASH_CHARS]
    return row.get(column) if low is None else (row.get(column), low, high)
