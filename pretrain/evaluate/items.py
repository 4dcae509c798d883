"""Items of a benchmark and its worked examples, by the columns that the page names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pretrain.evaluate.choices import read_choices, right_letter
from pretrain.generation.engine import seed_of
from pretrain.generation.prompts import LETTERS, Shot
from pretrain.problems.rows import read_rows
from pretrain.problems.text import is_whole, text_of
from recipes.final_answer import boxed, final_answer, last_number
from recipes.schema.evaluation import Benchmark, Columns, Shots

CALCULATION = re.compile(r"<<[^<>]*>>")  # GSM8K's notes for a calculator
MARKED_ANSWER = re.compile(r"\n####.*\Z", re.S)  # its last line
BRACKETED = re.compile(r"\([^()]*\)")

ANSWERS: dict[str, Callable[[str], str]] = {
    "whole": str.strip,
    "final_answer": final_answer,
    "boxed": boxed,
    "last_number": last_number,
    "without_unit": lambda text: BRACKETED.sub("", text).strip(),
}


@dataclass(frozen=True)
class Item:
    """`number`: its place in the file, from 0. `answer`: the right one; a letter where there are choices."""

    number: int
    question: str
    answer: str
    choices: tuple[str, ...] = ()


def read_items(location: str, benchmark: Benchmark, seed: int) -> list[Item]:
    """All items, or as many of them as the page asks, drawn by its seed, in the file's order."""
    columns = benchmark.columns
    rows = read_rows(location, _names(columns))
    items = [_item(number, place, row, columns) for number, (place, row) in enumerate(rows)]
    if benchmark.limit is None or benchmark.limit >= len(items):
        return items
    random = np.random.Generator(np.random.Philox(key=seed))
    return [items[number] for number in sorted(random.choice(len(items), benchmark.limit, replace=False))]


def read_shots(location: str, shots: Shots, seed: int) -> list[Shot]:
    """No question twice, and one more than is asked for where the file has it: an item is never its own example."""
    columns = shots.columns
    rows = read_rows(location, _names(columns))
    by_question: dict[str, Shot] = {}
    for number, (place, row) in enumerate(rows):
        if shot := _shot(number, place, row, shots):
            by_question.setdefault(shot.question, shot)
    found = list(by_question.values())
    if len(found) < shots.number:
        raise ValueError(
            f"{location} has {len(found)} different worked examples of at most {shots.max_chars} characters, and {shots.number} "
            f"are asked for; lower shots.number or raise shots.max_chars"
        )
    if shots.seed is None:
        return found[: shots.number + 1]
    random = np.random.Generator(np.random.Philox(key=seed_of(seed, shots.seed)))
    return [found[number] for number in random.permutation(len(found))[: shots.number + 1]]


def _shot(number: int, place: str, row: dict[str, Any], shots: Shots) -> Shot | None:
    """None where it is too long."""
    columns = shots.columns
    item = _item(number, place, row, columns)
    solution = MARKED_ANSWER.sub("", CALCULATION.sub("", text_of(row, columns.solution or columns.answer, place)))
    if len(item.question) + len(solution) > shots.max_chars:
        return None
    return Shot(item.question, solution, item.answer, item.choices)


def _names(columns: Columns) -> list[str]:
    """Columns that every row must have."""
    question = [columns.question] if isinstance(columns.question, str) else columns.question
    return [*question, columns.answer, *(name for name in (columns.solution, columns.choices) if name)]


def _item(number: int, place: str, row: dict[str, Any], columns: Columns) -> Item:
    names = [columns.question] if isinstance(columns.question, str) else columns.question
    question = " ".join(text_of(row, name, place) for name in names)
    choices = _choices(row, columns, place)
    if choices and columns.answer_as == "letter":
        labels, texts = choices
        answer = right_letter(row[columns.answer], labels)
        wanted = f"one of the choices {', '.join(labels)}, or their number from 0"
    else:
        texts = choices[1] if choices else []
        answer = ANSWERS[columns.answer_as](text_of(row, columns.answer, place)) if columns.answer_as != "letter" else ""
        wanted = f"an answer that can be read with answer_as: {columns.answer_as}"
    if not answer:
        raise ValueError(f"{place}, column {columns.answer!r}: {str(row[columns.answer])[:60]!r} is not {wanted}")
    return Item(number, question, answer, tuple(texts))


def _choices(row: dict[str, Any], columns: Columns, place: str) -> tuple[list[str], list[str]] | None:
    if columns.choices is None:
        return None
    labels, texts = read_choices(row[columns.choices])
    if not 2 <= len(texts) <= len(LETTERS) or len(labels) != len(texts) or not all(map(is_whole, texts)):
        raise ValueError(
            f"{place}, column {columns.choices!r}: {str(row[columns.choices])[:60]!r} holds no 2 to {len(LETTERS)} choices"
        )
    return labels, texts
