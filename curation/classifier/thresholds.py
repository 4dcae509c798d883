"""The score above which the best documents fill a budget of tokens, of the whole corpus or of each year; and what a stage chose.

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
from recipes.manifest import read_manifest
from recipes.schema import ChooseThresholdStage
from recipes.stage import write_atomically

THRESHOLDS = "thresholds.json"
ALL = "all"
STEPS = 10_000
CURVE = tuple(round(step / 10, 1) for step in range(10))
Counts = npt.NDArray[np.int64]  # (2, STEPS + 1): documents and characters by score


def choose_threshold(
    scores: list[Path], params: ChooseThresholdStage, out: Path, *, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Writes out/thresholds.json and returns what is in it: for each year, if asked for, and for `all`, `min_score` and what it
    keeps. With years, `all` fills as many budgets as there are years; documents of no year go by it."""
    by_year: dict[str, Counts] = {}
    for done, path in enumerate(scores):
        progress(done, len(scores))
        _add(by_year, path)
    years = sorted(year for year in by_year if year != UNKNOWN) if params.per_year else []
    total = sum(by_year.values(), np.zeros((2, STEPS + 1), np.int64))
    found = {year: _at(*_full(by_year[year], params, params.token_budget), by_year[year], params) for year in years}
    step, is_full = _full(total, params, params.token_budget * max(1, len(years)))
    found[ALL] = _at(step, is_full, total, params)
    if years and UNKNOWN in by_year:
        found[UNKNOWN] = _at(step, is_full, by_year[UNKNOWN], params)
    write_atomically(out / THRESHOLDS, (json.dumps(found, indent=1) + "\n").encode())
    return {"thresholds": found}


def read_chosen(stage: Path) -> dict[str, float]:
    """The min_score that a finished choose_threshold or train_classifier stage chose: for `all`, and for years where it did."""
    details = read_manifest(stage)["details"]
    if "thresholds" in details:
        return {name: row["min_score"] for name, row in details["thresholds"].items() if name != UNKNOWN}
    if details.get("chosen") is None:
        raise ValueError(
            f"{stage} chose no threshold: no good example was held out; raise validation_share of the train_classifier stage, "
            "give it more examples, or set min_score to a number"
        )
    return {ALL: details["chosen"]["min_score"]}


def _add(by_year: dict[str, Counts], path: Path) -> None:
    table = pq.read_table(path, columns=["year", "characters", "score"])
    steps = np.clip(np.rint(table["score"].to_numpy() * STEPS).astype(np.int64), 0, STEPS)
    characters = table["characters"].to_numpy()
    years = table["year"].fill_null(-1).to_numpy()
    for year in np.unique(years):
        mine = years == year
        counts = by_year.setdefault(UNKNOWN if year < 0 else str(year), np.zeros((2, STEPS + 1), np.int64))
        np.add.at(counts[0], steps[mine], 1)
        np.add.at(counts[1], steps[mine], characters[mine])


def _full(counts: Counts, params: ChooseThresholdStage, budget: int) -> tuple[int, bool]:
    """The highest step at which the budget is full; 0 and False when all documents together do not fill it."""
    full = np.flatnonzero(_and_above(counts[1]) / params.characters_per_token >= budget)
    return (int(full[-1]), True) if len(full) else (0, False)


def _and_above(row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.cumsum(row[::-1])[::-1]


def _at(step: int, is_full: bool, counts: Counts, params: ChooseThresholdStage) -> dict[str, Any]:
    """What a threshold keeps, and for comparison others."""
    documents, tokens = _and_above(counts[0]), _and_above(counts[1]) / params.characters_per_token

    def kept(at: int) -> dict[str, int]:
        return {"documents": int(documents[at]), "tokens": round(float(tokens[at]))}

    return {
        "min_score": step / STEPS,
        "is_full": is_full,
        **kept(step),
        "at_thresholds": [{"threshold": threshold, **kept(round(threshold * STEPS))} for threshold in CURVE],
    }
