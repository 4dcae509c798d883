"""What is asked of a checkpoint, in parts: each is written before the next is asked, so that a stage that was killed goes on
behind its last whole part.
"""

import logging
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.stage import report_progress, write_atomically

Row = dict[str, Any]
Question = TypeVar("Question")
log = logging.getLogger(__name__)


def in_parts(
    questions: Sequence[Question],
    answered: Callable[[Sequence[Question]], Sequence[Row]],
    *,
    stage_folder: Path,
    into: str,
    columns: pa.Schema,
    size: int,
) -> list[Row]:
    """A row for each question, in their order; those that an earlier run has written are read. `answered` is called where some
    are missing. `into`: below the stage's folder, NNNNN.parquet of `size` rows each."""
    rows: list[Row] = []
    started = time.time()
    for number, start in enumerate(range(0, len(questions), size)):
        file = stage_folder / into / f"{number:05d}.parquet"
        if not file.is_file():
            part = questions[start : start + size]
            _write(file, answered(part), columns)
            done = start + len(part)
            report_progress(stage_folder, 0, done, len(questions), into)
            log.info("%s: %d of %d | %.1f s", into, done, len(questions), time.time() - started)
        rows += pq.read_table(file).to_pylist()
    return rows


def _write(file: Path, rows: Sequence[Row], columns: pa.Schema) -> None:
    content = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=columns), content, compression="zstd")
    write_atomically(file, content.getvalue())
