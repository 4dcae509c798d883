"""Walks a plan on this machine: ranks of curation stages in a pool of processes, training stages as processes of their own.

Stages start as soon as their inputs are finished. Whatever is stopped, however, goes on with the next run: finished ranks
and checkpoints are kept. Children die with this process, so no two ever work on one stage; another `midtrain run` on the
same results waits for the stage that this one holds.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from curation.ranks import environment, num_ranks
from recipes.exits import INTERRUPTED
from recipes.manifest import rank_file
from recipes.schema import Cluster
from recipes.stage import (
    BRANCH_POINTS,
    DIES_WITH_PARENT,
    LOGS,
    Stage,
    ask_to_keep,
    die_with_parent,
    is_finished,
    try_lock,
    write_stage,
)
from slurm.plan import Plan, refuse_problems

POLL_SECONDS = 0.1
DISTRIBUTED = ("train", "average")  # kinds that run as many processes


@dataclass
class Work:
    """A stage that is being worked on."""

    stage: Stage
    lock: IO[bytes]
    slots: int
    started: float = field(default_factory=time.time)
    ranks: list[int] = field(default_factory=list)  # still to start
    running: dict[Future[None], int] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)  # still to start, one after the other
    process: "subprocess.Popen[bytes] | None" = None
    publishing: Future[None] | None = None


class Runner:
    """Runs the stages of a plan. `on_event(kind, stage, text)` hears "started", "done" and "failed"."""

    def __init__(self, plan: Plan, on_event: Callable[[str, Stage, str], None]):
        refuse_problems(plan)
        self.plan = plan
        self.on_event = on_event
        self.cluster = plan.recipe.cluster
        if self.cluster.nodes > 1:
            raise ValueError(
                f"cluster.nodes={self.cluster.nodes}: midtrain run works on this machine alone; choose cluster=local or nodes=1"
            )
        if not plan.is_finished:
            _check_root(Path(plan.recipe.root).absolute())
        self.works: dict[str, Work] = {}
        self.failures: dict[str, str] = {}
        self.finished: set[str] = set()
        self.asked: set[str] = set()
        self.interrupted = False
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tick: Callable[[], None] = lambda: None) -> int:
        """0: all done, 1: something failed, 75: interrupted. `tick` is called a few times a second."""
        previous = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not self._is_over():
                self._start_ready()
                for work in list(self.works.values()):
                    self._advance(work)
                tick()
                time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.failures else 0

    # ------------------------------------------------------------------------------------------------ scheduling

    def _is_over(self) -> bool:
        if self.interrupted:
            return True
        return not self.works and not any(self._is_ready(stage) for stage in self.plan.stages)

    def _is_ready(self, stage: Stage) -> bool:
        key = str(stage.folder)
        if key in self.works or key in self.failures or self._is_finished(key):
            return False
        return all(self._is_finished(entry.stage) for entry in stage.inputs.values() if entry.stage is not None)

    def _is_finished(self, folder: str) -> bool:
        """Asked of all stages many times a second for as long as a run takes: the file system is asked until it says yes."""
        if folder not in self.finished and is_finished(folder):
            self.finished.add(folder)
        return folder in self.finished

    def _free_slots(self) -> int:
        return self.cluster.curation_workers - sum(
            max(len(work.running), 1) if work.process is None else work.slots for work in self.works.values()
        )

    def _start_ready(self) -> None:
        for stage in self.plan.stages:
            slots = _slots(stage, self.cluster)
            if self._is_ready(stage) and (self._free_slots() >= slots or not self.works):
                lock = try_lock(stage.folder / LOGS / "lock")
                if lock is not None:
                    self._start(Work(stage, lock, slots))
                else:
                    self._ask_to_keep(stage)

    def _ask_to_keep(self, stage: Stage) -> None:
        """Of a stage that another run trains: what this one branches from."""
        if str(stage.folder) not in self.asked and ask_to_keep(stage.folder, stage.run.get(BRANCH_POINTS, ())):
            self.asked.add(str(stage.folder))

    def _start(self, work: Work) -> None:
        stage = work.stage
        write_stage(stage)
        self.works[str(stage.folder)] = work
        if stage.room == "pretrain":
            work.commands = commands(stage, self.cluster)
            self._start_next(work)
        elif stage.room == "curation":
            ranks = range(num_ranks(stage))
            work.ranks = [rank for rank in ranks if not rank_file(stage.folder, rank).is_file()]
        self.on_event("started", stage, "")

    def _start_next(self, work: Work) -> None:
        log = open(work.stage.folder / LOGS / "stage.log", "ab")  # the child owns it
        work.process = subprocess.Popen(
            work.commands.pop(0),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(self.cluster.threads_per_process), DIES_WITH_PARENT: "1"},
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        log.close()

    def _advance(self, work: Work) -> None:
        if work.process is not None:
            status = work.process.poll()
            if status == 0 and work.commands:
                self._start_next(work)
            elif status is not None:
                self._ended(work, "" if status == 0 else f"exit status {status}\n{_tail(work.stage)}")
            return
        for future in [future for future in work.running if future.done()]:
            rank = work.running.pop(future)
            if (problem := future.exception()) is not None:
                self._forget_pool_if(isinstance(problem, BrokenProcessPool))
                self._ended(work, f"rank {rank}: {_explain(problem, work.stage)}")
                return
        while work.ranks and self._free_slots() + (0 if work.running else 1) > 0:
            rank = work.ranks.pop(0)
            work.running[self.pool.submit(_rank, work.stage.folder, rank)] = rank
        if not work.ranks and not work.running:
            work.publishing = work.publishing or self.pool.submit(_publish, work.stage.folder, work.stage.room)
            if work.publishing.done():
                problem = work.publishing.exception()
                self._forget_pool_if(isinstance(problem, BrokenProcessPool))
                self._ended(work, "" if problem is None else _explain(problem, work.stage))

    def _ended(self, work: Work, problem: str) -> None:
        if not problem and not work.stage.is_finished:
            problem = f"ended without a manifest\n{_tail(work.stage)}"
        del self.works[str(work.stage.folder)]
        work.lock.close()
        if problem:
            self.failures[str(work.stage.folder)] = problem
        self.on_event("failed" if problem else "done", work.stage, problem)

    # ------------------------------------------------------------------------------------------------ processes

    @property
    def pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # spawn: workers are this process' own children and die with it, which a fork server's would not
            context = multiprocessing.get_context("spawn")
            os.environ.update(environment())
            workers = self.cluster.curation_workers
            self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(),))
        return self._pool

    def _forget_pool_if(self, broken: bool) -> None:
        """A worker that was killed (out of memory, say) breaks the whole pool; the next stage gets a new one."""
        if broken:
            self._pool = None

    def _interrupt(self, number: int, frame: object) -> None:
        self.interrupted = True

    def _stop(self) -> None:
        """Lets training save a checkpoint; curation's ranks are simply stopped: they leave whole files or none."""
        processes = [work.process for work in self.works.values() if work.process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        if self._pool is not None:
            for worker in list((self._pool._processes or {}).values()):
                worker.kill()
            self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        for work in self.works.values():
            work.lock.close()


def _check_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise ValueError(
            f"root={root}: results cannot be written there ({error.strerror}); choose another with root=PATH"
        ) from None


def _slots(stage: Stage, cluster: Cluster) -> int:
    if stage.do not in DISTRIBUTED:
        return 1
    return min(cluster.processes_per_node * cluster.threads_per_process, cluster.curation_workers)


def commands(stage: Stage, cluster: Cluster) -> list[list[str]]:
    """What a stage of pretrain runs, one after the other. GPUs are not taken while it is decided which samples they will see."""
    module = ["-m", "pretrain", str(stage.folder)]
    alone = [sys.executable, *module]
    index = [[*alone, "--index"]] if stage.do == "train" and cluster.device == "cuda" else []
    if stage.do not in DISTRIBUTED or cluster.processes_per_node == 1:
        return [*index, alone]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cluster.processes_per_node}"]
    return [*index, [sys.executable, *launcher, *module]]


def _begin_worker(runner: int) -> None:
    die_with_parent(runner)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the runner decides


def _rank(folder: Path, rank: int) -> None:
    from curation.pipeline import run_rank

    _redirect(folder, f"rank_{rank:05d}.log")
    run_rank(folder, rank)


def _publish(folder: Path, room: str) -> None:
    if room == "recipes":
        from recipes.report.make import make_report

        make_report(folder)
        return
    from curation.pipeline import finish

    finish(folder)


def _redirect(folder: Path, name: str) -> None:
    """What libraries print goes to the stage's log, not through the progress bars."""
    file = os.open(folder / LOGS / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _explain(problem: BaseException, stage: Stage) -> str:
    if isinstance(problem, BrokenProcessPool):
        return f"a worker process was killed (out of memory?); see {stage.folder / LOGS}"
    return str(problem) if type(problem).__name__ in ("ValueError", "StageFailed") else f"{type(problem).__name__}: {problem}"


def _tail(stage: Stage, num_lines: int = 15) -> str:
    path = stage.folder / LOGS / "stage.log"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return "\n".join(lines[-num_lines:])
