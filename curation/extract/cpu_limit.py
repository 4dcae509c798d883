"""A limit of CPU time for one page: the net below patterns that a page may yet drive too far.

Python hears the timer between its own instructions and within long regular expressions; a compiled part ends first. As signals
are, it is for the main thread, and the timer is the process's only one of its kind.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooSlow(Exception):
    """The page has used up its CPU time."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in what runs inside once this process has computed for so many seconds; waiting does not count."""
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooSlow
