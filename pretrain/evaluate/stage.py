"""An evaluation of a checkpoint: every benchmark of the page is asked, graded and scored.

The protocols are those of the literature (OctoThinker section 2, whose evaluation is DeepSeekMath's), the engine and the prompts
ours: lm-evaluation-harness asks for its data on the hub, grades by one grader, keeps nothing of a run that is killed, and gives a
standard error that is wrong for 40 items.
"""

import logging
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from pretrain.evaluate.answers import answer
from pretrain.evaluate.scores import grades, means, score
from pretrain.evaluate.sheet import Sheet, open_sheet
from pretrain.generation import open_engine
from pretrain.generation.engine import Engine, Sampling
from pretrain.generation.parts import Row
from recipes import schema
from recipes.grading import Grader
from recipes.manifest import merge_counts, publish
from recipes.schema.evaluation import Evaluation
from recipes.stage import Stage, write_atomically

SCORES = "scores.json"
NOT_OF_EVALUATION = ("seed", "engine")
log = logging.getLogger(__name__)


def run(stage: Stage) -> None:
    started = time.time()
    asked = asked_of(stage)
    sheets = [open_sheet(stage, name, benchmark) for name, benchmark in asked.benchmarks.items()]
    scores: dict[str, Any] = {}
    counted: list[dict[str, Any]] = []
    engine = engine_of(stage)
    with Grader(asked.seconds) as grader:
        for sheet in sheets:
            rows = _answers(sheet, asked, engine, grader, stage)
            scores[sheet.name] = score(rows, sheet.benchmark, sheet.fewest_shots)
            counted.append({"items": len(rows), "tokens": sum(row["tokens"] for row in rows), "grades": grades(rows)})
            log.info("%s", line(sheet.name, scores[sheet.name]))
    if engine.cache_info().currsize:
        engine().close()
    record = {"scores": scores, "means": means(scores)}
    write_atomically(stage.folder / SCORES, orjson.dumps(record, option=orjson.OPT_INDENT_2))
    publish(stage, counts={"benchmarks": len(sheets), **merge_counts(counted)}, started=started, details=record)


def asked_of(stage: Stage) -> Evaluation:
    """With the paths that the stage's inputs have."""
    params = {key: value for key, value in stage.params.items() if key not in NOT_OF_EVALUATION}
    benchmarks = {
        name: {**benchmark, "path": stage.input(f"benchmark/{name}")} for name, benchmark in params["benchmarks"].items()
    }
    return Evaluation.model_validate({**params, "benchmarks": benchmarks})


def engine_of(stage: Stage) -> Any:
    """Opens the stage's engine where it is first called: a stage whose answers are all there loads no model."""

    @cache
    def opened() -> Engine:
        engine = schema.Engine.model_validate(stage.params["engine"])
        serving = schema.Serving.model_validate(stage.run["serving"])
        return open_engine(Path(stage.input("checkpoint")), engine, serving, int(stage.run["cluster"]["threads_per_process"]))

    return opened


def _answers(sheet: Sheet, asked: Evaluation, engine: Callable[[], Engine], grader: Grader, stage: Stage) -> list[Row]:
    sampling = Sampling(sheet.benchmark.max_tokens, asked.temperature, asked.top_p, sheet.stop)
    return answer(sheet, engine, grader, sampling, stage.params["seed"], stage.folder)


def line(name: str, scored: dict[str, Any]) -> str:
    """A benchmark's score in a line of the log."""
    told = f"{name}: {scored['right']} of {scored['items']} right"
    return f"{told} ({scored['mean']:.1%}, {scored['low']:.1%} to {scored['high']:.1%})"
