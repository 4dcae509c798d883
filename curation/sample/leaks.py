"""Benchmark items planted in pages: verbatim, edited, or with a number changed."""

import random
import re
from dataclasses import dataclass

from curation.sample.grammar import Grammar
from curation.sample.pages import Block, Page

EDITS = ("verbatim", "edited", "answer_changed")

_SPELLINGS = (  # LaTeX that prints the same
    ("\\frac", "\\dfrac"),
    ("\\le ", "\\leq "),
    ("\\ge ", "\\geq "),
    ("\\left(", "("),
    ("\\right)", ")"),
    (" + ", "+"),
    (" - ", "-"),
    (" = ", "="),
    ("\\, dx", "\\,dx"),
)
_MATH = re.compile(r"(\$\$.+?\$\$|\$[^$]+\$)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w^_.])\d+(?![\w.]\d)")


@dataclass(frozen=True, slots=True)
class Item:
    """A benchmark item: its question and its answer."""

    benchmark: str
    id: str
    question: str
    answer: str


def plant(page: Page, item: Item, edit: str, grammar: Grammar, rng: random.Random) -> tuple[Page, dict[str, str]]:
    """The page with the item in a paragraph of its own, and the truth about it: `text` is the question as planted."""
    question = edited_question(item.question, edit, grammar, rng)
    tail = ""
    if rng.random() < 0.5:
        answer = item.answer if edit != "answer_changed" else str(rng.randint(2, 999))
        tail = grammar.expand("leak.answer", rng, {"answer": answer})
    block = Block("p", grammar.expand("leak.lead", rng) + question + tail)
    planted = page.with_block(rng.randint(2, len(page.blocks)), block)
    return planted, {"benchmark": item.benchmark, "item": item.id, "edit": edit, "text": question}


def edited_question(question: str, edit: str, grammar: Grammar, rng: random.Random) -> str:
    """The question after one of EDITS; never equal to it unless the edit is verbatim."""
    if edit == "verbatim":
        return question
    if edit == "answer_changed":
        return _change_number(question, rng)
    parts = _MATH.split(question)
    changes = 0
    pairs = [line.split(" => ") for line in grammar.lines["synonym"]]
    rng.shuffle(pairs)
    for index in range(0, len(parts), 2):
        for old, new in pairs:
            if changes < 2:
                parts[index], count = re.subn(rf"\b{re.escape(old)}\b", new, parts[index], count=1)
                changes += count
    for index in range(1, len(parts), 2):
        for old, new in _SPELLINGS:
            parts[index] = parts[index].replace(old, new)
    text = "".join(parts)
    return text if text != question else f"{question[:-1]}, would you say{question[-1]}"


def _change_number(question: str, rng: random.Random) -> str:
    number = rng.choice(list(_NUMBER.finditer(question)))
    other = int(number[0]) + rng.randint(1, 9)
    return question[: number.start()] + str(other) + question[number.end() :]
