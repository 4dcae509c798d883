"""An average of checkpoints: a stage that trains nothing.

The mean is made by the first process (pretrain/checkpoint/mean.py). Then every member and the mean are loaded under this stage's
own layout, as any stage would, and each one's loss on held-out documents is measured as their training measured it: whether the
average is better than what it is made of stands in the manifest. It has weights alone: it is exported, or trained further with
`load_optimizer: false`.
"""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain import cost, preflight
from pretrain.agreement import first_decides, patient_group
from pretrain.checkpoint import files
from pretrain.ending import Failed, SaveFailed
from pretrain.tokens import check_held_out
from recipes.manifest import publish, read_manifest
from recipes.schema import AverageParams, Cluster, Member, Model, Parallelism, TrainParams
from recipes.stage import Reports, Stage, read_stage

if TYPE_CHECKING:
    from pretrain.backend import Backend
    from pretrain.parallel import Layout

log = logging.getLogger(__name__)


class NotFinite(Failed):
    """The average's loss is no number."""


@dataclass(frozen=True)
class Job:
    """An average whose members are there. `settings`: those that the first member was trained with."""

    stage: Stage
    params: AverageParams
    paths: list[Path]  # of the members' checkpoints
    settings: TrainParams
    cluster: Cluster
    parallelism: Parallelism


def check(stage: Stage) -> Job:
    """A ValueError names a member that does not fit, and the way out. No torch."""
    params = AverageParams.model_validate(stage.params)
    folders = [Path(stage.input(f"checkpoint/{member.stage}")) for member in params.members]
    for folder in folders:
        _check_model(folder, params)
    settings = _settings(folders[0])
    check_held_out(stage, settings)
    return Job(
        stage=stage,
        params=params,
        paths=[_checkpoint(stage, member, folder) for member, folder in zip(params.members, folders, strict=True)],
        settings=settings,
        cluster=Cluster.model_validate(stage.run["cluster"]),
        parallelism=Parallelism.model_validate(stage.run.get("parallelism", {})),
    )


def _check_model(folder: Path, params: AverageParams) -> None:
    model = Model.model_validate(read_manifest(folder)["params"]["model"]).model_dump()
    other = [f"{key}={model[key]}, not {wanted}" for key, wanted in params.model.model_dump().items() if model[key] != wanted]
    if other:
        raise ValueError(f"{folder} trained another model than this average's ({', '.join(other)}); average stages of one model")


def _checkpoint(stage: Stage, member: Member, folder: Path) -> Path:
    if member.step is None:
        return folder / str(read_manifest(folder)["details"]["checkpoint"])
    try:
        return files.kept(folder, member.step)
    except ValueError as error:
        raise ValueError(f"{stage.name} averages {len(stage.params['members'])} checkpoints, but {error}") from None


def _settings(folder: Path) -> TrainParams:
    """Of the training behind a stage; behind an average, of its first member's."""
    stage = read_stage(folder)
    while stage.do == "average":
        stage = read_stage(stage.input(f"checkpoint/{stage.params['members'][0]['stage']}"))
    return TrainParams.model_validate(stage.params)


# ---------------------------------------------------------------------------------------------------- run


def run(stage: Stage) -> None:
    started = time.time()
    job = check(stage)
    from pretrain import parallel

    layout, backend = parallel.start(job.settings, job.parallelism, job.cluster)
    from pretrain.checkpoint import find

    lock = preflight.lock(stage.folder) if layout.is_first else None
    for path in job.paths:
        if problems := find.damage(path, layout):
            raise ValueError(f"the checkpoint {path} is damaged: {'; '.join(problems)}; make its stage again")
    first_decides(lambda: _write(job), patient_group())  # none looks for the mean before it is there
    mean = files.step_folder(stage.folder, 0)
    if problems := find.damage(mean, layout):
        raise Failed(f"{mean} is not what was written: {'; '.join(problems)}; run the stage again")
    losses = _held_out_losses(job, [*job.paths, mean], layout, backend)
    if layout.is_first:
        _publish(job, mean, losses, started)
    parallel.leave()
    if lock is not None:
        lock.close()


def _write(job: Job) -> None:
    from pretrain.checkpoint.mean import write_mean

    tell = Reports(job.stage.folder, 0, "tensors")
    weights = [member.weight for member in job.params.members]
    try:
        write_mean(job.stage.folder, list(zip(job.paths, weights, strict=True)), tell)
    except OSError as error:
        raise SaveFailed(f"the average could not be written: {error}; make room, or mend what failed, and start again") from error
    log.info("the mean of %s checkpoints is written", len(weights))


def _held_out_losses(job: Job, paths: list[Path], layout: "Layout", backend: "Backend") -> list[dict[str, float]]:
    """Of each checkpoint its loss by held-out set. Every one is loaded, whether or not there is a held-out set."""
    from pretrain import model
    from pretrain.checkpoint import state
    from pretrain.data import HeldOut
    from pretrain.validate import held_out_loss

    settings = job.settings
    held_out = {name: HeldOut(job.stage, dataset, settings) for name, dataset in settings.validation.items()}
    chunks = model.build(settings.model, settings.sequence_length, settings.precision, backend, job.parallelism)
    forward = model.in_its_precision(chunks)
    losses = []
    for path in paths:
        state.load(path, chunks, None)
        losses.append({name: held_out_loss(documents, forward, layout)[0] for name, documents in held_out.items()})
        log.info("%s/%s | %s", path.parents[1].name, path.name, "  ".join(f"{k} {v:.4f}" for k, v in losses[-1].items()))
    if not all(math.isfinite(loss) for loss in losses[-1].values()):
        raise NotFinite(f"the average's held-out losses are {losses[-1]}; those of its members: {losses[:-1]}")
    return losses


def _publish(job: Job, mean: Path, losses: list[dict[str, float]], started: float) -> None:
    folder, params = job.stage.folder, job.params
    members: list[dict[str, Any]] = [
        {"stage": member.stage, "step": files.step_of(path), "weight": member.weight, "validation": loss}
        for member, path, loss in zip(params.members, job.paths, losses[:-1], strict=True)
    ]
    publish(
        job.stage,
        counts={"checkpoints": len(members), "parameters": cost.num_parameters(params.model)},
        started=started,
        details={
            "members": members,
            "validation": losses[-1],
            "checkpoint": mean.relative_to(folder).as_posix(),
            "kept_steps": [files.step_of(mean)],
            "has_optimizer": False,
        },
    )
