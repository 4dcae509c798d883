"""What all runs of a page's probe come to: a verdict a checkpoint, and the checkpoints beside each other.

Never one number: base accuracy, what GRPO made of it, the control and collapse stand beside each other. No branch is chosen by
base scores: OctoThinker's Long branch of 3B has the worst of them (mean of 13 benchmarks 45.5, Hybrid 47.6) and the best scores
after RL (MATH500 65.1, Hybrid 58.0).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pretrain.probe import crossed, verdict
from pretrain.probe.curve import AFTER, ANSWERS, BEFORE, CURVE
from recipes.manifest import publish, read_summary
from recipes.schema.probe import Collapse
from recipes.stage import Stage, write_atomically

VERDICT = "probe.json"
ROLE = "run/"
BASE_SCORES = "base scores choose no branch: what a checkpoint becomes by RL may stand in another order"
ON_CPU = "made on a CPU: this proves that the parts fit together and says nothing of the data"


@dataclass(frozen=True)
class Run:
    """`answers`: by "before" or "after" and by problem, the share of its answers that is right."""

    checkpoint: str
    arm: str
    number: int
    answers: Mapping[str, Mapping[int, float]]
    curve: list[dict[str, Any]]
    device: str


def run(stage: Stage) -> None:
    started = time.time()
    runs = [read_run(role, Path(entry.location)) for role, entry in stage.inputs.items() if role.startswith(ROLE)]
    found = judge(runs, Collapse.model_validate(stage.params["collapse"]), stage.params["seed"])
    write_atomically(stage.folder / VERDICT, orjson.dumps(found, option=orjson.OPT_INDENT_2))
    counts = {"runs": len(runs), "checkpoints": len(found["checkpoints"]), "problems": found["problems"]}
    publish(stage, counts=counts, started=started, details={"probe": found})


def read_run(role: str, folder: Path) -> Run:
    _, checkpoint, arm, number = role.split("/")
    tries: dict[str, dict[int, list[bool]]] = {BEFORE: {}, AFTER: {}}
    for row in _rows(folder / ANSWERS):
        tries[row["when"]].setdefault(row["problem"], []).append(row["right"])
    answers = {when: {problem: float(np.mean(each)) for problem, each in by.items()} for when, by in tries.items()}
    device = read_summary(folder)["details"]["probe"]["device"]
    return Run(checkpoint, arm, int(number), answers, _rows(folder / CURVE), device)


def judge(runs: list[Run], collapse: Collapse, seed: int) -> dict[str, Any]:
    """Problems that some run was not asked, for being too long for its model, are left out of all."""
    problems = sorted(set.intersection(*(set(one.answers[AFTER]) for one in runs)))
    if not problems:
        raise ValueError("no held-out problem is short enough for all checkpoints; lower probe.max_tokens")
    names = list(dict.fromkeys(one.checkpoint for one in runs))
    tables = {name: _tables([one for one in runs if one.checkpoint == name], problems) for name in names}
    collapses = [
        {"checkpoint": one.checkpoint, "arm": one.arm, "run": one.number, "what": found}
        for one in runs
        if (found := verdict.collapses(one.curve, collapse))
    ]
    broken = {row["checkpoint"] for row in collapses if row["arm"] == "random"}  # controls, one run of which is enough
    return {
        "problems": len(problems),
        "checkpoints": {name: _checkpoint(tables[name], name in broken, seed) for name in names},
        "collapses": collapses,
        "pairs": [_pair(a, b, tables, seed) for a, b in combinations(names, 2)],
        "warnings": [BASE_SCORES, *([ON_CPU] if any(one.device == "cpu" for one in runs) else [])],
    }


def _tables(runs: list[Run], problems: list[int]) -> dict[str, crossed.Table]:
    """Rows are runs in the order of their numbers, which are the same in both arms."""

    def table(arm: str, when: str) -> crossed.Table:
        chosen = sorted((one for one in runs if one.arm == arm), key=lambda one: one.number)
        return np.array([[one.answers[when][problem] for problem in problems] for one in chosen])

    return {"before": table("answer", BEFORE), "answer": table("answer", AFTER), "random": table("random", AFTER)}


def _checkpoint(tables: dict[str, crossed.Table], control_broke: bool, seed: int) -> dict[str, Any]:
    against_control = verdict.difference(tables["answer"], tables["random"], seed)
    against_before = verdict.difference(tables["answer"], tables["before"], seed)
    return {
        "verdict": verdict.of_differences(against_control, against_before, control_broke=control_broke),
        "before": crossed.interval(tables["before"], seed),
        "after": crossed.interval(tables["answer"], seed),
        "control": crossed.interval(tables["random"], seed),
        "against_control": against_control,
        "against_before": against_before,
    }


def _pair(a: str, b: str, tables: dict[str, dict[str, crossed.Table]], seed: int) -> dict[str, Any]:
    """By problem and seed: how much better a is than b, before and after."""
    before = verdict.difference(tables[a]["before"], tables[b]["before"], seed)
    after = verdict.difference(tables[a]["answer"], tables[b]["answer"], seed)
    is_enough = after["seeds"] >= verdict.MIN_SEEDS and after["problems"] >= verdict.MIN_PROBLEMS
    better = a if after["low"] > 0 else b if after["high"] < 0 else None
    return {
        "first": a,
        "second": b,
        "before": before,
        "after": after,
        "better": better if is_enough else None,
        "order_changes": is_enough and (before["low"] > 0 > after["high"] or before["high"] < 0 < after["low"]),
    }


def _rows(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]
