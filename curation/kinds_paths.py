"""The kinds of stages that make paths of reasoning (curation/paths): the datatrove steps of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.stage_inputs import endpoint_of, own, without_model
from recipes.schema import BuildGraphsStage, ResumeTracesStage, SamplePathsStage
from recipes.stage import Stage

Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]


def _resume_traces(stage: Stage, book: Book) -> Made:
    """Answers lie outside the stage's folder, as those of all stages that ask."""
    from curation.paths.resume import Prompts, ResumeTraces

    params = ResumeTracesStage(do="resume_traces", endpoint=endpoint_of(stage), **without_model(stage))
    prompts = Prompts(
        resume=Path(stage.input("prompt")),
        back=Path(stage.input("prompt/back")),
        answers=stage.folder.parent / "answers" / stage.name / stage.fingerprint,
        seed=stage.params["seed"],
    )
    return [ResumeTraces(params, prompts, book)], None


def _build_graphs(stage: Stage, book: Book) -> Made:
    from curation.paths.build import BuildGraphs

    return [BuildGraphs(BuildGraphsStage(do="build_graphs", **own(stage)), book)], None


def _sample_paths(stage: Stage, book: Book) -> Made:
    from curation.paths.sample import SamplePaths

    params = SamplePathsStage(do="sample_paths", **own(stage))
    return [SamplePaths(params, Path(stage.input("tokenizer")), stage.params["seed"], book)], None


PATHS: dict[str, Callable[[Stage, Book], Made]] = {
    "resume_traces": _resume_traces,
    "build_graphs": _build_graphs,
    "sample_paths": _sample_paths,
}
