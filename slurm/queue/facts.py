"""What a cluster's page must say before anything is submitted to it; all that lacks is told at once."""

from collections.abc import Iterable

from recipes.schema import Cluster, Jobs, seconds_of
from recipes.schema.cluster import Resources
from slurm.queue.dag import Job

PARTITION = "`sinfo -s` names the partitions"
TIME_LIMIT = "`sinfo -o '%P %l'` tells the longest that a partition allows"
MEMORY = "`sinfo -o '%P %m'` tells what a node has, in MiB"


def missing_facts(jobs: Iterable[Job]) -> list[str]:
    """Each with the key to set and the command that tells what to write."""
    told: dict[str, None] = {}
    for kind in {(id(job.cluster), job.resources): job for job in jobs}.values():
        told |= dict.fromkeys(missing_of(kind.cluster, kind.resources))
    return list(told)


def missing_of(cluster: Cluster, resources: Resources) -> list[str]:
    """Of one kind of jobs."""
    slurm = cluster.slurm
    if slurm is None:
        return ["cluster.slurm is not set: this cluster's page knows no Slurm; choose another (cluster=h100) or write `slurm:`"]
    asked, key = slurm.jobs(resources), f"cluster.slurm.{slurm.key_of(resources)}"
    if asked is None:
        work = "training" if resources == "gpu" else "what asks a model"
        return [f"{key} is not set, but {work} runs on cuda: write {key}: {{partition: …, time_limit: …}}; {PARTITION}"]
    return [*_lacking(key, asked), *_too_short(key, asked, slurm.signal_seconds)]


def _lacking(key: str, asked: Jobs) -> list[str]:
    lacking = []
    if asked.partition is None:
        lacking.append(f"{key}.partition is not set; {PARTITION}")
    if asked.time_limit is None:
        lacking.append(f"{key}.time_limit is not set; {TIME_LIMIT}")
    if asked.memory_gib is None and "--exclusive" not in asked.options:
        lacking.append(f"{key}.memory_gib is not set, and the site's default is a guess; {MEMORY}")
    return lacking


def _too_short(key: str, asked: Jobs, signal_seconds: int) -> list[str]:
    if asked.time_limit is None or seconds_of(asked.time_limit) > signal_seconds:
        return []
    return [
        f"{key}.time_limit={asked.time_limit} is not longer than cluster.slurm.signal_seconds={signal_seconds}: jobs would end "
        "when they begin; lengthen the one or shorten the other"
    ]


def refuse_missing_facts(jobs: Iterable[Job]) -> None:
    if missing := missing_facts(jobs):
        raise ValueError("nothing was submitted; the cluster's page must say more:\n  " + "\n  ".join(missing))
