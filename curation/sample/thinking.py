"""Long reasoning about problems, with the flaws that real traces have: one in every fourth trace, each for one reason to drop it.

wrong     comes to another answer than the record says
mixed     goes on in another language after every paragraph
circling  turns round and round before it begins
endless   calculates the same again and again
pictured  is about a question that shows an image
no_topic  has a record whose topic was never filled in
"""

import random
from dataclasses import replace

from curation.sample.grammar import Grammar
from curation.sample.problems import Problem, reword
from curation.sample.tries import with_foreign_lines, wrong_answer

FLAWS = {2: "wrong", 6: "mixed", 10: "circling", 14: "endless", 18: "pictured", 19: "no_topic"}  # by the record's place
EVERY = 20  # places, then the flaws come again: a small sample has them all
TURNS, AGAIN = 60, 45  # of a trace that circles, and of one that does not end

TOPIC_CODES = {  # of the Mathematics Subject Classification, which select stages draw by
    "linear": "12", "quadratic": "12", "system": "12", "gcd": "11", "modpow": "11", "crt": "11", "divisors": "11",
    "series": "40", "geometric": "40", "choose": "05", "letters": "05", "derivative": "26", "integral": "26",
    "determinant": "15", "dice": "60", "expectation": "60", "area": "51", "ladder": "51", "mean": "62",
    "shopping": "97", "journey": "97", "discount": "97", "work": "97",
}  # fmt: skip


def flaw_of(place: int) -> str | None:
    return FLAWS.get(place % EVERY)


def flawed(problem: Problem, flaw: str | None, rng: random.Random, grammar: Grammar) -> Problem:
    """The problem as the reasoning sees it."""
    if flaw == "wrong":
        return reword(problem, rng, grammar, answer=wrong_answer(problem.answer, rng))
    if flaw == "pictured":
        return replace(problem, question=f"{problem.question} ![figure](figure.png)")
    return problem


def think(problem: Problem, flaw: str | None, rng: random.Random, grammar: Grammar) -> str:
    """Reasoning that takes a wrong turn, notices it, solves, checks and repeats the solution."""

    def say(rule: str) -> str:
        return grammar.expand(f"think.{rule}", rng, {"question": problem.question, "answer": problem.answer})

    paragraphs = [
        f"{say('open')} {say('restate')}",
        say("plan"),
        f"{say('try')} {problem.slip}",
        f"{say('wait')} {say('restart')}",
    ]
    for number, step in enumerate(problem.steps):
        lead = f"{say('step')} " if number else ""
        paragraphs.append(f"{lead}{step} {say('because')}")
    paragraphs += [f"{say('check')} {problem.check}", say("doubt")]
    if rng.random() < 0.6:
        paragraphs.append(f"{say('again')} {problem.solution}")
    if rng.random() < 0.4:
        paragraphs.append(f"{say('wait')} {say('doubt')} {problem.check}")
    paragraphs.append(say("close"))
    if flaw == "circling":
        paragraphs[2:2] = [say("wait") for _ in range(TURNS)]
    if flaw == "endless":
        paragraphs[-1:-1] = [f"{say('again')} {problem.solution} {problem.check}" for _ in range(AGAIN)]
    if flaw == "mixed":
        paragraphs = with_foreign_lines(paragraphs, rng, grammar)
    return "\n\n".join(paragraphs)
