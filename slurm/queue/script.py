"""The batch script of a job: header lines that say what it asks for, the site's environment, and one command."""

import shlex
import sys
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from curation.ranks import num_ranks
from recipes.stage import SCRIPT
from slurm.queue import records
from slurm.queue.dag import Job
from slurm.queue.elements import array

NUM_NAMED = 4  # stages that another waits for
WHAT = {
    "ranks": "{num_ranks} ranks: {share}",
    "finish": "proves that all ranks are there, and writes the manifest",
    "index": "decides which samples training will see, without GPUs",
    "main": "does all of a stage of the kind {do}",
}


def script_file(job: Job) -> Path:
    name = "job" if job.part == "main" else f"job_{job.part}"
    return job.stage.folder / f"{name}{SCRIPT}"


def script(job: Job) -> str:
    """What `sbatch` is given. Dependencies are no part of it: ids are of a day, the script is for any."""
    total, step = num_ranks(job.stage), job.num_elements
    share = "element e does rank e" if total == step else f"element e does the ranks e, e + {step} and so on"
    what = WHAT[job.part].format(do=job.stage.do, num_ranks=total, share=share)
    inputs = [f"{need.stage.page}/{need.stage.name}" for need in job.needs if need.stage is not job.stage]
    return _template().render(
        what=f"{job.stage.page}/{job.stage.name}: {what}",
        behind=f" when {_listed(inputs)} {'is' if len(inputs) == 1 else 'are'} done" if inputs else "",
        again=shlex.join(["sbatch", str(script_file(job))]),
        options=[_quoted(option) for option in options(job)],
        environment=job.slurm.environment,
        command=_command(job),
        quote=shlex.quote,
    )


def _listed(names: list[str]) -> str:
    """A report reads all stages, which needs no list."""
    return " and ".join(names) if len(names) <= NUM_NAMED else f"{len(names)} stages"


def options(job: Job) -> list[str]:
    """All that this job asks of Slurm."""
    asks, folder = job.asks, str(records.folder_of(job.stage.folder)).replace("%", "%%")
    asked = {
        "job-name": job.name,
        "output": f"{folder}/{'%A_%a' if job.num_elements else '%j'}.log",
        "open-mode": "append",
        "kill-on-invalid-dep": "yes",  # or it would wait for ever for a job that failed
        "array": array(range(job.num_elements), job.num_at_once) if job.num_elements else None,
        "partition": asks.partition,
        "account": job.slurm.account,
        "qos": asks.qos,
        "time": asks.time_limit,
        "mem": "0" if asks.memory_gib is None else f"{round(asks.memory_gib * 1024)}M",  # 0: all of a node that is ours alone
        "signal": f"{'' if job.is_training else 'B:'}USR1@{job.slurm.signal_seconds}",  # B: the command itself, else its steps
        **_size(job),
    }
    lines = [f"--{key}={value}" for key, value in asked.items() if value is not None]
    gpus = [job.slurm.gpus_option.format(job.num_gpus)] if job.num_gpus else []
    return [*lines, "--requeue", *gpus, *asks.options]


def _size(job: Job) -> dict[str, int]:
    cluster = job.cluster
    if job.is_training:
        each = {"ntasks-per-node": cluster.processes_per_node, "cpus-per-task": cluster.threads_per_process}
        return {"nodes": cluster.nodes, **each}
    if job.part == "ranks":
        return {"nodes": 1, "ntasks-per-node": 1, "cpus-per-task": job.asks.processes}
    return {"nodes": 1, "ntasks-per-node": 1, "cpus-per-task": 1 if job.part == "finish" else cluster.threads_per_process}


def _command(job: Job) -> str:
    words = [sys.executable, "-m", "slurm.queue", str(job.stage.folder), job.part]
    return shlex.join([*words, "--elements", str(job.num_elements)] if job.num_elements else words)


def _quoted(option: str) -> str:
    """sbatch cuts its header lines at blanks that stand outside of quotes."""
    return f'"{option}"' if " " in option else option


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.get_template("job.sbatch.j2")
