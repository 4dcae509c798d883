"""Stages as jobs, and which waits for which. Pure: what is finished or live is asked elsewhere.

A curation stage of many ranks is an array, whose element e of E does ranks e, e + E, e + 2E, ...: E is below the site's limit
however many ranks there are, and nothing depends on one chunk of many. Behind it comes `finish`, whatever became of the elements:
it proves that every rank is there, or ends with a reason that names those that are not. All else waits for success.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import orjson

from curation.ranks import num_ranks
from recipes.schema import Cluster, Jobs, Slurm
from recipes.schema.cluster import Resources
from recipes.stage import Stage
from slurm.queue.records import Part, job_name

GENERATES = ("evaluate", "answers", "probe")  # kinds of stages that ask a model, on one GPU where there are any


@dataclass(frozen=True, eq=False)
class Job:
    """One sbatch call. `num_elements`: of an array, 0 for a single job; `num_at_once` of them run at the same time."""

    stage: Stage
    part: Part
    resources: Resources = "cpu"
    num_elements: int = 0
    num_at_once: int = 0
    needs: tuple["Job", ...] = ()
    condition: Literal["afterok", "afterany"] = "afterok"

    @property
    def name(self) -> str:
        return job_name(self.stage, self.part)

    @property
    def cluster(self) -> Cluster:
        return cluster_of(self.stage)

    @property
    def slurm(self) -> Slurm:
        return self.cluster.slurm or Slurm()

    @property
    def asks(self) -> Jobs:
        """What the page says of this kind of job."""
        return self.slurm.jobs(self.resources) or Jobs()

    @property
    def is_training(self) -> bool:
        """It runs as a step of several processes, which hear the signal before the time limit themselves."""
        return self.part == "main" and self.stage.do == "train"

    @property
    def num_gpus(self) -> int:
        """Of each node."""
        return self.cluster.gpus_of(self.resources)

    def ranks_of(self, element: int) -> range:
        return range(element, num_ranks(self.stage), self.num_elements)


def jobs(stages: Iterable[Stage]) -> list[Job]:
    """In the order of work; a stage that comes twice, of two plans, becomes jobs once."""
    last: dict[str, Job] = {}  # by stage folder: what those wait for that read it
    found: list[Job] = []
    for stage in stages:
        if str(stage.folder) in last:
            continue
        made_by = dict.fromkeys(entry.stage for entry in stage.inputs.values())
        needs = tuple(last[folder] for folder in made_by if folder is not None and folder in last)
        own = _jobs_of(stage, needs)
        last[str(stage.folder)] = own[-1]
        found += own
    return found


def _jobs_of(stage: Stage, needs: tuple[Job, ...]) -> list[Job]:
    cluster = cluster_of(stage)
    if stage.room == "curation" and num_ranks(stage) > 1:
        slurm = cluster.slurm or Slurm()
        num_elements = min(-(-num_ranks(stage) // slurm.cpu.processes), slurm.max_array_size)
        num_at_once = max(1, cluster.curation_workers // slurm.cpu.processes)
        ranks = Job(stage, "ranks", num_elements=num_elements, num_at_once=num_at_once, needs=needs)
        return [ranks, Job(stage, "finish", needs=(ranks,), condition="afterany")]
    if stage.do == "train" and cluster.device == "cuda":
        index = Job(stage, "index", needs=needs)
        return [index, Job(stage, "main", resources="gpu", needs=(index,))]
    resources: Resources = "one_gpu" if stage.do in GENERATES and cluster.device == "cuda" else "cpu"
    return [Job(stage, "main", resources=resources, needs=needs)]


def cluster_of(stage: Stage) -> Cluster:
    return _cluster(orjson.dumps(stage.run["cluster"]))


@cache
def _cluster(text: bytes) -> Cluster:
    return Cluster.model_validate_json(text)
