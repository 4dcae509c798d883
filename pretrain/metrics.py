"""Figures of a training run as JSON lines. What the recipe decides (loss, learning rate) is kept apart from what the machine
decides (seconds, bytes): the former are outputs and the same after any interruption, the latter are logs."""

import json
import math
import os
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
VALIDATION = "validation.jsonl"  # before the stage's first step and at its end
ON_THE_WAY = Path("logs") / "validation.jsonl"  # at the steps that the cadence asks for: never part of the output
SPEED = Path("logs") / "speed.jsonl"


class Journal:
    """Rows with a `step`, one a line. Opening it at a step takes what was written later off: it is done again. A line that a kill
    or a full disk has cut is taken off in any case."""

    def __init__(self, file: Path, *, keep_to_step: int | None) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if keep_to_step is None:
            trim(file)
        else:
            cut(file, keep_to_step)
        self.file = open(file, "ab")

    def write(self, **row: Any) -> None:
        self.file.write(json.dumps(row).encode() + b"\n")
        self.file.flush()

    def sync(self) -> None:
        """To the disk: called before a checkpoint is published, so that no checkpoint is ahead of its figures."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.sync()
        self.file.close()


def read_journal(file: Path) -> list[dict[str, Any]]:
    """Whole lines; the last may have been cut."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def trim(file: Path) -> None:
    """Takes off a last line that is not whole: the next one would be written behind it."""
    if file.is_file() and not (content := file.read_bytes()).endswith(b"\n"):
        os.truncate(file, content.rfind(b"\n") + 1)


def rows_behind(file: Path, step: int) -> list[dict[str, Any]]:
    return [row for row in read_journal(file) if row["step"] > step]


def finite(number: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return number if math.isfinite(number) else None


def cut(file: Path, step: int) -> list[dict[str, Any]]:
    """In place, after the last whole line of a step that is kept; returns the rows behind it. Steps only grow."""
    rows = read_journal(file)
    if not file.is_file():
        return []
    kept = len(rows) - len(rows_behind(file, step))
    with open(file, "r+b") as lines:
        for _ in range(kept):
            lines.readline()
        lines.truncate(lines.tell())
    return rows[kept:]
