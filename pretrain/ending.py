"""How a training run can end: exit statuses, the signals that ask for it, and divergence."""

import signal

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 75  # 75: the same command goes on from the checkpoint that was saved


class Interruption:
    """Remembers that a signal asked to stop; the loop looks at it after every step."""

    def __init__(self) -> None:
        self.is_requested = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: object) -> None:
        self.is_requested = True


class Diverged(Exception):
    """The loss or the gradient is no number any more."""
