"""The processes of a job that do its work, and the signals that ask it to stop."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from recipes.stage import die_with_parent, try_lock

POLL_SECONDS = 0.1
KILL_SECONDS = 10.0
HEAR_SECONDS = 1.5  # a signal to all processes of a job reaches one before another


class Asked:
    """Remembers that Slurm asked this job to stop: SIGUSR1 before its time limit, SIGTERM when it takes the job away."""

    def __init__(self) -> None:
        self.signal: int | None = None
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: object) -> None:
        if self.signal != signal.SIGTERM:
            self.signal = number

    def ignore(self) -> None:
        """From here on the end is decided: what this job still starts must not be hurt by the signals of that end."""
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def is_free(lock: Path, asked: Asked, *, seconds: float) -> bool:
    """Waits for processes that outlived the node they were lost with: they hold this lock until they notice."""
    until = time.monotonic() + seconds
    while (held := try_lock(lock)) is None:
        if asked.signal is not None or time.monotonic() > until:
            return False
        time.sleep(POLL_SECONDS)
    held.close()
    return True


def start(command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> "subprocess.Popen[bytes]":
    """A child that ends with this process. It writes where this one does, or behind what is in `log`."""
    file = None if log is None else open(log, "ab")
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=None if file is None else subprocess.STDOUT,
        env={**os.environ, **environment},
        preexec_fn=partial(_begin, os.getpid()),
    )
    if file is not None:
        file.close()
    return child


def _begin(parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    die_with_parent(parent)


def wait(children: Sequence["subprocess.Popen[bytes]"], asked: Asked) -> None:
    """Until one of them ends, or this job is asked to stop. One that fails may have heard that before this process did."""
    while asked.signal is None and all(child.poll() is None for child in children):
        time.sleep(POLL_SECONDS)
    until = time.monotonic() + HEAR_SECONDS
    while asked.signal is None and any(child.poll() for child in children) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def stop(children: Sequence["subprocess.Popen[bytes]"], *, seconds: float = KILL_SECONDS) -> None:
    """What they have finished, and save within this time, is kept; what they are at is done again."""
    ask_to_end(children, seconds=seconds)
    for child in children:
        child.kill()
        child.wait()


def ask_to_end(children: Sequence["subprocess.Popen[bytes]"], *, seconds: float = KILL_SECONDS) -> None:
    """Waits until they have, or this long."""
    for child in children:
        child.terminate()
    until = time.monotonic() + seconds
    while any(child.poll() is None for child in children) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
