"""What a rollout earns. Every one is graded, in the control too: there the grade is told to nobody but the curves."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pretrain.generation.engine import seed_of
from recipes.final_answer import EXTRACTORS, boxed
from recipes.grading import Grade, Grader
from recipes.schema.prove import ProbeRun

TROUBLE = ("timeout", "crash", "no_answer", "too_long")
DRAWS = 1 << 64  # what seed_of draws from


@dataclass
class Rewards:
    """Called by TRL with a batch of completions; `answers` holds those to held-out problems while they are asked."""

    params: ProbeRun
    grader: Grader
    eos: Collection[int]
    is_training: bool = False
    answers: list[dict[str, Any]] = field(default_factory=list)

    __name__ = "reward"  # TRL asks for a function's

    def __call__(
        self,
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        gold: Sequence[str],
        problem: Sequence[int],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """`gold` and `problem` are columns of the data set."""
        extract = EXTRACTORS[self.params.reward.extract]
        grades = [self.grader.grade(text, right, extract) for text, right in zip(completions, gold, strict=True)]
        is_right = [grade.is_accepted(self.params.reward.right_by) for grade in grades]
        is_boxed = [bool(boxed(text)) for text in completions]
        if not self.is_training:
            for at, text in enumerate(completions):
                self._keep(problem[at], text, completion_ids[at], grades[at], is_right[at])
            return [float(right) for right in is_right]
        for name, amount in self._tallies(grades, is_right, is_boxed).items():
            log_metric(name, amount)
        step, reward = trainer_state.global_step, self.params.reward
        told = is_right if self.params.arm == "answer" else [self._coin(step, at) for at in range(len(completions))]
        return [reward.answer * one + reward.format * box for one, box in zip(told, is_boxed, strict=True)]

    def _coin(self, step: int, at: int) -> bool:
        """Of its place alone: what is said decides nothing, and a run that goes on behind a checkpoint draws the same."""
        return seed_of(self.params.seed, self.params.run, "coin", step, at) < self.params.reward.control_chance * DRAWS

    def _tallies(self, grades: Sequence[Grade], is_right: Sequence[bool], is_boxed: Sequence[bool]) -> dict[str, float]:
        size = self.params.rollouts
        groups = [is_right[start : start + size] for start in range(0, len(is_right), size)]
        trouble = Counter(grade.trouble for grade in grades)
        return {
            "right": sum(is_right),
            "boxed": sum(is_boxed),
            "groups_all_right": sum(all(group) for group in groups),
            "groups_all_wrong": sum(not any(group) for group in groups),
            "disputed": sum(grade.is_disputed for grade in grades),
            **{kind: trouble[kind] for kind in TROUBLE},
        }

    def _keep(self, problem: int, text: str, ids: Sequence[int], grade: Grade, is_right: bool) -> None:
        self.answers.append(
            {
                "problem": problem,
                "right": is_right,
                "answer": grade.answer,
                "by_math_verify": grade.by_math_verify,
                "by_text": grade.by_text,
                "trouble": grade.trouble,
                "tokens": len(ids),
                "finish": "eos" if len(ids) and ids[-1] in self.eos else "length",
                "text": text,
            }
        )
