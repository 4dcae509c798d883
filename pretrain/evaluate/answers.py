"""What a checkpoint answers to a benchmark: asked in parts, each graded and written before the next is asked, so that a stage
that was killed goes on behind its last whole part. Every prompt, output, extraction and grade stays, in
answers/BENCHMARK/NNNNN.parquet.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as arrow

from pretrain.evaluate.items import Item
from pretrain.evaluate.sheet import Sheet
from pretrain.generation.engine import Asked, Engine, Output, Sampling, seed_of
from pretrain.generation.parts import Row, in_parts
from pretrain.generation.prompts import LETTERS
from recipes.final_answer import EXTRACTORS
from recipes.grading import Grader

PART = 256  # items; not the batch size, which decides nothing of what is written
FOLDER = "answers"
SCORED = "scored"  # in place of what ended an answer: choices were compared, nothing was written
LOG_DIGITS = 3  # of a log-likelihood: further ones change with the batch size
COLUMNS = arrow.schema(
    [
        ("item", arrow.int64()),  # its place in the benchmark's file, from 0
        ("prompt", arrow.string()),
        ("text", arrow.string()),
        ("tokens", arrow.int64()),
        ("finish", arrow.string()),
        ("entropy", arrow.float64()),
        ("answer", arrow.string()),
        ("right_answer", arrow.string()),
        ("by_math_verify", arrow.bool_()),
        ("by_text", arrow.bool_()),
        ("trouble", arrow.string()),
        ("is_right", arrow.bool_()),
        ("log_likelihoods", arrow.list_(arrow.float64())),  # of the choices, in their order
    ]
)


def answer(sheet: Sheet, engine: Callable[[], Engine], grader: Grader, sampling: Sampling, seed: int, folder: Path) -> list[Row]:
    """A row for each item; those that an earlier run has written are read. `engine` is called where some are missing."""

    def answered(part: Sequence[Item]) -> list[Row]:
        if sheet.benchmark.grade == "log_likelihood":
            return _compared(sheet, part, engine())
        return _written(sheet, part, engine(), grader, sampling, seed)

    into = f"{FOLDER}/{sheet.name}"
    return in_parts(sheet.items, answered, stage_folder=folder, into=into, columns=COLUMNS, size=PART)


def _written(sheet: Sheet, items: Sequence[Item], engine: Engine, grader: Grader, sampling: Sampling, seed: int) -> list[Row]:
    prompts = [sheet.prompt(item) for item in items]
    asked = [Asked(text, seed_of(seed, sheet.name, item.number)) for text, item in zip(prompts, items)]
    outputs = engine.generate(asked, sampling)
    return [_graded(sheet, *of_one, grader) for of_one in zip(items, prompts, outputs, strict=True)]


def _graded(sheet: Sheet, item: Item, prompt: str, output: Output, grader: Grader) -> Row:
    row: Row = {
        "item": item.number,
        "prompt": prompt,
        "text": output.text,
        "tokens": output.tokens,
        "finish": output.finish,
        "entropy": output.entropy,
        "right_answer": item.answer,
    }
    if sheet.benchmark.grade == "letter":
        letter = EXTRACTORS["letter"](output.text)
        is_right = letter == item.answer
        return row | {"answer": letter, "by_text": is_right, "is_right": is_right, "trouble": "" if letter else "no_answer"}
    grade = grader.grade(output.text, item.answer, EXTRACTORS[sheet.benchmark.extract])
    return row | grade.row(by="math_verify")


def _compared(sheet: Sheet, items: Sequence[Item], engine: Engine) -> list[Row]:
    """By letters their log-likelihoods are compared, by texts those a character: a longer text is not worse for its length."""
    prompts = [sheet.prompt(item) for item in items]
    pairs = [(prompt, text) for prompt, item in zip(prompts, items) for text in sheet.continuations(item)]
    told = iter(engine.log_likelihoods(pairs))
    rows = []
    for item, prompt in zip(items, prompts):
        texts = sheet.continuations(item)
        logs = [next(told) for _ in texts]
        known = [value / len(text) for value, text in zip(logs, texts) if value is not None]
        chosen = LETTERS[known.index(max(known))] if len(known) == len(texts) else ""
        row: Row = {"item": item.number, "prompt": prompt, "text": "", "tokens": 0, "entropy": None}
        row |= {"finish": SCORED if chosen else "too_long", "answer": chosen, "right_answer": item.answer}
        row |= {"by_text": chosen == item.answer, "is_right": chosen == item.answer, "trouble": "" if chosen else "no_answer"}
        rows.append(row | {"log_likelihoods": [None if value is None else round(value, LOG_DIGITS) for value in logs]})
    return rows
