"""The score above which the best documents fill a budget of tokens, of the whole corpus or of each year.

Tokens are characters divided by the page's characters_per_token. Thresholds have four digits, as scores on record.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from curation.classifier.origin import UNKNOWN
from recipes.schema import ChooseThresholdStage
from recipes.stage import write_atomically

THRESHOLDS = "thresholds.json"
STEPS = 10_000
CURVE = tuple(round(step / 10, 1) for step in range(10))
Counts = npt.NDArray[np.int64]  # (2, STEPS + 1): documents and characters by score


def choose_threshold(
    scores: list[Path], params: ChooseThresholdStage, out: Path, *, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Writes out/thresholds.json and returns what is in it: for `all` or each year, `min_score` and what it keeps."""
    by_year: dict[str, Counts] = {}
    for done, path in enumerate(scores):
        progress(done, len(scores))
        _add(by_year, path, params.per_year)
    found = {name: _fill(counts, params) for name, counts in sorted(by_year.items())}
    write_atomically(out / THRESHOLDS, (json.dumps(found, indent=1) + "\n").encode())
    return {"thresholds": found}


def _add(by_year: dict[str, Counts], path: Path, per_year: bool) -> None:
    table = pq.read_table(path, columns=["year", "characters", "score"])
    steps = np.clip(np.rint(table["score"].to_numpy() * STEPS).astype(np.int64), 0, STEPS)
    characters = table["characters"].to_numpy()
    years = table["year"].fill_null(-1).to_numpy() if per_year else np.zeros(len(table), np.int64)
    for year in np.unique(years) if per_year else [0]:
        mine = years == year
        name = (UNKNOWN if year < 0 else str(year)) if per_year else "all"
        counts = by_year.setdefault(name, np.zeros((2, STEPS + 1), np.int64))
        np.add.at(counts[0], steps[mine], 1)
        np.add.at(counts[1], steps[mine], characters[mine])


def _fill(counts: Counts, params: ChooseThresholdStage) -> dict[str, Any]:
    """The highest threshold at which the budget is full; 0 when all documents together do not fill it."""
    documents, characters = (np.cumsum(row[::-1])[::-1] for row in counts)  # of this score and above
    tokens = characters / params.characters_per_token
    full = np.flatnonzero(tokens >= params.token_budget)
    step = int(full[-1]) if len(full) else 0

    def kept(at: int) -> dict[str, int]:
        return {"documents": int(documents[at]), "tokens": round(float(tokens[at]))}

    return {
        "min_score": step / STEPS,
        "is_full": bool(len(full)),
        **kept(step),
        "at_thresholds": [{"threshold": threshold, **kept(round(threshold * STEPS))} for threshold in CURVE],
    }
