"""Mirrors of a run's journals in TensorBoard and Weights & Biases, for those who watch there. `metrics.jsonl` stays the truth.

Each is an extra of the package, imported where `cadence.observers` names it. Both keep figures in memory for a while, lost with a
killed process: so a run that goes on tells them all that its journals hold and they do not. Each step is shown once.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pretrain.ending import Mistake
from pretrain.guards import read_rewinds
from pretrain.metrics import METRICS, ON_THE_WAY, SPEED, VALIDATION, read_journal
from recipes.stage import LOGS

if TYPE_CHECKING:
    from pretrain.preflight import Job

NO_FIGURES = ("step", "steps", "tokens", "bytes")


class Mirror(Protocol):
    def write(self, step: int, figures: dict[str, float]) -> None:
        """Steps never go back."""

    def close(self) -> None: ...


def check(names: Sequence[str]) -> None:
    for name in names:
        if find_spec(name) is None:
            raise ValueError(
                f"cadence.observers names {name}, but the package {name} is not installed here; install it with: pip install "
                f"'midtrain[{name}]', or leave it out"
            )


def open_mirrors(job: "Job", step: int) -> list[Mirror]:
    """Of a run that goes on after `step`: they have been told all up to there."""
    made: dict[str, Callable[[Job], Mirror]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
    mirrors = [made[name](job) for name in job.cadence.observers]
    if mirrors:
        for at, told in history(job.folder, step):
            for mirror in mirrors:
                mirror.write(at, told)
    return mirrors


def history(folder: Path, step: int) -> list[tuple[int, dict[str, float]]]:
    """What the journals hold of each step up to `step`."""
    told: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for file in (METRICS, SPEED, VALIDATION, ON_THE_WAY):
        for row in read_journal(folder / file):
            kind = f"validation/{row['name']}" if "name" in row else "speed" if file == SPEED else "train"
            told[row["step"]].update(figures(kind, row))
    return sorted((at, row) for at, row in told.items() if at <= step)


def figures(kind: str, row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """`train/loss`, 2.5: the numbers of a row."""
    for name, value in row.items():
        if name not in NO_FIGURES and isinstance(value, int | float):
            yield f"{kind}/{name}", value


class TensorBoard:
    """Event files in `logs/tensorboard`, written anew by each start: tensorboard --logdir RESULTS shows all stages under it."""

    def __init__(self, job: "Job") -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = job.folder / LOGS / "tensorboard"
        shutil.rmtree(folder, ignore_errors=True)
        self.writer: Any = SummaryWriter(str(folder))  # type: ignore[no-untyped-call]

    def write(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """A run a stage, in the project of its page, and a further one of the same group after each rewind of a guard: what was told
    cannot be taken back. Where and whether it is sent, W&B's own variables say: WANDB_MODE, WANDB_ENTITY."""

    def __init__(self, job: "Job") -> None:
        import wandb

        folder = job.folder / LOGS / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        name, rewinds = f"{job.stage.name}-{job.stage.fingerprint}", len(read_rewinds(job.folder))
        identity = f"{name}-rewind{rewinds}" if rewinds else name
        try:
            self.run = wandb.init(
                project=job.stage.page.replace("/", "-"),
                group=name,
                name=identity,
                id=identity,
                resume="allow",
                dir=str(folder),
                config=job.stage.params,
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.Error as error:
            raise Mistake(
                f"cadence.observers names wandb, which does not begin: {error} Set WANDB_MODE=offline to send it later, or leave "
                "wandb out"
            ) from error
        self.next_step = self.run.starting_step  # what the server has stops before it; 0 when there is no server to ask
        for earlier in (folder / "wandb").glob(f"offline-run-*-{identity}"):
            if earlier != Path(self.run.dir).parent:
                shutil.rmtree(earlier)  # all that it may hold is told again

    def write(self, step: int, figures: dict[str, float]) -> None:
        if step >= self.next_step:
            self.run.log(figures, step=step)

    def close(self) -> None:
        self.run.finish()
