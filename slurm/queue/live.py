"""Jobs that wait or run now, by name: what squeue says, in one call."""

from dataclasses import dataclass

from slurm.queue.ask import ask
from slurm.queue.elements import numbers, ranges

FIELDS = "%F|%K|%T|%r|%N|%L|%j"  # job or array, elements, state, reason, nodes, time left, name


@dataclass(frozen=True)
class LiveJob:
    """A line of squeue: a job, an element of an array, or elements that wait together."""

    id: str  # of the job or the whole array
    elements: tuple[int, ...]  # of this line; empty: no array
    state: str
    reason: str  # why it waits
    nodes: str
    seconds_left: int | None
    name: str

    @property
    def job(self) -> str:
        """As squeue writes it: "123", "123_7", "123_[4-99]"."""
        if not self.elements:
            return self.id
        return f"{self.id}_{self.elements[0]}" if len(self.elements) == 1 else f"{self.id}_[{ranges(self.elements)}]"

    @property
    def num_elements(self) -> int:
        return len(self.elements)

    @property
    def is_waiting(self) -> bool:
        return self.state == "PENDING"


def live() -> dict[str, list[LiveJob]]:
    """A person's own jobs by name. NoSlurm where nothing answers."""
    found: dict[str, list[LiveJob]] = {}
    for line in ask(["squeue", "--me", "--noheader", "--format", FIELDS]).splitlines():
        job = _parsed(line)
        found.setdefault(job.name, []).append(job)
    return found


def _parsed(line: str) -> LiveJob:
    id_, elements, state, reason, nodes, left, name = line.split("|", 6)
    return LiveJob(id_, numbers(elements), state, reason, nodes, seconds(left), name.strip())


def seconds(left: str) -> int | None:
    """ "1-02:03:04", "03:04" or "0:35" -> seconds; None of what has no limit, or waits for one."""
    days, dash, clock = left.strip().rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()):
        return None
    total = 0
    for part in parts:
        total = total * 60 + int(part)
    return int(days or 0) * 86400 + total
