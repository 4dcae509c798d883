"""Doctor's one job for each kind that the cluster gets: `srun` from the login node, bounded, so that what it prints is seen even
where no file system is shared."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.schema import Cluster, Jobs, Slurm
from recipes.schema.cluster import Resources
from slurm.doctor.probe import MARK
from slurm.doctor.promises import trains
from slurm.queue.allocation import TASK, program
from slurm.queue.ask import ask, environment

TIME_LIMIT = "00:05:00"
TIME_LIMIT_SECONDS = 300
POLL_SECONDS = 0.2


@dataclass
class Answer:
    """`found`: what the processes printed, in their order; `ended`: srun's status, None where it never began or was cut off."""

    nodes: int
    tasks: int
    ended: int | None
    waited: float
    found: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    errors: list[str] = field(default_factory=list)

    def each(self, key: str) -> list[dict[str, Any]]:
        return [row for row in self.found if key in row]


def size(cluster: Cluster, kind: Resources) -> tuple[int, int]:
    """Nodes, and processes on each: as training, of two nodes where it has more; of other jobs one process."""
    return (min(cluster.nodes, 2), cluster.processes_per_node) if trains(cluster, kind) else (1, 1)


def options(cluster: Cluster, kind: Resources, nodes: int, time_limit: str | None) -> list[str]:
    """As a stage's own job asks."""
    slurm = cluster.slurm or Slurm()
    asks = slurm.jobs(kind) or Jobs()
    _, each = size(cluster, kind)
    asked = {
        "partition": asks.partition,
        "account": slurm.account,
        "qos": asks.qos,
        "time": time_limit,
        "nodes": nodes,
        "ntasks-per-node": each,
        "ntasks": nodes * each,
        "cpus-per-task": cluster.threads_per_process,
        "mem": "0" if asks.memory_gib is None else f"{round(asks.memory_gib * 1024)}M",
    }
    num_gpus = cluster.gpus_of(kind)
    gpus = [slurm.gpus_option.format(num_gpus)] if num_gpus else []
    return [*(f"--{key}={value}" for key, value in asked.items() if value is not None), *gpus, *asks.options]


def command(cluster: Cluster, kind: Resources, name: str, folder: Path, token: str) -> list[str]:
    script = "\n".join([*(cluster.slurm or Slurm()).environment, TASK])
    device = cluster.device if cluster.gpus_of(kind) else "cpu"
    probe = [*program(cluster), "-m", "slurm.doctor.probe", str(folder), token, device]
    nodes, _ = size(cluster, kind)
    step = [f"--job-name={name}", "--mpi=none", "--input=none", "--kill-on-bad-exit=1"]
    return ["srun", *options(cluster, kind, nodes, TIME_LIMIT), *step, "bash", "-c", script, "task", *probe]


def would_be_taken(cluster: Cluster, kind: Resources) -> tuple[bool, str]:
    """Whether Slurm would take a whole job of this kind, as large and as long as the page says, and what it says to that."""
    slurm = cluster.slurm or Slurm()
    asks = slurm.jobs(kind) or Jobs()
    nodes = cluster.nodes if size(cluster, kind)[0] > 1 else 1
    whole = ["sbatch", "--test-only", *options(cluster, kind, nodes, asks.time_limit), "--wrap=true"]
    answer = subprocess.run(whole, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL)
    return answer.returncode == 0, answer.stderr.strip().removeprefix("sbatch: ").replace("\nsbatch: ", "; ")


def run(cluster: Cluster, kind: Resources, folder: Path, token: str, *, seconds: float, tell: Callable[[str], None]) -> Answer:
    """Waits in the queue for that many seconds at most. `tell` hears, once, that it waits."""
    nodes, each = size(cluster, kind)
    name, started = f"midtrain-doctor-{token}-{kind}", time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        call = subprocess.Popen(
            command(cluster, kind, name, folder, token), stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment()
        )
        began, problem = _wait(call, name, seconds, tell)
        ended = None if problem else call.wait()
        rows = [json.loads(line.removeprefix(MARK)) for line in _lines(out) if line.startswith(MARK)]
        return Answer(nodes, nodes * each, ended, began - started, rows, problem, _lines(err))


def _wait(call: "subprocess.Popen[bytes]", name: str, seconds: float, tell: Callable[[str], None]) -> tuple[float, str]:
    """When it began to run, and why it was cut off."""
    started, began = time.monotonic(), None
    has_told = False
    while call.poll() is None:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if began is None and now - started > 1.0:
            state, reason = _state(name)
            began = now if state not in ("", "PENDING", "CONFIGURING") else None
            if began is None and not has_told:
                tell(f"a small job waits in the queue, for {seconds:.0f} s at most ({reason or 'submitted'}) …")
                has_told = True
            if began is None and now - started > seconds:
                _cancel(call, name)
                return now, f"it still waits in the queue after {seconds:.0f} s: {reason or state}"
        if began is not None and now - began > TIME_LIMIT_SECONDS:
            _cancel(call, name)
            return began, f"it did not end within {TIME_LIMIT}"
    return began or time.monotonic(), ""


def _state(name: str) -> tuple[str, str]:
    words = ask(["squeue", "--me", "--noheader", "--name", name, "--format=%T %r"]).split()
    return (words[0], " ".join(words[1:])) if words else ("", "")


def _cancel(call: "subprocess.Popen[bytes]", name: str) -> None:
    ask(["scancel", "--me", "--name", name])
    call.terminate()
    call.wait()


def _lines(file: Any) -> list[str]:
    file.seek(0)
    return [line for line in file.read().splitlines() if line.strip()]
