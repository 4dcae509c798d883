"""Figures of a training run as JSON lines. What the recipe decides (loss, learning rate) is kept apart from what the machine
decides (seconds): the former are outputs and the same after any interruption, the latter are logs."""

import json
import os
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
VALIDATION = "validation.jsonl"  # at the stage's end
ON_THE_WAY = Path("logs") / "validation.jsonl"  # at the steps that the cadence asks for: never part of the output
SPEED = Path("logs") / "speed.jsonl"


class Journal:
    """Rows with a `step`, one a line. Opening it at a step drops what was written later: that will be done again."""

    def __init__(self, file: Path, *, keep_to_step: int | None) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if keep_to_step is not None:
            _truncate(file, keep_to_step)
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
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _truncate(file: Path, step: int) -> None:
    """In place, after the last whole line of a step that is kept. Steps only grow."""
    if not file.is_file():
        return
    kept = 0
    with open(file, "r+b") as lines:
        for line in lines:
            if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                break
            kept += len(line)
        lines.truncate(kept)
