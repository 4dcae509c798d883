"""Problems with their answers, from any file that an evaluation reads. Errors name the file, the row and the column."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.evaluate.rows import read_rows


@dataclass(frozen=True)
class Problem:
    """`id`: its own, else its row. Two may share one; `number` (from 0) is each one's."""

    number: int
    id: str
    question: str
    answer: str = ""


def read_problems(location: str | Path, *, question: str, answer: str | None, limit: int, seed: int) -> list[Problem]:
    """All of a file, or `limit` of them, drawn by the seed and in their order. `answer` None: only questions are read."""
    columns = [question] if answer is None else [question, answer]
    problems = []
    for number, (place, row) in enumerate(read_rows(str(location), columns)):
        texts = [_text(row[column], column, place) for column in columns]
        problems.append(Problem(number, str(row.get("id", number + 1)), *texts))
    return drawn(problems, limit, seed)


def drawn(problems: Sequence[Problem], limit: int, seed: int) -> list[Problem]:
    if not 0 < limit < len(problems):
        return list(problems)
    return [problems[place] for place in sorted(random.Random(seed).sample(range(len(problems)), limit))]


def _text(found: Any, column: str, place: str) -> str:
    """Numbers are answers too."""
    if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
        found = str(found)
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"{place}: no text in column {column!r}: it is {found!r}; mend the row, or name another column")
    return found
