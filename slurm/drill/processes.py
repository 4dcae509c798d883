"""The processes that do a stage's work, wherever on this machine: found in /proc, held, and let go."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODULES = ("pretrain", "curation.pipeline")
TO_END = (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL)  # Slurm's, and the job's to its children


@dataclass(frozen=True)
class Process:
    pid: int  # as this machine counts, not as the node does

    def send(self, number: signal.Signals) -> None:
        if self.is_there:
            os.kill(self.pid, number)

    @property
    def is_there(self) -> bool:
        return _status(self.pid).get("State", "Z")[0] not in "ZX"

    @property
    def was_told(self) -> bool:
        """It is gone, or held with a signal to end that it will hear when it is let go."""
        status = _status(self.pid)
        pending = int(status.get("SigPnd", "0"), 16) | int(status.get("ShdPnd", "0"), 16)
        return not self.is_there or any(pending >> number - 1 & 1 for number in TO_END)


def processes_of(folder: Path, rank: int | None = None) -> list[Process]:
    """`python -m pretrain FOLDER`, `python -m curation.pipeline FOLDER --rank R`; not the job around them."""
    return [Process(pid) for pid, words in _commands() if _works_on(words, str(folder), rank) and Process(pid).is_there]


def _works_on(words: list[str], folder: str, rank: int | None) -> bool:
    if len(words) < 4 or words[1] != "-m" or words[2] not in MODULES or folder not in words:
        return False
    return rank is None or words[-2:] == ["--rank", str(rank)]


def _commands() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            yield int(entry.name), command.decode(errors="replace").rstrip("\0").split("\0")


def _status(pid: int) -> dict[str, str]:
    """Empty of a process that is no more."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
