"""What a checkpoint answers: asked in parts, each graded and written before the next is asked, so that a stage that was killed
goes on behind its last whole part. Every prompt, answer and grade stays (answers/KIND/NNNNN.parquet).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pretrain.generation.engine import Asked, Engine, Sampling
from pretrain.generation.parts import in_parts
from recipes.final_answer import boxed
from recipes.grading import Grade

PART = 256  # answers; not the batch size, which decides nothing of what is written
FOLDER = "answers"


@dataclass(frozen=True)
class Answer:
    """`problem`: its place in its file. What belongs to a grade is empty where nothing was graded."""

    problem: int
    sample: int
    prompt: str
    text: str
    tokens: int
    finish: str
    entropy: float | None
    answer: str = ""
    by_math_verify: bool | None = None
    by_text: bool | None = None
    trouble: str = ""
    is_right: bool = False

    @property
    def is_boxed(self) -> bool:
        return bool(boxed(self.text))

    @property
    def is_disputed(self) -> bool:
        return self.by_math_verify is not None and self.by_math_verify != self.by_text


TYPES: dict[Any, pa.DataType] = {
    int: pa.int64(),
    str: pa.string(),
    bool: pa.bool_(),
    float | None: pa.float64(),
    bool | None: pa.bool_(),
}
COLUMNS = pa.schema([(field.name, TYPES[field.type]) for field in fields(Answer)])


@dataclass(frozen=True)
class Question:
    """One answer that is asked for."""

    problem: int
    sample: int
    asked: Asked


def ask(
    engine: Callable[[], Engine],
    kind: str,
    questions: Sequence[Question],
    sampling: Sampling,
    folder: Path,
    graded: Callable[[Answer], Answer] = lambda answer: answer,
) -> list[Answer]:
    """All of one kind, in their order; what an earlier run has written is read. `engine` is called where some are missing."""

    def answered(part: Sequence[Question]) -> list[dict[str, Any]]:
        outputs = engine().generate([question.asked for question in part], sampling)
        rows = [
            Answer(q.problem, q.sample, q.asked.prompt, out.text, out.tokens, out.finish, out.entropy)
            for q, out in zip(part, outputs, strict=True)
        ]
        return [asdict(graded(row)) for row in rows]

    rows = in_parts(questions, answered, stage_folder=folder, into=f"{FOLDER}/{kind}", columns=COLUMNS, size=PART)
    return [Answer(**row) for row in rows]


def by_problem(answers: Sequence[Answer]) -> list[list[Answer]]:
    groups: dict[int, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.problem, []).append(answer)
    return list(groups.values())


def with_grade(answer: Answer, grade: Grade, by: str) -> Answer:
    """`by`: whose word counts."""
    return replace(answer, **grade.row(by=by))
