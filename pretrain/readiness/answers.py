"""What a checkpoint answers: asked in parts, each graded and written before the next is asked, so that a stage that was killed
goes on behind its last whole part. Every prompt, answer and grade stays (answers/KIND/NNNNN.parquet).
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.generation.engine import Asked, Engine, Sampling
from recipes.final_answer import boxed
from recipes.stage import report_progress, write_atomically

PART = 256  # answers; not the batch size, which decides nothing of what is written
FOLDER = "answers"
log = logging.getLogger(__name__)


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
    found: list[Answer] = []
    started = time.time()
    for number, start in enumerate(range(0, len(questions), PART)):
        part = questions[start : start + PART]
        file = folder / FOLDER / kind / f"{number:05d}.parquet"
        if not file.is_file():
            outputs = engine().generate([question.asked for question in part], sampling)
            rows = [
                Answer(q.problem, q.sample, q.asked.prompt, out.text, out.tokens, out.finish, out.entropy)
                for q, out in zip(part, outputs, strict=True)
            ]
            _write(file, [graded(row) for row in rows])
            done = start + len(part)
            report_progress(folder, 0, done, len(questions), f"{kind} answers")
            log.info("%s: %d of %d answers | %.1f s", kind, done, len(questions), time.time() - started)
        found += _read(file)
    return found


def by_problem(answers: Sequence[Answer]) -> list[list[Answer]]:
    groups: dict[int, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.problem, []).append(answer)
    return list(groups.values())


def with_grade(answer: Answer, grade: Any, by: str) -> Answer:
    """A grade of recipes.grading, and whose word counts."""
    return replace(
        answer,
        answer=grade.answer,
        by_math_verify=grade.by_math_verify,
        by_text=grade.by_text,
        trouble=grade.trouble,
        is_right=grade.is_accepted(by),
    )


def _write(file: Path, rows: Sequence[Answer]) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=COLUMNS), sink, compression="zstd")
    write_atomically(file, sink.getvalue().to_pybytes())


def _read(file: Path) -> Iterator[Answer]:
    return (Answer(**row) for row in pq.read_table(file).to_pylist())
