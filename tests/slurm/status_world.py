"""A page whose stages, jobs and queue are as a test of `midtrain status` says."""

import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from recipes.manifest import publish
from recipes.stage import Stage
from slurm.plan import Plan, plan
from slurm.queue.ask import NoSlurm
from slurm.queue.live import LiveJob
from slurm.queue.records import Part, Submitted, append, job_name
from slurm.status.describe import describe_status
from slurm.status.table import print_status

SUBMIT = "midtrain submit train/demo"


class World:
    """A page whose stages are as a test says; squeue tells the lines of `queue`."""

    def __init__(self, root: Path):
        self.plan: Plan = plan("train/demo", (f"root={root}", "branch=demo_short", "demo_web:shards=4"))
        self.queue: dict[str, list[LiveJob]] = {}
        self.asked = 0

    def stage(self, name: str, page: str = "curate/demo_web") -> Stage:
        return next(stage for stage in self.plan.stages if (stage.page, stage.name) == (page, name))

    def finish_until(self, name: str, page: str = "curate/demo_web") -> None:
        for stage in self.plan.stages:
            if (stage.page, stage.name) == (page, name):
                return
            publish(stage, counts={}, started=time.time(), files=[])

    def submit(self, stage: Stage, part: Part, job: str, elements: str = "", **more: Any) -> None:
        append(stage.folder, Submitted(job, job_name(stage, part), part, elements, **more))

    def live(self, stage: Stage, part: Part, job: str, state: str, reason: str = "None", nodes: str = "", *elements: int) -> None:
        name = job_name(stage, part)
        self.queue.setdefault(name, []).append(LiveJob(job, elements, state, reason, nodes, None, name))

    def look(self, ask: Callable[[], dict[str, list[LiveJob]]] | None = None) -> dict[str, Any]:
        return describe_status(self.plan, SUBMIT, ask or self.squeue)

    def squeue(self) -> dict[str, list[LiveJob]]:
        self.asked += 1
        return self.queue

    def row(self, name: str, page: str = "curate/demo_web", **more: Any) -> dict[str, Any]:
        return next(row for row in self.look(**more)["stages"] if (row["page"], row["stage"]) == (page, name))


def no_slurm() -> dict[str, list[LiveJob]]:
    raise NoSlurm("there is no `squeue` on this machine")


def drawn(world: World, width: int = 160, **more: Any) -> str:
    console = Console(width=width, file=StringIO())
    with console.capture() as capture:
        print_status(console, world.look(**more))
    return capture.get()
