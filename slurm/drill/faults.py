"""What is done to a stage in the middle of its work. Each fault strikes, waits at `yield` until the jobs have come to rest,
and then makes good what only a person can: power, room, another's job."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from recipes.schema import seconds_of
from slurm.drill.disk import fill, make_room
from slurm.drill.scene import Scene, wait_until

CONTROLLER_SECONDS = 3.0  # that it is away
WRITTEN_SECONDS = 10  # after its start a job is known for certain: the controller writes down what is new every 5 s


@dataclass(frozen=True)
class Fault:
    """`partition`: where its jobs run, by room, if not where the page says. `needs_person`: who must then submit again.
    `needs_disk`: results lie on the small disk; `is_felt`: by the job, which then has something to tell."""

    strike: Callable[[Scene], AbstractContextManager[None]]
    partition: dict[str, str] = field(default_factory=dict)
    needs_person: bool = False
    needs_disk: bool = False
    is_felt: bool = True


@contextmanager
def preemption(scene: Scene) -> Iterator[None]:
    """A job of a partition that goes first wants the whole of its nodes."""
    nodes = scene.nodes()
    options = ["--partition=main", "--exclusive", f"--nodelist={','.join(nodes)}", f"--nodes={len(nodes)}"]
    other = scene.cluster.client("sbatch", "--parsable", "--output=/dev/null", *options, "--wrap=sleep 86400").strip()
    try:
        scene.wait_until_told()
        scene.release()
        yield
    finally:
        scene.cluster.client("scancel", other)


@contextmanager
def time_limit(scene: Scene) -> Iterator[None]:
    """The limit is drawn near: Slurm counts it in minutes, and looks every 30 s."""
    job = scene.running()
    limit = scene.job.asks.time_limit or ""
    _set_limit(scene, job.job, str(math.ceil((_elapsed(scene) + 45) / 60)))
    scene.wait_until_told()
    scene.release()
    wait_until(lambda: (left := scene.live()) is None or left.is_waiting, "the job has left its nodes", interval=0.2)
    if scene.live() is not None:
        _set_limit(scene, job.job, limit)
    yield


def _elapsed(scene: Scene) -> int:
    """Seconds since the job began."""
    return seconds_of(scene.job.asks.time_limit or "") - (scene.running().seconds_left or 0)


def _set_limit(scene: Scene, job: str, limit: str) -> None:
    scene.cluster.client("scontrol", "update", f"JobId={job}", f"TimeLimit={limit}")


@contextmanager
def cancelled(scene: Scene) -> Iterator[None]:
    scene.cluster.client("scancel", scene.running().job)
    scene.wait_until_told()
    scene.release()
    yield


@contextmanager
def killed_rank(scene: Scene) -> Iterator[None]:
    """As the kernel does when memory runs out."""
    scene.held[-1].send(signal.SIGKILL)
    scene.release()
    yield


@contextmanager
def power_loss(scene: Scene) -> Iterator[None]:
    """Of the last of its nodes."""
    node = scene.nodes()[-1]
    scene.cluster.fail_node(node)
    scene.release()
    try:
        yield
    finally:
        scene.cluster.restore_node(node)


@contextmanager
def controller_restart(scene: Scene) -> Iterator[None]:
    """Its process is killed, and comes back while the job goes on."""
    wait_until(lambda: _elapsed(scene) >= WRITTEN_SECONDS, "the controller writes down what runs", interval=0.5)
    scene.cluster.kill_controller()
    time.sleep(CONTROLLER_SECONDS)
    scene.cluster.restart_controller()
    scene.release()
    yield


@contextmanager
def full_disk(scene: Scene) -> Iterator[None]:
    """The disk shrinks to what is on it."""
    fill(scene.disk)
    scene.release()
    try:
        yield
    finally:
        make_room(scene.disk)


FAULTS = {
    "preemption": Fault(preemption, partition={"curation": "low", "pretrain": "grace"}),  # at once; told before
    "time limit": Fault(time_limit),
    "scancel": Fault(cancelled, needs_person=True),
    "SIGKILL of a rank": Fault(killed_rank),
    "node power loss": Fault(power_loss),
    "slurmctld restart": Fault(controller_restart, is_felt=False),
    "full disk": Fault(full_disk, needs_person=True, needs_disk=True),
}
