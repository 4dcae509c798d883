"""Keys of a readiness card: the problems that are sampled, what else is asked of a checkpoint, and the limits of its verdicts."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Share, Strict
from recipes.schema.budgets import Budgets
from recipes.schema.evaluation import TemplateName

RIGHT = Literal["math_verify", "text", "either", "both"]


class Limit(Strict):
    """Where a figure becomes a concern, and where it fails; None: never. It fails only where its whole interval lies beyond
    `fail`, and passes only where no end of it lies beyond either: what lies between is a concern."""

    concern: float | None = None
    fail: float | None = None


class Limits(Strict):
    """Of each verdict; `min_` is passed from above, `max_` from below. Where no source is named the limit is this project's own.

    min_pass_at_1: Llama-3.2-3B solves 3.6 % of MATH500 and gained little by RL, OctoThinker-3B-Long 19.8 % and gained most.
    min_mixed_groups: a group of all right or all wrong answers has no gradient (DAPO, arXiv 2503.14476, section 3.2).
    min_boxed: most rewards read a box; to demand one that a base model never writes hurts (SimpleRL-Zoo, arXiv 2503.18892).
    min_stopped, max_truncated, max_loops: a model that never stops fills its 4,096 tokens, and RL collapses (OctoThinker).
    min_entropy: what RL gains is paid for in entropy; where none is left, nothing is gained (arXiv 2505.22617).
    max_disputed: of 488 model solutions of MATH two graders differ on one.
    max_forced_gain: a model that reasons only when it is made to is not judged by what it does unasked.
    max_completed: shown 60 % of a question of MATH-500, Qwen2.5-Math-7B completes 54.6 % of them word for word, Llama-3.1-8B
    3.8 % (arXiv 2507.10532)."""

    min_pass_at_1: Limit = Limit(concern=0.05, fail=0.005)
    min_mixed_groups: Limit = Limit(concern=0.2, fail=0.02)
    min_boxed: Limit = Limit(concern=0.5)
    min_stopped: Limit = Limit(concern=0.9, fail=0.5)
    max_truncated: Limit = Limit(concern=0.1, fail=0.5)
    max_loops: Limit = Limit(concern=0.05, fail=0.3)
    min_entropy: Limit = Limit(concern=0.1, fail=0.02)
    max_disputed: Limit = Limit(concern=0.05, fail=0.2)
    max_forced_gain: Limit = Limit(concern=0.1)
    max_completed: Limit = Limit(concern=0.05, fail=0.2)


class Columns(Strict):
    """Of a file of problems."""

    question: Name = "question"
    answer: Name = "answer"


class Forced(Strict):
    """The same problems, with the beginning of a derivation behind the prompt: some models only have to be made to reason."""

    opening: Name = " Let's think step by step.\n"  # behind the prompt; of long chains of thought: "\n<think>\n"
    samples: Positive = 4


class Completion(Strict):
    """The first words of benchmark questions as a prompt: who completes them has read them. What a model that has not read them
    completes all the same is told by a control: questions that were made later, or the same ones with other numbers."""

    benchmark: Name  # jsonl or parquet
    question: Name = "question"  # its column
    control: Name | None = None  # with the same column; None: the same questions, their numbers changed
    limit: NotNegative = 0  # so many of each, drawn by the seed; 0: all
    prefix_share: float = Field(0.6, gt=0.0, lt=1.0)  # of the words (arXiv 2507.10532)
    max_tokens: Positive = 256


class Readiness(Strict):
    """Sampling is as RL samples (OctoThinker: temperature 1, 4,096 tokens, 16 answers a problem), and nothing but the model's own
    end of text stops an answer, unless the page names strings that do."""

    problems: Name  # jsonl or parquet
    columns: Columns = Columns()
    limit: NotNegative = 0  # so many problems, drawn by the seed; 0: all
    template: TemplateName = "question_answer"
    samples: Positive = 16
    max_tokens: Positive = 4096
    temperature: PositiveFloat = 1.0
    top_p: Share = 1.0
    stop: tuple[Name, ...] = ()
    extract: Literal["final_answer", "boxed", "last_number", "letter"] = "final_answer"
    right_by: RIGHT = "math_verify"  # whose word counts; both graders are asked and compared
    forced: Forced | None = Forced()
    contamination: Completion | None = None
    loads: tuple[Literal["transformers", "vllm", "verl", "trl"], ...] = ("transformers", "vllm", "verl", "trl")  # really tried
    budgets: Budgets | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _varied(self) -> Self:
        if self.samples < 2:
            raise ValueError(f"samples={self.samples} tells nothing of groups, of which RL lives; ask for 2 or more")
        return self

    @property
    def files(self) -> dict[str, tuple[str, str]]:
        """By role: the key on the page, and the path there."""
        found = {"problems": ("problems", self.problems)}
        if self.contamination is not None:
            found["benchmark"] = ("contamination.benchmark", self.contamination.benchmark)
            if self.contamination.control is not None:
                found["control"] = ("contamination.control", self.contamination.control)
        return found

    def of_answers(self) -> dict[str, Any]:
        """What decides the answers: files by their roles, as their content is known; no limits: another one asks nothing anew."""
        found = self.model_dump(mode="json", exclude={"limits"}) | {"problems": "problems"}
        for role in self.files.keys() & {"benchmark", "control"}:
            found["contamination"][role] = role
        return found
