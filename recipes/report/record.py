"""A finished stage as the report reads it: its manifest, and the figures of a training run.

Manifests of other versions of the program may lack keys or hold other types: asking for what is not there gives None
or an empty list, and the page shows a dash.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.manifest import read_manifest
from recipes.report.figures import clean, is_number

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Record:
    folder: Path
    manifest: dict[str, Any]

    @property
    def page(self) -> str:
        return str(self.manifest.get("page") or "")

    @property
    def stage(self) -> str:
        return str(self.manifest.get("stage") or "")

    @property
    def do(self) -> str:
        return str(self.manifest.get("do") or "")

    @property
    def name(self) -> str:
        return f"{self.page}/{self.stage}"

    @property
    def made(self) -> str:
        """How other manifests name this stage in `inputs.*.made_by`."""
        return f"{self.name}-{self.manifest.get('fingerprint')}"

    @property
    def inputs(self) -> dict[str, str]:
        """Role: the stage that made it. Inputs from outside are left out."""
        made = {role: entry.get("made_by") for role, entry in self.tree("inputs").items() if isinstance(entry, dict)}
        return {role: name for role, name in made.items() if isinstance(name, str)}

    def at(self, *keys: str) -> Any:
        found: Any = self.manifest
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def number(self, *keys: str) -> Any:
        """An int or a float, or None."""
        found = self.at(*keys)
        return found if is_number(found) else None

    def tree(self, *keys: str) -> dict[str, Any]:
        found = self.at(*keys)
        return found if isinstance(found, dict) else {}

    def rows(self, *keys: str) -> list[dict[str, Any]]:
        """The mappings of a list."""
        found = self.at(*keys)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def numbers(self, *keys: str) -> dict[str, Any]:
        """The numbers of a mapping."""
        return {str(key): amount for key, amount in self.tree(*keys).items() if is_number(amount)}


def read_records(folders: Iterable[Path]) -> list[Record]:
    return [Record(Path(folder), read_manifest(Path(folder))) for folder in folders]


@dataclass(frozen=True)
class Metrics:
    """Of each step, in order: tokens of this stage seen after it, loss, learning rate. Steps that a guard skipped and that have
    no loss are left out."""

    tokens: list[float]
    loss: list[float]
    lr: list[float]
    num_damaged: int  # lines that are no such figures


def read_metrics(record: Record) -> Metrics | None:
    """None when the stage left no figures."""
    file = record.folder / METRICS
    if not file.is_file():
        return None
    metrics, damaged = Metrics([], [], [], 0), 0
    for line in file.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # UnicodeDecodeError is one
            row = None
        row = row if isinstance(row, dict) else {}
        if "skipped" in row and row.get("loss") is None:
            continue
        figures = [float(row[key]) for key in ("tokens_seen", "loss", "lr") if is_number(row.get(key))]
        if len(figures) < 3:
            damaged += 1
            continue
        for into, figure in zip((metrics.tokens, metrics.loss, metrics.lr), figures, strict=True):
            into.append(figure)
    return Metrics(metrics.tokens, metrics.loss, metrics.lr, damaged)


def flat(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Leaves of a tree as ("one two", value), in the tree's order; lists of plain values become one text."""
    if isinstance(tree, dict):
        return [leaf for key, branch in tree.items() for leaf in flat(branch, (*path, clean(str(key))))]
    if isinstance(tree, list):
        tree = ", ".join(clean(str(entry)) for entry in tree)
    return [(" · ".join(path).replace("_", " "), tree)]
