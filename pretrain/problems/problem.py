"""Problems with their answers. Errors name the file, the row and the column."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.problems.rows import read_rows
from pretrain.problems.text import text_of

ID = "id"  # a column that a file may have


@dataclass(frozen=True)
class Problem:
    """`id`: its own, else its row. Two may share one; `number` (from 0) is each one's."""

    number: int
    id: str
    question: str
    answer: str = ""


def read_problems(location: str | Path, *, question: str, answer: str | None, limit: int = 0, seed: int = 0) -> list[Problem]:
    """All of a file, or `limit` of them, drawn by the seed and in their order. `answer` None: only questions are read."""
    columns = [question] if answer is None else [question, answer]
    problems = []
    for number, (place, row) in enumerate(read_rows(str(location), columns, also=(ID,))):
        own = number + 1 if row.get(ID) is None else row[ID]
        texts = [text_of(row, column, place) for column in columns]
        problems.append(Problem(number, str(own).encode(errors="replace").decode(), *texts))
    return drawn(problems, limit, seed)


def drawn(problems: Sequence[Problem], limit: int, seed: int) -> list[Problem]:
    if not 0 < limit < len(problems):
        return list(problems)
    return [problems[place] for place in sorted(random.Random(seed).sample(range(len(problems)), limit))]
