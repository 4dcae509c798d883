"""The readiness card of one checkpoint (card.json): what its files and answers show, and a verdict a check by the limits of the
page. Another limit makes another card of the same answers.
"""

import logging
import time
from pathlib import Path
from typing import Any

import orjson

from pretrain.intervals import Figure
from pretrain.readiness.verdicts import of_figures
from recipes.manifest import publish
from recipes.schema.readiness import Limits
from recipes.stage import Stage, write_atomically

FORMAT = 1
CARD, FIGURES = "card.json", "figures.json"
log = logging.getLogger(__name__)


def run(stage: Stage) -> None:
    started = time.time()
    file = Path(stage.input("answers")) / FIGURES
    if not file.is_file():
        raise ValueError(f"{file} is not there; make the answers first, with: midtrain run {stage.page}")
    found = card(stage, orjson.loads(file.read_bytes()), Limits.model_validate(stage.params["limits"]))
    write_atomically(stage.folder / CARD, orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    for name, check in found["checks"].items():
        log.info("%-20s %-12s %s", name, check["verdict"], check.get("told", ""))
    publish(stage, counts=found["counts"], started=started, details={"readiness": found})


def card(stage: Stage, shown: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """`shown`: what the answers' stage left."""
    figures = {name: None if figure is None else Figure(**figure) for name, figure in shown["figures"].items()}
    judged = {name: check.record() for name, check in of_figures(figures, limits).items()}
    left_out = shown.get("contamination", {}).get("left_out")
    if left_out:
        judged["contamination"]["told"] = f"{left_out} questions left out: there was no room to complete them"
    about = {"format": FORMAT, "name": stage.name.removeprefix("readiness_"), "of": stage.inputs["checkpoint"].identity}
    return about | shown | {"checks": judged | shown["checks"]}
