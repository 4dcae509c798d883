"""The kinds of stages that choose few documents (curation/selection): the datatrove steps of each."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.stage_inputs import endpoint_of, own, without_model
from recipes.schema import DropSolvedStage, Endpoint, LabelTopicStage, SelectStage
from recipes.stage import Stage

if TYPE_CHECKING:
    from curation.selection.solved import Asked

Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]


def _drop_solved(stage: Stage, book: Book) -> Made:
    from curation.selection.solved import DropSolved

    endpoints = {key: _endpoint(stage, key) for key in ("solver", "judge")}
    params = DropSolvedStage(do="drop_solved", **{**own(stage), **endpoints})
    step = DropSolved(params, _asked(stage, "solver"), _asked(stage, "judge"), stage.params["seed"], book)
    return [step], None


def _endpoint(stage: Stage, key: str) -> Endpoint | None:
    decisive = stage.params[key]
    return None if decisive is None else Endpoint(**stage.run[key], **decisive)


def _asked(stage: Stage, key: str) -> "Asked | None":
    """Answers lie outside the stage's folder, as those of all stages that ask."""
    from curation.selection.solved import Asked

    if stage.params[key] is None:
        return None
    answers = stage.folder.parent / "answers" / f"{stage.name}_{key}" / stage.fingerprint
    return Asked(Path(stage.input(f"prompt/{key}")), answers)


def _label_topic(stage: Stage, book: Book) -> Made:
    from curation.language_model.asker import Asker
    from curation.selection.topics import AskTopics, ReadTopics

    topics = Path(stage.input("topics"))
    if "field" in stage.params:
        return [ReadTopics(stage.params["field"], topics, book)], None
    params = LabelTopicStage(do="label_topic", endpoint=endpoint_of(stage), **without_model(stage))
    answers = stage.folder.parent / "answers" / stage.name / stage.fingerprint
    asker = Asker(params, Path(stage.input("prompt")), answers, stage.params["seed"])
    return [AskTopics(params, asker, topics, book)], None


def _select_keys(stage: Stage, book: Book) -> Made:
    from curation.selection.select import WriteKeys

    tokenizer = Path(stage.input("tokenizer")) if "tokenizer" in stage.inputs else None
    return [WriteKeys(SelectStage(do="select", total=1, **own(stage)), tokenizer, book)], None


def _select(stage: Stage, book: Book) -> Made:
    from curation.selection.select import CHOSEN, KeepSelected

    return [KeepSelected(Path(stage.input("choice")) / CHOSEN, book)], None


SELECTION: dict[str, Callable[[Stage, Book], Made]] = {
    "drop_solved": _drop_solved,
    "label_topic": _label_topic,
    "select_keys": _select_keys,
    "select": _select,
}
