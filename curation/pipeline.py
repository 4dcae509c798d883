"""A stage of a recipe becomes the list of datatrove steps that does it. As a module, runs ranks of one stage folder:

    python -m curation.pipeline FOLDER                 all ranks that have not finished, then publishes the stage
    python -m curation.pipeline FOLDER --rank 7        one rank (an element of a job array)
    python -m curation.pipeline FOLDER --publish       the manifest, when all ranks have finished

A rank leaves its files whole or not at all, and its record (counts, file hashes) last; a rank with a record is skipped, and one
that was killed goes on behind its last whole part (`curation/parts.py`). Exit statuses: `recipes/exits.py`.
"""

import argparse
import sys
import traceback
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor

from curation.book import Book, StageFailed
from curation.kinds_by_rank import BY_RANK, BY_TABLES, WRITE_NO_DOCUMENTS, sources
from curation.kinds_whole import WHOLE
from curation.parts import InParts, forget_parts, working_folder
from curation.ranks import num_ranks
from curation.steps import Begin, Close, Progress, ReadDocuments, Whole, WriteDocuments
from curation.unreadable import beyond_limits
from recipes import exits
from recipes.manifest import (
    NUM_EXAMPLES,
    NUM_NAMES,
    merge_counts,
    merge_lists,
    publish,
    rank_file,
    read_ranks,
)
from recipes.stage import LOGS, Stage, is_finished, lock, read_stage


def run_rank(folder: Path, rank: int) -> None:
    """Does one rank's work and leaves its record; nothing if the record is there."""
    stage = read_stage(folder)
    if stage.is_finished or rank_file(folder, rank).is_file():
        return
    if not 0 <= rank < num_ranks(stage):
        raise ValueError(f"rank {rank} is not in 0..{num_ranks(stage) - 1} of {stage.page}/{stage.name}")
    _check_inputs(stage)
    with lock(folder, f"rank_{rank:05d}"):  # another process may still be at it: a killed job's, or a job submitted twice
        if not rank_file(folder, rank).is_file():
            try:
                _run_rank(stage, rank)
            except OSError as error:
                if exits.of_error(error) != exits.NO_ROOM:
                    raise
                raise StageFailed(
                    f"{stage.page}/{stage.name}: rank {rank} could not write into {folder} ({error.strerror or error}); "
                    "make room and run the page again: it goes on behind what is done",
                    exits.NO_ROOM,
                ) from error


def _run_rank(stage: Stage, rank: int) -> None:
    logs = stage.folder / LOGS / "datatrove"
    (logs / "completions" / f"{rank:05d}").unlink(missing_ok=True)  # datatrove's empty marker proves nothing: ours does
    _RankExecutor(
        pipeline=_steps(stage, rank),
        tasks=num_ranks(stage),
        workers=1,
        local_tasks=1,
        local_rank_offset=rank,
        logging_dir=str(logs),
    ).run()
    forget_parts(stage.folder, rank)


class _RankExecutor(LocalPipelineExecutor):
    """datatrove's executor for one rank in this process. Its own `run` starts a manager process, which is left behind when this
    process is killed."""

    def run(self) -> None:
        self._run_for_rank(self.local_rank_offset)


def finish(folder: Path) -> dict[str, Any]:
    """Publishes a stage whose ranks have all finished. Fails when more could not be read than the page allows."""
    stage = read_stage(folder)
    records = read_ranks(folder, num_ranks(stage))
    counts = merge_counts(record.counts for record in records)
    names = merge_lists((record.names for record in records), NUM_NAMES)
    if problem := beyond_limits(stage, counts, names):
        raise StageFailed(problem, exits.BAD_DATA)
    files = [entry for record in records for entry in record.files]
    forget_parts(folder)  # of ranks that were killed between their record and this
    details: dict[str, Any] = next((record.examples.pop("details")[0] for record in records if "details" in record.examples), {})
    return publish(
        stage,
        counts=counts,
        started=min(record.started for record in records),
        files=sorted(files, key=lambda entry: str(entry["path"])),
        examples=merge_lists((record.examples for record in records), NUM_EXAMPLES),
        names=names,
        details=details,
    )


def _check_inputs(stage: Stage) -> None:
    """The stages that made the inputs must have finished: "the job before was fine" is never enough."""
    for role, entry in stage.inputs.items():
        if entry.stage is not None and not is_finished(entry.stage):
            raise ValueError(f"{stage.page}/{stage.name}: input {role!r} is not finished: {entry.stage}; run its page again")


def _steps(stage: Stage, rank: int) -> list[Any]:
    """What the steps of a rank leave goes into the book's folder: that of the part at hand. What must outlive a part or is
    shared by ranks goes into the stage's."""
    if stage.do in WHOLE:
        work, book = WHOLE[stage.do], Book(stage.folder)
        return [Begin(book), Whole(lambda: work(stage), book), Close(stage.folder, book, None)]
    book = Book(working_folder(stage.folder, rank), stage.folder)
    if stage.do in BY_TABLES:
        readers, work = BY_TABLES[stage.do](stage, book)
        return [Begin(book), *readers, InParts(stage.folder, readers, [work], book), Close(stage.folder, book, None)]
    read = sources(stage, book) if "sources" in stage.params else [ReadDocuments(Path(stage.input("documents")), book)]
    own, describe = BY_RANK[stage.do](stage, book)
    write = [] if stage.do in WRITE_NO_DOCUMENTS else [WriteDocuments(book)]
    steps = [Progress(stage.folder, book), *own, *write]
    return [Begin(book), *read, InParts(stage.folder, read, steps, book), Close(stage.folder, book, describe)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.pipeline", description="Runs ranks of one curation stage folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rank", type=int, help="only this rank, without publishing")
    parser.add_argument("--publish", action="store_true", help="only the manifest")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    try:
        if arguments.rank is not None:
            run_rank(folder, arguments.rank)
            return exits.DONE
        if not arguments.publish:
            for rank in range(num_ranks(read_stage(folder))):
                run_rank(folder, rank)
        if not read_stage(folder).is_finished:
            finish(folder)
    except (ValueError, StageFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return exits.MISTAKE if isinstance(error, ValueError) else error.status
    except Exception as error:
        traceback.print_exc()
        return exits.of_error(error)
    return exits.DONE


if __name__ == "__main__":
    sys.exit(main())
