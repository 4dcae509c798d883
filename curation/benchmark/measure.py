"""One way against another, in one run: each in processes of its own on the same core, taken in turns.

Seconds are CPU-seconds of a process and its children: what a rented core is paid for, and what other work on the machine disturbs
least. Peak memory is the process' largest resident set, imports and prepared data included.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curation.ranks import environment

Work = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """`prepare(*arguments)` loads, imports and warms up, and returns the work that is timed. Both must be importable by name."""

    prepare: Callable[..., Work]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float
    answer: Any


@dataclass(frozen=True)
class Comparison:
    """`ratio` is stock_seconds / ours_seconds. `quality` says by stage what was right: recall, precision, equal decisions."""

    stage: str
    against: str
    documents: int
    ours_seconds: float
    stock_seconds: float
    peak_mb: float
    stock_peak_mb: float
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.stock_seconds / self.ours_seconds

    def describe(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def compare(
    stage: str,
    *,
    against: str,
    documents: int,
    ours: Way,
    stock: Way,
    stock_documents: int | None = None,
    repeats: int = 3,
    judge: Callable[[Any, Any], dict[str, Any]] = lambda ours, stock: {},
) -> Comparison:
    """Medians of `repeats` turns. Where the stock way would take hours it may do a share of the documents
    (`stock_documents`); its seconds are then scaled up, which is right for work that costs the same for each document.
    `judge` makes `quality` of the two answers."""
    turns = [(measure(ours), measure(stock)) for _ in range(repeats)]
    scale = documents / (stock_documents or documents)
    return Comparison(
        stage=stage,
        against=against,
        documents=documents,
        ours_seconds=statistics.median(mine.seconds for mine, _ in turns),
        stock_seconds=statistics.median(other.seconds for _, other in turns) * scale,
        peak_mb=max(mine.peak_mb for mine, _ in turns),
        stock_peak_mb=max(other.peak_mb for _, other in turns),
        quality=judge(turns[0][0].answer, turns[0][1].answer),
    )


def measure(way: Way) -> Measured:
    """Runs a way in a fresh process on one core. What it says on stderr is shown only if it fails."""
    os.environ.update(environment())
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile("r", errors="replace") as said:
        process = context.Process(target=_run, args=(way, send, said.name))
        process.start()
        send.close()
        try:
            measured = receive.recv()
        except EOFError:
            process.join()
            name = f"{way.prepare.__module__}.{way.prepare.__name__}"
            raise RuntimeError(
                f"the process that measures {name} ended with {process.exitcode}:\n{said.read()[-4_000:]}"
            ) from None
        process.join()
    assert isinstance(measured, Measured)
    return measured


def _run(way: Way, send: Any, stderr: str) -> None:
    with open(stderr, "w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    work = way.prepare(*way.arguments)
    before = _cpu_seconds()
    answer = work()
    seconds = _cpu_seconds() - before
    send.send(Measured(seconds, peak_mb(), answer))


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """VmHWM, not ru_maxrss: the latter a process inherits from the one that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
