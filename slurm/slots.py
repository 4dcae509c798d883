"""What a page asks of a queue: jobs, elements of arrays, and how much of it may run at the same time."""

from collections import Counter
from typing import Any

from slurm.plan import Plan
from slurm.queue.dag import Job, jobs


def describe_queue(plan: Plan) -> dict[str, Any] | None:
    """Of the stages that are not finished; None where the cluster has no Slurm. `at_once`: the most that run side by side if all
    take equally long, so that those equally far from the beginning do; `training_nodes` likewise."""
    if plan.recipe.cluster.slurm is None:
        return None
    found = jobs(stage for stage in plan.stages if not stage.is_finished)
    depth: dict[Job, int] = {}
    running: Counter[int] = Counter()
    nodes: Counter[int] = Counter()
    for job in found:
        depth[job] = 1 + max((depth[need] for need in job.needs), default=0)
        slots = min(job.num_at_once, job.num_elements) if job.num_elements else 1
        running[depth[job]] += slots
        nodes[depth[job]] += job.cluster.nodes if job.is_training else 0
    return {
        "jobs": len(found),
        "elements": sum(max(1, job.num_elements) for job in found),
        "largest_array": max((job.num_elements for job in found), default=0),
        "at_once": max(running.values(), default=0),
        "training_nodes": max(nodes.values(), default=0),
    }
