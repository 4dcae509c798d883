"""Keys of an evaluation: benchmarks, each with its prompt, its shots and how an answer is taken out of what the model wrote."""

import os
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import FolderName, Name, Positive, PositiveFloat, Share, Strict

TemplateName = Literal[
    "question_answer",
    "simple",
    "conversation",
    "long_cot",
    "think",
    "orz",
    "gsm",
    "minerva",
    "choices",
    "courses",
    "letters",
    "text",
]  # pretrain/generation/prompts.py


class Columns(Strict):
    """Names of columns in a benchmark's file, and how the right answer stands in its own: whole, as a text's final answer, boxed,
    as its last number, with a unit in brackets behind it, or as the letter (or number) of a choice."""

    question: Name | list[Name] = "question"  # several: the parts of a question, in their order
    answer: Name = "answer"
    answer_as: Literal["whole", "final_answer", "boxed", "last_number", "without_unit", "letter"] = "whole"
    solution: Name | None = None  # of shots: the worked solution
    choices: Name | None = None  # a list, a mapping by letter, or a text of `A) … B) …`


class Shots(Strict):
    """Worked examples before each question."""

    path: Name = "word_problems"  # one of pretrain/generation/shots, or a file, such as a benchmark's train split
    number: Positive = 8
    columns: Columns = Columns(solution="solution")
    seed: int | None = None  # None: the first ones that are short enough; else a draw of them
    max_chars: Positive = 1_500  # of a question and its solution


class Benchmark(Strict):
    """`grade`: `math` compares final answers (recipes/grading.py), `letter` the letter that a text names, and `log_likelihood`
    takes the choice that is likeliest behind the question, by its letters where the template is `letters`, else by its text."""

    path: Name
    columns: Columns = Columns()
    template: TemplateName = "question_answer"
    shots: Shots | None = None
    grade: Literal["math", "letter", "log_likelihood"] = "math"
    extract: Literal["final_answer", "boxed", "last_number"] = "final_answer"  # of mathematics; recipes/final_answer.py
    kind: Literal["mathematics", "general"] = "mathematics"  # general: told apart, what was forgotten shows there
    limit: Positive | None = None  # items that are asked, drawn by the page's seed; None: all
    max_tokens: Positive = 1_024
    stop: list[Name] | None = None  # None: the template's

    @model_validator(mode="after")
    def _choices_are_named(self) -> Self:
        if self.grade in ("letter", "log_likelihood") and self.columns.choices is None:
            raise ValueError(f"grade: {self.grade} chooses among answers; name their column in columns.choices")
        if self.grade in ("letter", "log_likelihood") and self.columns.answer_as != "letter":
            raise ValueError(f"grade: {self.grade} compares letters; set columns.answer_as: letter")
        return self


class Evaluation(Strict):
    folder: Name = "."  # of the paths below, but for absolute ones, hf:// and made:
    benchmarks: dict[FolderName, Benchmark] = Field(min_length=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_p: Share = 1.0
    seconds: PositiveFloat = 5.0  # of CPU time that math-verify may take for an answer

    def place(self, path: str) -> str:
        """Where a path of the page lies."""
        return path if "://" in path or path.startswith("made:") else os.path.join(self.folder, os.path.expanduser(path))

    def params(self) -> dict[str, Any]:
        """What decides the answers: where files lie never does."""
        found = self.model_dump(mode="json", exclude={"folder"})
        for benchmark in found["benchmarks"].values():
            del benchmark["path"]
            if benchmark["shots"] is not None:
                del benchmark["shots"]["path"]
        return found
