"""Why work ended before it was done: from exit statuses where a program says so itself, else from what Slurm, the kernel or a
traceback left in the log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from recipes import exits
from slurm.queue.records import Reason

NUM_LINES = 12
# slurmstepd writes it before it sends a signal; without "DUE TO" a person has cancelled the job. A step's end without it is
# srun's own doing, after one of its tasks has failed.
SLURMS_WORDS = re.compile(r"\*\*\* (JOB|STEP) \S+ ON (\S+) CANCELLED AT (\S+?)(?: DUE TO ([A-Z ]+[A-Z]))?(?:,[^*]*)? \*\*\*")
DUE_TO: dict[str, tuple[Reason, str]] = {
    "": ("cancelled", "somebody cancelled the job"),
    "PREEMPTION": ("preempted", "Slurm gave its nodes to another job"),
    "JOB REQUEUE": ("preempted", "somebody put it back into the queue"),
    "TIME LIMIT": ("timeout", "the time limit was reached"),
    "NODE FAILURE": ("node_failure", "a node was lost"),
}
TASK_ENDED = re.compile(r"srun: error: (\S+): tasks? ([\d,-]+): (?:Exited with exit code (\d+)|(.+))")
OF_STATUS: dict[int, tuple[Reason, str]] = {
    exits.MISTAKE: ("user_error", "the recipe or its inputs are mistaken"),
    exits.BAD_DATA: ("bad_data", "more could not be read than the page allows"),
    exits.DIVERGED: ("nan", "training has diverged"),
    exits.OUT_OF_MEMORY: ("out_of_memory", "memory ran out"),
    exits.NO_ROOM: ("disk_full", "the disk is full"),
}
SIGKILL = (-9, 137)
OF_WORDS: list[tuple[re.Pattern[str], Reason, str]] = [
    (re.compile(r"srun: error: .*Node failure on (\S+)"), "node_failure", "a node was lost"),
    (
        re.compile(r"oom[-_ ]kill|Out Of Memory|OutOfMemoryError|CUDA out of memory|\bMemoryError\b"),
        *OF_STATUS[exits.OUT_OF_MEMORY],
    ),
    (re.compile(r"No space left on device|Disk quota exceeded"), *OF_STATUS[exits.NO_ROOM]),
]
OF_SLURM = re.compile(r"(srun|slurmstepd\S*): ")
MATTERS = re.compile(r"error|exception|killed|oom|no space|quota|diverged|cancelled|not finished", re.IGNORECASE)


@dataclass(frozen=True)
class End:
    """`nodes` are those that were lost."""

    reason: Reason
    told: str
    lines: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)


def slurms_word(lines: Sequence[str], *, since: float = 0.0) -> End | None:
    """What Slurm did to the whole job, by its last word in the log."""
    for line in reversed(lines):
        if (match := SLURMS_WORDS.search(line)) and (match[1] == "JOB" or match[4]):
            reason, told = DUE_TO.get(match[4] or "", ("cancelled", f"Slurm ended it: {match[4]}"))
            if datetime.fromisoformat(match[3]).timestamp() >= since - 1:
                return End(reason, told)
    return None


def of_failure(status: int, lines: Sequence[str]) -> End:
    """Why a child failed."""
    reason, told = OF_STATUS.get(status, ("failed", f"ended with exit status {status}"))
    if reason == "failed":
        for pattern, *found in OF_WORDS:
            if any(pattern.search(line) for line in lines):
                reason, told = found[0], found[1]  # type: ignore[assignment]
                break
        else:
            if status in SIGKILL:
                reason, told = "killed", "a process was killed, and nothing says why"
    return End(reason, told, lines_that_matter(lines))


def first_end(lines: Sequence[str]) -> int | None:
    """The status of the first task of a step that srun tells of, 137 if it was killed: the others ended of it, and srun's own
    status is the highest of all."""
    for line in lines:
        if match := TASK_ENDED.search(line):
            if match[3]:
                return int(match[3])
            return SIGKILL[1] if match[4].startswith("Killed") else exits.FAILED
    return None


def lines_that_matter(lines: Sequence[str]) -> list[str]:
    """What the program said last and what speaks of something wrong, each once, then what Slurm said of its end."""
    kept = [line.rstrip() for line in lines if line.strip()]
    slurms = [line for line in kept if OF_SLURM.match(line)]
    own = [line for line in kept if not OF_SLURM.match(line)]
    speaking = [line for place, line in enumerate(own) if MATTERS.search(line) or place == len(own) - 1]
    ends = [line for line in slurms if MATTERS.search(line)]
    return list(dict.fromkeys([*speaking[-NUM_LINES:], *ends[-NUM_LINES // 2 :]]))
