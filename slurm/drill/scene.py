"""A stage that is struck, and what a fault may do there: hold its processes, ask for its job and its nodes."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recipes.stage import Stage
from slurm.drill.moment import STRUCK_RANK, moment_of
from slurm.drill.processes import Process, processes_of
from slurm.queue.dag import Job
from slurm.queue.live import LiveJob, live
from slurm.virtual.cluster import VirtualCluster

PATIENCE_SECONDS = 300.0  # for anything that Slurm or a stage does; on a machine that is much too busy it is not enough
STEP_SECONDS = 0.002


class Stuck(Exception):
    """A rehearsal that cannot go on: something does not happen that should."""


@dataclass
class Scene:
    """`job` does the stage's work; `disk`: the small one. Processes are held from the moment that is struck until `release`, so
    that the fault meets them there however fast they are."""

    cluster: VirtualCluster
    job: Job
    disk: Path
    held: list[Process] = field(default_factory=list)
    moment: str = ""

    @property
    def stage(self) -> Stage:
        return self.job.stage

    @property
    def rank(self) -> int | None:
        return STRUCK_RANK if self.job.part == "ranks" else None

    def hold(self) -> None:
        """Waits for the moment, and stops the processes there."""
        cluster = self.job.cluster
        number = 1 if self.rank is not None else cluster.num_processes
        wait_until(lambda: len(self._found()) == number, f"{self.stage.page}/{self.stage.name} begins")
        wait_until(self._is_at_its_moment, f"{self.stage.page}/{self.stage.name} is in the middle of its work")
        self._stop()

    def _is_at_its_moment(self) -> bool:
        """A rank of a small page is done in a blink: it is led there by steps. Training would hear the stops in its sockets."""
        if self.rank is not None:
            self.release()
            time.sleep(STEP_SECONDS)
            self._stop()
        self.moment = moment_of(self.stage)
        if not all(process.is_there for process in self.held):
            raise Stuck(f"{self.stage.page}/{self.stage.name} ended before it could be struck; give it more to do")
        return bool(self.moment)

    def _found(self) -> list[Process]:
        self.held = processes_of(self.stage.folder, self.rank)
        return self.held

    def _stop(self) -> None:
        for process in self.held:
            process.send(signal.SIGSTOP)

    def release(self) -> None:
        for process in self.held:
            process.send(signal.SIGCONT)

    def wait_until_told(self) -> None:
        wait_until(lambda: all(process.was_told for process in self.held), "Slurm tells the processes to end")

    def live(self) -> LiveJob | None:
        """The job, or of an array the element that does the struck rank."""
        jobs = live().get(self.job.name, [])
        return next((job for job in jobs if self.rank is None or self.rank % self.job.num_elements in job.elements), None)

    def running(self) -> LiveJob:
        job = self.live()
        if job is None or job.state != "RUNNING":
            raise Stuck(f"{self.job.name} should run, but squeue says {job.state if job else 'nothing of it'}")
        return job

    def nodes(self) -> list[str]:
        return self.cluster.client("scontrol", "show", "hostnames", self.running().nodes).split()


def wait_until(happened: Callable[[], bool], what: str, *, interval: float = 0.005) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > end:
            raise Stuck(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(interval)
