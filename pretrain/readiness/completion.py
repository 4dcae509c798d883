"""The contamination probe: the first words of benchmark questions are the prompt, and the model goes on.

Who has read a question completes it word for word. Some rests anybody completes ("how many are left?"), so the same is asked of
a control: questions that nobody can have read, or the same ones with other numbers, of which only those count whose rest has any.
A model that has read nothing completes both alike; it is the difference that is judged.
"""

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from pretrain.intervals import DIFFERENCE, SHARE, Figure, difference, interval
from pretrain.problems.problem import Problem
from pretrain.readiness.answers import Answer

NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Cut:
    """A question whose last words are hidden."""

    number: int  # of its problem
    prompt: str
    hidden: str

    @property
    def rest(self) -> list[str]:
        return self.hidden.split()


def cut(problem: Problem, share: float) -> Cut | None:
    """None where nothing is left to hide. The prompt is the text as it stands, up to the end of its last word."""
    words = list(re.finditer(r"\S+", problem.question))
    shown = math.ceil(share * len(words))
    if not 0 < shown < len(words):
        return None
    end = words[shown - 1].end()
    return Cut(problem.number, problem.question[:end], problem.question[end:].rstrip())


def with_other_numbers(problem: Problem, seed: int) -> Problem:
    """Each number becomes another one of as many digits, the same one wherever it stands."""
    rng, others = random.Random(f"{seed} {problem.number}"), dict[str, str]()

    def other(found: re.Match[str]) -> str:
        digits = found.group()
        while others.setdefault(digits, digits) == digits:
            others[digits] = str(rng.randint(10 ** (len(digits) - 1) if len(digits) > 1 else 0, 10 ** len(digits) - 1))
        return others[digits]

    return Problem(problem.number, problem.id, NUMBER.sub(other, problem.question), problem.answer)


def pairs(problems: Sequence[Problem], share: float, seed: int) -> tuple[list[Cut], list[Cut]]:
    """Questions and the same ones with other numbers, cut at the same word. Of the rests none is without a number."""
    ours = [cut(problem, share) for problem in problems]
    theirs = [cut(with_other_numbers(problem, seed), share) for problem in problems]
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a and b and NUMBER.search(" ".join(a.rest))]
    return [a for a, _ in both], [b for _, b in both]


@dataclass(frozen=True)
class Room:
    """What a model can recite. Longer rests nobody completes: to count them would hide who has read them."""

    tokens: Callable[[str], int]
    max_tokens: int
    max_positions: int

    def fits(self, one: Cut) -> bool:
        hidden = self.tokens(one.hidden)
        return hidden <= self.max_tokens and self.tokens(one.prompt) + hidden < self.max_positions


def is_completed(rest: Sequence[str], text: str) -> bool:
    """Whether the model went on with exactly these words. What it wrote behind the last may stand close to it, unless the word
    goes on."""
    words, written = " ".join(rest), " ".join(text.split())
    return written.startswith(words) and not re.match(r"\w\w", written[len(words) - 1 :])


def longest_match(rest: Sequence[str], text: str) -> float:
    """The longest run of the hidden words that stands in what the model wrote, as a share of them."""
    if is_completed(rest, text):
        return 1.0
    match = SequenceMatcher(None, list(rest), text.split(), autojunk=False).find_longest_match()
    return match.size / len(rest)


def compare(
    ours: Sequence[Cut], control: Sequence[Cut], answers: Sequence[Answer], told: Sequence[Answer], seed: int, *, is_paired: bool
) -> dict[str, Any]:
    """Figures of the benchmark, of its control, and of the difference: `completed` and `longest_match`. `answers` are those to
    `ours`, `told` those to `control`."""
    found: dict[str, Any] = {"questions": len(ours), "control_questions": len(control)}
    for name, of in (("completed", is_completed), ("longest_match", longest_match)):
        mine = [float(of(one.rest, answer.text)) for one, answer in zip(ours, answers, strict=True)]
        others = [float(of(one.rest, answer.text)) for one, answer in zip(control, told, strict=True)]
        apart: Figure | None = (
            interval([a - b for a, b in zip(mine, others, strict=True)], seed, DIFFERENCE)
            if is_paired
            else difference(mine, others, seed)
        )
        found[name] = {
            "benchmark": interval(mine, seed, SHARE),
            "control": interval(others, seed, SHARE),
            "difference": apart,
        }
    return found
