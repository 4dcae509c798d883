"""Where stages run: this machine, or a Slurm cluster. Never part of a stage's identity."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Share, Strict

_DURATION = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")


def seconds_of(duration: str) -> int:
    """ "1-00:00:00" -> 86400."""
    days, hours, minutes, seconds = (int(part or 0) for part in _DURATION.fullmatch(duration).groups())  # type: ignore[union-attr]
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _as_written(given: Any) -> Any:
    """YAML takes an unquoted 24:00:00 for a number in base 60; sbatch would take a number for minutes."""
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 3600:
            raise ValueError(f'{given} may be minutes or seconds; write the time limit in quotes, as "00:30:00" or "1-00:00:00"')
        return f"{given // 3600:02d}:{given // 60 % 60:02d}:{given % 60:02d}"
    return given


def _is_duration(given: str) -> str:
    if not _DURATION.fullmatch(given):
        raise ValueError(f"{given!r} is no time limit; write it as HH:MM:SS or D-HH:MM:SS, as sbatch wants it")
    return given


Duration = Annotated[str, BeforeValidator(_as_written), AfterValidator(_is_duration)]


Resources = Literal["cpu", "gpu", "one_gpu"]


class Jobs(Strict):
    """How one kind of job is asked for. What is null is left to the site's defaults, but for what no job can do without."""

    partition: Name | None = None
    qos: Name | None = None
    time_limit: Duration | None = None
    memory_gib: PositiveFloat | None = None  # of each node of the job
    processes: Positive = 1  # ranks of a curation stage that one job works on at the same time; training has processes_per_node
    options: list[Name] = []  # further options of sbatch, each as it is written there: "--constraint=h100"


class Restarts(Strict):
    """How often a stage may start again by itself, by what ended it; all else stops it at once."""

    preempted: NotNegative = 1000
    timeout: NotNegative = 1000
    node_failure: NotNegative = 20
    killed: NotNegative = 3  # a process died by SIGKILL and nothing says that memory ran out


class Slurm(Strict):
    """A site's facts. `sinfo -s` names partitions, `sacctmgr show assoc user=$USER` accounts and qos, `scontrol show config`
    MaxArraySize; `midtrain doctor` compares all with what the site says."""

    account: Name | None = None
    cpu: Jobs = Jobs()  # curation, indexes, averages, exports, verdicts, reports: one node each
    gpu: Jobs | None = None  # training, where device is cuda
    one_gpu: Jobs | None = None  # evaluations, answers, probes: one GPU of a node that others share; None: as training
    gpus_option: str = "--gpus-per-node={}"  # or "--gres=gpu:h100:{}"
    max_array_size: Positive = 1001  # indexes of an array are below it
    signal_seconds: Positive = 300  # before its time limit a job is told to save and to queue itself again
    environment: list[Name] = []  # lines of shell before the program: modules, `source .venv/bin/activate`, NCCL's variables
    container: Name | None = None  # goes before the `python` that does a stage's work: "apptainer exec --nv image.sif"
    restarts: Restarts = Restarts()

    def key_of(self, resources: Resources) -> str:
        """Where the page says how such jobs are asked for."""
        return "gpu" if resources == "one_gpu" and self.one_gpu is None else resources

    def jobs(self, resources: Resources) -> Jobs | None:
        return {"cpu": self.cpu, "gpu": self.gpu, "one_gpu": self.one_gpu}[self.key_of(resources)]


class Cluster(Strict):
    """Where stages run. Never part of a stage's identity."""

    device: Literal["cpu", "cuda"]
    nodes: Positive  # of training
    processes_per_node: Positive  # training ranks: one a GPU on CUDA
    threads_per_process: Positive
    curation_workers: Positive  # ranks of curation stages that run at the same time
    peak_tflops: PositiveFloat  # dense bf16 peak of one process' device
    mfu: Share  # the share of that peak that plans count with
    gpu_memory_gib: PositiveFloat | None = None  # of one process' device; plans warn where training would not fit
    price_per_device_hour: Annotated[float, Field(ge=0.0)] | None = None  # of training, in the currency you like
    slurm: Slurm | None = None  # None: `midtrain submit` has nowhere to go

    @property
    def num_processes(self) -> int:
        """Of training."""
        return self.nodes * self.processes_per_node

    def gpus_of(self, resources: Resources) -> int:
        """Of each node of a job."""
        return {"cpu": 0, "gpu": self.processes_per_node, "one_gpu": 1}[resources]
