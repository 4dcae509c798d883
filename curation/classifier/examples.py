"""Labelled examples: rows of jsonl with `text` and `label` (1 good, 0 bad), read, split and balanced."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from curation.classifier.text import normalize

NUM_LINES = 5  # that are named of each kind of bad rows
Row = tuple[str, int]  # normalized text, label


@dataclass
class Examples:
    """The good rows of files, equal texts once, and counts of all of their rows. Bad ones are counted by kind, and where the
    first of each kind stand is kept: lines of one file, FOLDER/FILE:LINE of several."""

    rows: list[Row]
    counts: dict[str, int]
    bad_lines: dict[str, list[int | str]]

    def __str__(self) -> str:
        lines = [f"{kind} in line {', '.join(map(str, lines))}" for kind, lines in self.bad_lines.items()]
        return ", ".join([*(f"{what} {number}" for what, number in self.counts.items()), *lines])


def read_examples(*paths: Path, without: Container[str] = ()) -> Examples:
    """`without`: normalized texts that are left out, and counted as `also_in_examples`."""
    counts: Counter[str] = Counter(rows=0, positive=0, negative=0)
    labels: dict[str, int] = {}
    bad_lines: dict[str, list[int | str]] = {}
    for path, number, line in _lines(paths):
        counts["rows"] += 1
        text, label, problem = _read_row(line)
        if problem is None and text in labels:
            problem = "duplicate" if labels[text] == label else "contradiction"
        if problem is None and text in without:
            problem = "also_in_examples"
        if problem is not None:
            counts[problem] += 1
            if counts[problem] <= NUM_LINES:
                where = number if len(paths) == 1 else f"{path.parent.name}/{path.name}:{number}"
                bad_lines.setdefault(problem, []).append(where)
            continue
        labels[text] = label
        counts["positive" if label else "negative"] += 1
    return Examples(list(labels.items()), dict(counts), bad_lines)


def _lines(paths: tuple[Path, ...]) -> Iterator[tuple[Path, int, bytes]]:
    """Those that are not empty, with their numbers."""
    for path in paths:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            yield from ((path, number, line) for number, line in enumerate(file, start=1) if line.strip())


def _read_row(line: bytes) -> tuple[str, int, str | None]:
    """Normalized text, label, and what is wrong with the row."""
    try:
        row = json.loads(line)
    except ValueError:  # UnicodeDecodeError is one
        return "", 0, "bad_json"
    if not isinstance(row, dict):
        return "", 0, "bad_json"
    if not isinstance(row.get("text"), str):
        return "", 0, "bad_text"
    if not isinstance(row.get("label"), int) or row["label"] not in (0, 1):
        return "", 0, "bad_label"
    text = normalize(row["text"])
    return text, int(row["label"]), None if text else "empty_text"


def split(rows: list[Row], held_out_share: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and held-out rows, both shuffled, with the same share of each label."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    training, held_out = [], []
    for wanted in (1, 0):
        of_label = [row for row in shuffled if row[1] == wanted]
        num_held_out = round(len(of_label) * held_out_share)
        held_out += of_label[:num_held_out]
        training += of_label[num_held_out:]
    return random.Random(seed).sample(training, len(training)), held_out


def balanced(rows: list[Row]) -> list[Row]:
    """As many rows of the more frequent label as there are of the other: the first ones, in the order given."""
    left = dict.fromkeys((0, 1), min(Counter(label for _, label in rows).values()))
    kept = []
    for row in rows:
        if left[row[1]]:
            left[row[1]] -= 1
            kept.append(row)
    return kept
