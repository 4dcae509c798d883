"""Keys of the stages that make chains of thought by rejection sampling (o1 reproduction notes)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from recipes.schema.base import Name, Positive, PositiveFloat, Share, Strict
from recipes.schema.endpoint import Endpoint
from recipes.schema.filters import Script

Accept = Literal["math_verify", "text", "either", "both"]


class SampleAnswersStage(Strict):
    """Asks a language model for several answers to each question, which the format stage kept (`keep: [question]`)."""

    do: Literal["sample_answers"]
    endpoint: Endpoint
    prompt: Name = "solve_problem"  # a file of curation/language_model/prompts, or a path; {text} stands for the question
    samples: Positive = 8  # more of them later ask for the further ones alone
    temperature: PositiveFloat = 1.0
    top_p: Share = 1.0
    max_answer_tokens: Positive = 8_192
    difficulty: Name | None = None  # a number in the metadata: easier questions are dropped before they cost anything
    min_difficulty: float | None = None

    @model_validator(mode="after")
    def _difficulty_has_a_bound(self) -> Self:
        if (self.difficulty is None) != (self.min_difficulty is None):
            raise ValueError("difficulty and min_difficulty belong together: set both, or neither")
        return self


class KeepVerifiedStage(Strict):
    """Samples whose answer is right become documents; those of questions that are solved too often or never go. Leaves
    preference pairs and a table of pass@k. The samples are those of a sample_answers stage, or of a source's column: texts, or
    objects with `text` and `finish`."""

    do: Literal["keep_verified"]
    template: Literal["short_cot", "long_cot"] = "long_cot"
    think_tags: bool = False
    accept: Accept = "math_verify"
    seconds: PositiveFloat = 5.0  # of CPU time for an answer
    min_solve_rate: Share = 0.0  # of a question's samples that are right
    max_solve_rate: Share = 1.0  # lower: hard questions alone
    max_per_question: Positive = 4  # verified samples that are kept, different ones, the first of them
    scripts: tuple[Script, ...] = ("latin", "greek")  # a right answer with other letters is not taken
    max_other_share: Share = 0.02
    pairs_per_question: Positive = 4
    pass_at: tuple[Positive, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.min_solve_rate > self.max_solve_rate:
            raise ValueError(
                f"min_solve_rate={self.min_solve_rate} is above max_solve_rate={self.max_solve_rate}: nothing could be kept"
            )
        if self.think_tags and self.template != "long_cot":
            raise ValueError(f"think_tags is for template long_cot, not {self.template!r}; leave it out")
        return self


class CheckSummariesStage(Strict):
    """A weaker model writes a solution from the thinking alone; where it does not reach the expected answer, the thinking is not
    what led there."""

    do: Literal["check_summaries"]
    endpoint: Endpoint
    prompt: Name = "summarise_thinking"  # {text} stands for the question and the thinking
    summaries: Positive = 1  # asked for each document
    min_share: Share = 0.5  # of them that must reach the answer
    temperature: PositiveFloat = 0.7
    max_answer_tokens: Positive = 2_048
    accept: Accept = "math_verify"
    seconds: PositiveFloat = 5.0


def check_samples(stages: Mapping[str, Any]) -> None:
    """Who reads samples of records finds some: asked for, or kept from a column."""
    first = next(iter(stages.values()))
    has_samples = first.do != "format" or "samples" in first.keep
    used_by = ""
    for name, stage in stages.items():
        if stage.do == "sample_answers":
            has_samples, used_by = True, ""
        if stage.do in ("keep_verified", "resume_traces", "build_graphs") and used_by:
            raise ValueError(
                f"stage {name!r} ({stage.do}) reads samples, and {used_by!r} before it has used them up; leave one of the two "
                "out, or make a page of its own for each"
            )
        if stage.do in ("keep_verified", "resume_traces", "build_graphs") and not has_samples:
            raise ValueError(
                f"stage {name!r} ({stage.do}) reads samples, and no stage before it leaves any: put a sample_answers stage "
                "before it, or map a column of recorded answers to `samples` and have the format stage `keep: [samples]`"
            )
        used_by = name if stage.do in ("keep_verified", "build_graphs") else used_by
