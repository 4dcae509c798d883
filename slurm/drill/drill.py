"""All rehearsals of a page on one virtual cluster: an undisturbed run, then a run for each fault in each room."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.ranks import num_ranks
from slurm.drill.disk import small_disk
from slurm.drill.faults import FAULTS
from slurm.drill.rehearsal import Rehearsal, come_to_rest, rehearse
from slurm.drill.scene import Scene, Stuck
from slurm.plan import Plan, plan, refuse_problems
from slurm.queue import dag
from slurm.queue.submit import submit
from slurm.virtual.cluster import VirtualCluster

CHOSEN_HERE = ("root", "cluster")
ROOMS = ("curation", "pretrain")
UNDISTURBED, SMALL_DISK = "undisturbed", "small_disk"  # in the folder of a drill


@dataclass(frozen=True)
class Asked:
    """Which page is rehearsed, and what is done to it."""

    page: str
    overrides: Sequence[str]
    faults: Sequence[str] = tuple(FAULTS)
    rooms: Sequence[str] = ROOMS


def drill(asked: Asked, folder: Path, hear: Callable[[str], None], cluster: VirtualCluster | None = None) -> list[Rehearsal]:
    """Results lie in `folder`. `hear` is told what is being done. A cluster that runs already cannot have the small disk."""
    check(asked)
    whole = _plan(asked, folder / UNDISTURBED)
    targets = [(room, struck) for room in asked.rooms if (struck := _target(whole, room))]
    if not targets:
        raise ValueError(f"{asked.page} has no stage of {' or '.join(asked.rooms)} to strike; choose another page or --room")
    with ExitStack() as stack:
        if any(FAULTS[name].needs_disk for name in asked.faults):
            stack.enter_context(small_disk(folder / SMALL_DISK))
        cluster = cluster or stack.enter_context(VirtualCluster())
        stack.enter_context(speaking_to(cluster))
        hear("undisturbed")
        _walk(whole)
        done = []
        for room, struck in targets:
            for name in asked.faults:
                hear(f"{name}, {struck}")
                done.append(_rehearse(asked, name, room, struck, cluster, folder))
        return done


def check(asked: Asked) -> None:
    for override in asked.overrides:
        if override.lstrip("+~").partition("=")[0] in CHOSEN_HERE:
            raise ValueError(f"{override}: a drill chooses this itself; say with --folder where its results shall lie")
    unknown = [name for name in asked.faults if name not in FAULTS]
    if unknown:
        raise ValueError(f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}")


def _plan(asked: Asked, root: Path, *more: str) -> Plan:
    found = plan(asked.page, (*asked.overrides, "cluster=virtual", f"root={root}", *more))
    refuse_problems(found)
    return found


def _walk(whole: Plan) -> None:
    submit(whole.stages)
    come_to_rest(whole.stages)
    missing = [f"{stage.page}/{stage.name}" for stage in whole.stages if not stage.is_finished]
    if missing:
        raise Stuck(f"the undisturbed run did not finish {missing[0]}, so that there is nothing to compare with")


def _target(whole: Plan, room: str) -> str | None:
    """The first training, on which all checkpoints depend; of curation the last stage that many ranks make: the token files."""
    trained = [stage for stage in whole.stages if stage.do == "train"]
    curated = [stage for stage in whole.stages if stage.room == "curation" and num_ranks(stage) > 1]
    found = {"pretrain": trained[:1], "curation": curated[-1:]}[room]
    return f"{found[0].page}/{found[0].name}" if found else None


def _rehearse(asked: Asked, name: str, room: str, struck: str, cluster: VirtualCluster, folder: Path) -> Rehearsal:
    fault, disk = FAULTS[name], folder / SMALL_DISK
    root = (disk if fault.needs_disk else folder) / f"{room}_{name.replace(' ', '_')}"
    if root.exists():  # of an earlier drill in this folder: finished, it could not be struck
        shutil.rmtree(root)
    partition = [f"cluster.slurm.cpu.partition={fault.partition[room]}"] if room in fault.partition else []
    stages = _plan(asked, root, *partition).stages
    job = next(job for job in dag.jobs(stages) if f"{job.stage.page}/{job.stage.name}" == struck)
    return rehearse(name, Scene(cluster, job, disk), stages, folder / UNDISTURBED)


@contextmanager
def speaking_to(cluster: VirtualCluster) -> Iterator[None]:
    """Slurm's programs find their cluster by this variable alone."""
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = cluster.environment["SLURM_CONF"]
    try:
        yield
    finally:
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
