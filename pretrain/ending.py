"""How a training run can end: the signals that ask for it, divergence, a disk that is full, and the status each ends with."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from recipes import exits

REQUEUE = signal.SIGUSR1  # what a batch system sends before its time limit
SIGNALS = (signal.SIGTERM, signal.SIGINT, REQUEUE)  # that ask to end


class Interruption:
    """Remembers that a signal asked to stop; the loop looks at it after every step."""

    def __init__(self) -> None:
        self.signal: str | None = None
        for number in SIGNALS:
            signal.signal(number, self._request)

    @property
    def is_requested(self) -> bool:
        return self.signal is not None

    def _request(self, number: int, frame: object) -> None:
        self.signal = signal.Signals(number).name


class Mistake(ValueError):
    """In the recipe or its inputs, found when training has begun already. Any other ValueError from there is no user's."""


class Failed(Exception):
    """Training cannot go on by itself; nothing after the last checkpoint was kept."""

    status = exits.FAILED


class Interrupted(Failed):
    """By a signal; the same command goes on behind what is written."""

    status = exits.INTERRUPTED


@contextmanager
def left_at_a_signal() -> Iterator[None]:
    """For what is written in parts, and loses no more than one by leaving at once: raises Interrupted."""

    def leave(number: int, frame: object) -> None:
        raise Interrupted(f"{signal.Signals(number).name}: left; the same command goes on behind what is written")

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Diverged(Failed):
    """The loss or the gradient is no number any more."""

    status = exits.DIVERGED


class SaveFailed(Failed):
    """A checkpoint could not be written. Those before it are whole."""

    status = exits.NO_ROOM
