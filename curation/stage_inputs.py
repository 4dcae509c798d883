"""What a written stage says of itself, for the functions that do its kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.schema import DECIDES_ANSWERS, DecontaminateStage, Endpoint
from recipes.stage import Stage

if TYPE_CHECKING:
    from curation.dedup import Signatures


def own(stage: Stage) -> dict[str, Any]:
    """The parameters of the stage's kind alone."""
    return {key: value for key, value in stage.params.items() if key not in ("shards", "sources", "seed")}


def dedup_signatures(stage: Stage) -> "list[Signatures]":
    """Those of these documents, then those of indexes."""
    from curation.dedup import Signatures

    new = Signatures(Path(stage.input("signatures")))
    old = {role.removeprefix("against/"): Signatures(Path(stage.input(role))) for role in stage.inputs if "against/" in role}
    for name, index in old.items():
        index.check_like(name, new)
    return [new, *old.values()]


def benchmarks(stage: Stage) -> tuple[DecontaminateStage, dict[str, Path]]:
    files = {role.removeprefix("benchmarks/"): Path(stage.input(role)) for role in stage.inputs if role.startswith("benchmarks/")}
    named = {name: str(path) for name, path in files.items()}
    return DecontaminateStage(do="decontaminate", benchmarks=named, **own(stage)), files


def endpoint_of(stage: Stage) -> Endpoint:
    """Which model answers is a stage's identity; where it runs is not."""
    return Endpoint(**stage.run["endpoint"], **{key: stage.params[key] for key in DECIDES_ANSWERS})


def without_model(stage: Stage) -> dict[str, Any]:
    return {key: value for key, value in own(stage).items() if key not in DECIDES_ANSWERS}
