"""What Slurm remembers of jobs that are gone: sacct where the site keeps accounts, and the states of nodes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from slurm.queue.ask import NoSlurm, Refused, ask

DOWN = re.compile(r"DOWN|DRAIN|FAIL|NOT_RESPONDING|\*|REBOOT|POWER")


@dataclass(frozen=True)
class Past:
    """`state` is Slurm's: COMPLETED, FAILED, CANCELLED, TIMEOUT, NODE_FAIL, OUT_OF_MEMORY, PREEMPTED, REQUEUED, ..."""

    state: str
    nodes: str


def past(jobs: Iterable[str]) -> dict[str, Past]:
    """The last that accounting knows of each job or array element that has ended, by "123" or "123_7"; {} where there is none."""
    wanted = ",".join(jobs)
    if not wanted:
        return {}
    try:
        command = ["sacct", "--noheader", "--parsable2", "--duplicates", "--allocations", "--format=JobID,State,NodeList"]
        answer = ask([*command, f"--jobs={wanted}"], attempts=2)
    except (NoSlurm, Refused):
        return {}
    rows = [line.split("|") for line in answer.splitlines()]
    return {job: Past(state.split()[0], nodes) for job, state, nodes in rows if state.split()[0] not in ("PENDING", "RUNNING")}


def lost_nodes(nodes: Sequence[str], *, since: float) -> list[str]:
    """Those that are down, or whose daemon has started later than `since`: what ran on them by then is gone."""
    try:
        answer = ask(["scontrol", "--oneliner", "show", "node", ",".join(nodes)])
    except Refused:
        return []
    return [_field(line, "NodeName") for line in answer.splitlines() if _is_lost(line, since)]


def _is_lost(line: str, since: float) -> bool:
    started = _field(line, "SlurmdStartTime")
    is_later = started[:1].isdigit() and datetime.fromisoformat(started).timestamp() > since
    return is_later or bool(DOWN.search(_field(line, "State")))


def _field(line: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\S*)", line)
    return found[1] if found else ""
