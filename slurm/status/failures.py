"""What stopped a stage, by reason: how many of its jobs, which ranks, the log lines that matter, and the way out."""

import os
from pathlib import Path
from typing import Any

from recipes.stage import Stage
from slurm.queue.records import Ended, Reason, log_file
from slurm.status.story import Job, Story
from slurm.status.ways_out import way_out

NUM_LINES = 8  # of a log, where the job itself has not chosen
TAIL_BYTES = 8192
NUM_NAMED = 10  # ranks and jobs that are named; the rest is counted


def describe_failures(stage: Stage, story: Story, submit: str) -> list[dict[str, Any]]:
    """One a reason, told by the first job that ended so."""
    by_reason: dict[Reason, list[tuple[Job, Ended]]] = {}
    for job, ended in story.failures:
        assert ended.reason is not None
        by_reason.setdefault(ended.reason, []).append((job, ended))
    return [_describe(stage, reason, ends, submit) for reason, ends in by_reason.items()]


def _describe(stage: Stage, reason: Reason, ends: list[tuple[Job, Ended]], submit: str) -> dict[str, Any]:
    job, ended = ends[0]
    ranks = sorted({rank for _, end in ends for rank in end.ranks})
    return {
        "reason": reason,
        "told": ended.told,
        "part": ended.part,
        "jobs": [job.id for job, _ in ends[:NUM_NAMED]],
        "num_jobs": len(ends),
        "ranks": ranks[:NUM_NAMED],
        "num_ranks": len(ranks),
        "lines": ended.lines or tail(stage.folder, job.id),
        "log": str(log_file(stage.folder, job.id)),
        "way_out": way_out(reason, stage=f"{stage.page}/{stage.name}", submit=submit),
    }


def tail(stage: Path, job: str) -> list[str]:
    """The last lines that a job has printed."""
    path = log_file(stage, job)
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES), os.SEEK_SET)
        return file.read().decode(errors="replace").splitlines()[-NUM_LINES:]
