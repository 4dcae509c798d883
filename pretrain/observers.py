"""Mirrors of a run's journals in TensorBoard and Weights & Biases, for those who watch there. `metrics.jsonl` stays the truth.

Each is an extra of the package, imported where `cadence.observers` names it. They get the rows that the journals get. Steps that
are done again after an interruption give the same figures, so none is shown twice: TensorBoard is told to forget what it had of
them, W&B is not told them again. After a guard's rewind the figures are others: W&B gets a further run of the same group.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from pretrain.guards import read_rewinds
from recipes.stage import LOGS, write_atomically

if TYPE_CHECKING:
    from pretrain.preflight import Job


class Mirror(Protocol):
    def write(self, kind: str, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


def check(names: Sequence[str]) -> None:
    for name in names:
        if find_spec(name) is None:
            raise ValueError(
                f"cadence.observers names {name}, but the package {name} is not installed here; install it with: pip install "
                f"'midtrain[{name}]', or leave it out"
            )


def open_mirrors(job: "Job", step: int) -> list[Mirror]:
    """Of a run that goes on after `step`."""
    made: dict[str, Callable[[Job, int], Mirror]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
    return [made[name](job, step) for name in job.cadence.observers]


def figures(kind: str, row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """`train/loss`, 2.5: the numbers of a row."""
    for name, value in row.items():
        if name != "step" and isinstance(value, int | float):
            yield f"{kind}/{name}", value


class TensorBoard:
    """Event files in `logs/tensorboard`: tensorboard --logdir RESULTS shows all stages under it."""

    def __init__(self, job: "Job", step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(job.folder / LOGS / "tensorboard"), purge_step=step + 1)  # type: ignore[no-untyped-call]

    def write(self, kind: str, row: dict[str, Any]) -> None:
        for name, value in figures(kind, row):
            self.writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """A run a stage, in the project of its page. Where and whether it is sent, W&B's own variables say: WANDB_MODE, WANDB_ENTITY.
    `logs/wandb/mirrored.json` has the last step told, for each run and kind of row."""

    def __init__(self, job: "Job", step: int) -> None:
        import wandb

        folder = job.folder / LOGS / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        rewinds = len(read_rewinds(job.folder))
        name = f"{job.stage.name}-{job.stage.fingerprint}"
        self.id = f"{name}-rewind{rewinds}" if rewinds else name
        self.file = folder / "mirrored.json"
        self.told: dict[str, int] = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.run = wandb.init(
            project=job.stage.page.replace("/", "-"),
            group=name,
            name=self.id,
            id=self.id,
            resume="allow",
            dir=str(folder),
            config=job.stage.params,
            settings=wandb.Settings(console="off", silent=True),
        )
        self.run.define_metric("*", step_metric="step")

    def write(self, kind: str, row: dict[str, Any]) -> None:
        """A row of a kind whose step was told before is left out."""
        key = f"{self.id} {kind}"
        if row["step"] <= self.told.get(key, -1):
            return
        self.told[key] = row["step"]
        write_atomically(self.file, json.dumps(self.told, indent=2).encode())
        self.run.log({"step": row["step"], **dict(figures(kind, row))})

    def close(self) -> None:
        self.run.finish()
