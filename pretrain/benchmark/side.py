"""One of the two that are compared, in a process of its own: neither shares memory, allocator or settings with the other.
This process asks them in turn, so that both meet the same moments of a busy machine."""

import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Self

_in_this_process: list[Any] = []


class Step(NamedTuple):
    loss: float
    seconds: float
    cpu_seconds: float  # of all threads of the process
    thread_seconds: float  # of the one thread that computes: on a CPU, forward and backward pass both


class Side:
    """`what` is Ours or Reference, which are made there."""

    def __init__(self, what: type, folder: Path, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded, there
        self.process = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        self.path: str = self._call(_make, what, folder)

    def step(self) -> Step:
        return Step(*self._call(_step))

    def ask(self, method: str, *arguments: Any) -> Any:
        return self._call(_ask, method, *arguments)

    def _call(self, *call: Any) -> Any:
        return self.process.submit(*call).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.shutdown()


def _make(what: type, folder: Path) -> str:
    warnings.simplefilter("ignore")  # megatron-core tells of the optional packages that it does not find
    _in_this_process.append(what(folder))
    path: str = _in_this_process[0].path
    return path


def _step() -> tuple[float, ...]:
    """The loss is a number in this process' memory when its time is taken: a GPU has done what it was given but the update of the
    weights, which the next step's time holds."""
    clocks = (time.perf_counter, time.process_time, time.thread_time)
    started = [clock() for clock in clocks]
    loss: float = _in_this_process[0].step()
    return loss, *(clock() - before for clock, before in zip(clocks, started, strict=True))


def _ask(method: str, *arguments: Any) -> Any:
    return getattr(_in_this_process[0], method)(*arguments)
