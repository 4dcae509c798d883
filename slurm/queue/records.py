"""What happened to the jobs of a stage, as lines of JSON under its `logs/jobs/`: the one source of `status` besides manifests.

One file a job, or an element of an array, is written by that job alone; `submitted.jsonl` by `midtrain submit` alone. Lines are
only ever appended, so that a requeued job adds to its own story.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from recipes.stage import LOGS, Stage

Part = Literal["ranks", "finish", "index", "main"]
"""Of a stage: `ranks` an array, an element e of E does ranks e, e + E, e + 2E, ...; `finish` proves that all ranks are there and
writes the manifest; `index` decides a training stage's samples without GPUs; `main` is all of a stage that has no ranks."""

PARTS: tuple[Part, ...] = get_args(Part)

Reason = Literal[
    "preempted",
    "timeout",
    "node_failure",
    "killed",
    "out_of_memory",
    "nan",
    "bad_data",
    "disk_full",
    "user_error",
    "cancelled",
    "failed",
]
"""Why a job ended before its work was done. `failed`: for a reason that nothing here recognises."""

RESTARTING: tuple[Reason, ...] = (
    "preempted",
    "timeout",
    "node_failure",
    "killed",
)  # within cluster.slurm.restarts; no other does
SUBMITTED = "submitted.jsonl"


@dataclass(frozen=True)
class Submitted:
    """A job as sbatch took it. `elements`: of an array, as sbatch wants it written ("0-7" or "3,17"), else empty; `num_elements`:
    of the whole array, which decides who does which ranks."""

    job: str
    name: str
    part: Part
    elements: str = ""
    num_elements: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Began:
    """A job starts, or starts again: `restart` is Slurm's count. `progress`: what was done by then, a number that only grows."""

    job: str  # "123", or "123_7" of an array
    part: Part
    restart: int
    nodes: list[str]
    progress: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Ended:
    """A job has told why it ends; None: its work is done. One that was killed leaves `Began` alone, and the next `Began` of
    the same job is followed by a `Found` that tells why. `again`: it is in the queue again. `lines`: of the log, those that
    matter. `nodes`: those that were lost, on which it will not start again."""

    job: str
    part: Part
    restart: int
    reason: Reason | None
    told: str = ""
    again: bool = False
    lines: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)  # those that failed
    nodes: list[str] = field(default_factory=list)
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Found:
    """Why an earlier start of this job ended without a word, found out afterwards; `nodes`: those that were lost."""

    job: str
    part: Part
    restart: int  # of the start that ended
    reason: Reason
    told: str = ""
    nodes: list[str] = field(default_factory=list)
    time: float = field(default_factory=time.time)


Event = Submitted | Began | Ended | Found
_KINDS = {kind.__name__.lower(): kind for kind in get_args(Event)}


def folder_of(stage: Path) -> Path:
    return stage / LOGS / "jobs"


def log_file(stage: Path, job: str) -> Path:
    """What a job printed: all its starts, one behind the other."""
    return folder_of(stage) / f"{job}.log"


def append(stage: Path, event: Event) -> None:
    """Adds a line to the file of this event's job, and returns when it is on the disk."""
    path = folder_of(stage) / (SUBMITTED if isinstance(event, Submitted) else f"{event.job}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    line = orjson.dumps({"event": type(event).__name__.lower(), **asdict(event)}) + b"\n"
    with open(path, "ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Event]:
    """The events of one file; a line that was cut by a power loss is left out."""
    return list(_events(path))


def _events(path: Path) -> Iterator[Event]:
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            record: dict[str, Any] = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        yield _KINDS[record.pop("event")](**record)


def job_name(stage: Stage, part: Part) -> str:
    """How a job is recognised among all of a person's: by page, stage, fingerprint, root and part, so that nothing that may be
    lost between sbatch and a file decides whether it is live."""
    root = hashlib.sha256(str(stage.folder.parents[2].resolve()).encode()).hexdigest()[:6]
    return f"{stage.page}/{stage.folder.name}@{root}:{part}"
