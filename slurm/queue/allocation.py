"""What Slurm tells a job of itself, and how training's processes learn their places from it.

They are started by srun itself: torchrun's agent dies of the signal that Slurm sends before the time limit and leaves its workers
behind, or, told to handle it, passes it on to workers that Slurm has told already.
"""

import os
import shlex
import sys
from dataclasses import dataclass

from recipes.schema import Cluster, Slurm
from slurm.queue.ask import ask

# What a task does before it becomes a training process: they meet on the first node, at a port of this job, below those that
# Linux gives to whoever asks (32,768 and up).
TASK = """
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) MASTER_PORT=$((15000 + SLURM_JOB_ID % 15000))
exec "$@"
"""


@dataclass(frozen=True)
class Allocation:
    """`job` is "123", or "123_7" of an array; `restart` is Slurm's count."""

    job: str
    element: int | None
    restart: int
    nodes: list[str]


def allocation() -> Allocation:
    """Of the job that this process runs in."""
    given = os.environ
    if "SLURM_JOB_ID" not in given:
        raise ValueError(
            "this is no Slurm job; submit the script beside the stage's recipe.yaml with sbatch, or call midtrain run"
        )
    is_array = "SLURM_ARRAY_TASK_ID" in given
    job = f"{given['SLURM_ARRAY_JOB_ID']}_{given['SLURM_ARRAY_TASK_ID']}" if is_array else given["SLURM_JOB_ID"]
    return Allocation(
        job=job,
        element=int(given["SLURM_ARRAY_TASK_ID"]) if is_array else None,
        restart=int(given.get("SLURM_RESTART_COUNT", "0")),
        nodes=ask(["scontrol", "show", "hostnames", given["SLURM_JOB_NODELIST"]]).split(),
    )


def program(cluster: Cluster) -> list[str]:
    """Python, on the node or in the site's container."""
    container = (cluster.slurm or Slurm()).container
    return [*shlex.split(container), "python"] if container else [sys.executable]


def as_processes(command: list[str], cluster: Cluster) -> list[str]:
    """The command as training's processes, one a task over all nodes. One that fails takes the others along: they would wait for
    it for ever. Never --no-kill: a step that goes on with half its ranks ends with status 0."""
    each = [f"--ntasks-per-node={cluster.processes_per_node}", f"--cpus-per-task={cluster.threads_per_process}"]
    size = [f"--nodes={cluster.nodes}", f"--ntasks={cluster.num_processes}", *each]
    return ["srun", *size, "--mpi=none", "--input=none", "--kill-on-bad-exit=1", "bash", "-c", TASK, "task", *command]
