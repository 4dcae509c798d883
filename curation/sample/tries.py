"""Recorded tries at a problem, in the very form in which a sample_answers stage leaves those of a model, and what each is.

right       comes to the answer and boxes it; one step a line, worded like every other try that goes the same way
repeated    a right one again, but for spaces
mixed       a right one with lines of another language between its own
unboxed     a right one that states the answer without a box
wrong       goes wrong where it should come to the answer, and boxes something else
unfinished  cut off before it comes to any answer
"""

import random
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from curation.sample.grammar import Grammar
from curation.sample.problems import Problem, fraction_text, reword
from recipes.final_answer import final_answer, same_by_text

SOLVED = {"right": 0.70, "repeated": 0.10, "mixed": 0.10, "unboxed": 0.10}  # shares of the tries that come to the answer
FAILED = {"wrong": 0.75, "unfinished": 0.25}
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Try:
    kind: str
    text: str

    def record(self) -> dict[str, Any]:
        finish = "length" if self.kind == "unfinished" else "stop"
        return {"text": self.text, "finish": finish, "tokens": len(WORD.findall(self.text))}


def make_tries(problem: Problem, total: int, rng: random.Random, grammar: Grammar, *, is_long: bool) -> list[Try]:
    """`total` tries at a problem of a difficulty drawn for it: from never solved to always. A long one plans first, and may take
    a wrong turn and turn round."""
    ease = rng.random()
    made: list[Try] = []
    for _ in range(total):
        shares = SOLVED if rng.random() < ease else FAILED
        [kind] = rng.choices(list(shares), list(shares.values()))
        made.append(_try(kind, problem, made, rng, grammar, is_long=is_long))
    return made


def make_attempt(problem: Problem, ease: float, rng: random.Random, grammar: Grammar) -> Try:
    """What a weak solver says, in a line or two: right with a chance of `ease`."""
    kind = "right" if rng.random() < ease else "wrong"
    told = reword(problem, rng, grammar, answer=None if kind == "right" else wrong_answer(problem.answer, rng))
    return Try(kind, f"{told.steps[-1]}\n{_statement(told.answer)}")


def with_foreign_lines(lines: list[str], rng: random.Random, grammar: Grammar) -> list[str]:
    """One of another language behind every line but the last, which states the answer."""
    return [line for own in lines[:-1] for line in (own, grammar.expand("think.foreign", rng))] + lines[-1:]


def wrong_answer(answer: str, rng: random.Random) -> str:
    """Near the answer, and not it."""
    value = Fraction(answer.replace("\\frac{", "").replace("}{", "/").rstrip("}"))
    return fraction_text(value + Fraction(rng.randint(1, 9), value.denominator))


def _try(kind: str, problem: Problem, earlier: list[Try], rng: random.Random, grammar: Grammar, *, is_long: bool) -> Try:
    """A right try in the words of an earlier one is a repeated one; without an earlier one there is nothing to repeat."""
    known = [made.text for made in earlier if made.kind == "right"]
    if kind == "repeated" and known:
        return Try(kind, rng.choice(known).replace(" ", "  "))
    told = reword(problem, rng, grammar, answer=wrong_answer(problem.answer, rng) if kind == "wrong" else None)
    lines = _lines(told, rng, grammar, is_long=is_long)
    if kind == "unfinished":
        return Try(kind, _cut_off("\n".join(lines), problem.answer, rng))
    if kind == "unboxed":
        return Try(kind, "\n".join([*lines, f"The answer is ${told.answer}$."]))
    lines.append(_statement(told.answer))
    if kind == "mixed":
        return Try(kind, "\n".join(with_foreign_lines(lines, rng, grammar)))
    text = "\n".join(lines)
    return Try("wrong" if kind == "wrong" else "repeated" if text in known else "right", text)


def _lines(problem: Problem, rng: random.Random, grammar: Grammar, *, is_long: bool) -> list[str]:
    lines = [*problem.steps]
    if is_long:
        lines.insert(0, grammar.expand("think.plan", rng))
        if rng.random() < 0.5:
            lines[1:1] = [problem.slip, f"{grammar.expand('think.wait', rng)} {grammar.expand('think.restart', rng)}"]
    if rng.random() < 0.5:
        lines.append(problem.check)
    return lines


def _statement(answer: str) -> str:
    return f"The answer is $\\boxed{{{answer}}}$."


def _cut_off(text: str, answer: str, rng: random.Random) -> str:
    """The beginning of a text, cut between words; where the last number there is the answer by chance, a little earlier."""
    words = text.split(" ")
    end = int(len(words) * rng.uniform(0.3, 0.8))
    while end and same_by_text(final_answer(" ".join(words[:end])), answer):
        end -= 1
    return " ".join(words[:end])
