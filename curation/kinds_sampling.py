"""The kinds of stages that make chains of thought by rejection sampling (curation/sampling): the datatrove steps of each."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.stage_inputs import endpoint_of, own, without_model
from recipes.manifest import read_summary
from recipes.schema import CheckSummariesStage, KeepVerifiedStage, SampleAnswersStage
from recipes.stage import Stage

if TYPE_CHECKING:
    from curation.sampling.asked import Sampler

Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]


def _sample_answers(stage: Stage, book: Book) -> Made:
    from curation.sampling.sample import SampleAnswers

    params = SampleAnswersStage(do="sample_answers", endpoint=endpoint_of(stage), **without_model(stage))
    return [SampleAnswers(params, _sampler(stage, params, params.samples, params.top_p), book)], None


def _keep_verified(stage: Stage, book: Book) -> Made:
    from curation.sampling.verified import KeepVerified

    return [KeepVerified(KeepVerifiedStage(do="keep_verified", **own(stage)), book)], None


def _check_summaries(stage: Stage, book: Book) -> Made:
    from curation.sampling.summaries import CheckSummaries

    params = CheckSummariesStage(do="check_summaries", endpoint=endpoint_of(stage), **without_model(stage))
    return [CheckSummaries(params, _sampler(stage, params, params.summaries), book)], None


def _sampler(stage: Stage, params: SampleAnswersStage | CheckSummariesStage, samples: int, top_p: float = 1.0) -> "Sampler":
    """Answers lie outside the stage's folder: one of this name with other parameters finds those that it shares."""
    from curation.sampling.asked import Sampler

    return Sampler(
        endpoint=params.endpoint,
        prompt=Path(stage.input("prompt")),
        answers=stage.folder.parent / "answers" / stage.name / stage.fingerprint,
        seed=stage.params["seed"],
        samples=samples,
        temperature=params.temperature,
        max_tokens=params.max_answer_tokens,
        top_p=top_p,
    )


def pass_at_k(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table of all ranks' questions."""
    from recipes.pass_at_k import table

    counted = read_summary(Path(stage.input("verified")))["counts"].get("solved", {})
    solved = {(int(n), int(right)): number for n, by_right in counted.items() for right, number in by_right.items() if int(n)}
    return {"questions": sum(solved.values())}, {"pass_at_k": table(solved, stage.params["pass_at"])}


SAMPLING: dict[str, Callable[[Stage, Book], Made]] = {
    "sample_answers": _sample_answers,
    "keep_verified": _keep_verified,
    "check_summaries": _check_summaries,
}
