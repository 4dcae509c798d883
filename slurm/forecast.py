"""What training will take before it runs: memory of a GPU, time of a step, hours, price and disk, on the page's cluster and on
others.

Formulas and their sources: pretrain/memory.py, pretrain/cost.py, pretrain/storage.py and slurm/measured.py. Other sizes keep the
page's layout and its global batch, and have more or fewer data-parallel ranks.
"""

from functools import partial
from pathlib import Path
from typing import Any

from pretrain.attended import attended_length
from pretrain.cost import step_seconds
from pretrain.memory import HEADROOM, fits, memory, recompute_that_fits
from pretrain.parallel import check_layout
from pretrain.storage import checkpoint_bytes, num_checkpoints
from recipes.schema import Cadence, Cluster, Parallelism, TrainParams
from recipes.stage import Stage
from slurm.measured import Mfu, assumed, expected

SIZES = (8, 64, 256, 1024)  # GPUs
FORECAST = "forecast"  # of a stage's `run`: what its plan foretold, so that its manifest can be held against it


def foretell(root: Path, stage: Stage) -> dict[str, Any]:
    """What a plan puts into a training stage's `run`. Without hours where the layout does not divide, which is a problem of the
    plan. `attended_length`: T of the FLOPs where documents are kept apart; None: not known yet, whole sequences are counted."""
    params, parallelism, cluster = _read(stage)
    mfu = expected(root, params, parallelism, cluster)
    at_most, kept = num_checkpoints(params, Cadence.model_validate(stage.run["cadence"]), stage.run["branch_points"])
    record = mfu.record() | {"attended_length": attended_length(stage), "checkpoint_bytes": checkpoint_bytes(params)}
    record |= {"checkpoints_at_most": at_most, "checkpoints_kept": kept}
    try:
        return record | _times(params, parallelism, cluster, record, cluster.num_processes)
    except ValueError:
        return record


def forecast(stage: Stage, processes: int | None = None) -> dict[str, Any]:
    """Of a training stage on that many processes, None: the cluster's. ValueError where they do not divide. Memory is told of
    GPUs alone."""
    params, parallelism, cluster = _read(stage)
    processes = processes or cluster.num_processes
    told = stage.run.get(FORECAST) or assumed(cluster).record()
    record = Mfu.of(told).record() | _times(params, parallelism, cluster, told, processes)
    record["attended_length"] = told.get("attended_length")
    if cluster.device == "cuda":
        alike = cluster.model_copy(update={"mfu": Mfu.of(told).likely})
        record["recomputing_all"] = _recomputing_all(params, parallelism, alike, check_layout(params, parallelism, processes))
    return record


def _times(
    params: TrainParams, parallelism: Parallelism, cluster: Cluster, told: dict[str, Any], processes: int
) -> dict[str, Any]:
    """Ranges are those of the MFU: from the fastest to the slowest."""
    data_size, mfu, length = check_layout(params, parallelism, processes), Mfu.of(told), told.get("attended_length")
    step, fastest, slowest = (
        step_seconds(params, parallelism, cluster.model_copy(update={"mfu": share}), data_size, attended_length=length)
        for share in (mfu.likely, mfu.high, mfu.low)
    )
    hours, *between = (seconds * params.steps * processes / 3600 for seconds in (step, fastest, slowest))
    record: dict[str, Any] = {
        "step_seconds": round(step, 4),
        "tokens_per_second": round(params.global_batch_size * params.sequence_length / step),
        "device_hours": round(hours, 4),
        "device_hours_range": [round(hours, 4) for hours in between],
        "days": round(hours / processes / 24, 3),
    }
    if cluster.price_per_device_hour is not None:
        record["price"] = round(hours * cluster.price_per_device_hour, 2)
        record["price_range"] = [round(hours * cluster.price_per_device_hour, 2) for hours in between]
    if cluster.device == "cuda":
        need = memory(params, parallelism, data_size)
        record |= {"memory_gib": need.in_gib(), "fits": fits(need, cluster)}
    return record


def _recomputing_all(params: TrainParams, parallelism: Parallelism, cluster: Cluster, data_size: int) -> dict[str, float]:
    """The other end of the choice between memory and time."""
    layers = params.model.num_layers // (parallelism.pipeline * parallelism.virtual_pipeline)
    every = parallelism.model_copy(update={"recompute_layers": layers})
    return {
        "recompute_layers": layers,
        "memory_gib": memory(params, every, data_size).in_gib()["total"],
        "step_seconds": round(step_seconds(params, every, cluster, data_size), 4),
    }


def sizes(stages: list[Stage]) -> list[dict[str, Any]]:
    """All training stages of a page, one after another, on its own GPUs and on SIZES; empty where the cluster has none. Where one
    of SIZES does not divide, the most whole nodes below it that do are told, too."""
    clusters = [Cluster.model_validate(stage.run["cluster"]) for stage in stages]
    if not stages or clusters[0].device != "cuda":
        return []
    own, node = clusters[0].num_processes, clusters[0].processes_per_node
    nearest = {next(filter(partial(_divides, stages[0]), range(gpus // node * node, 0, -node)), gpus) for gpus in SIZES}
    return [_size(stages, gpus, own) for gpus in sorted({*SIZES, *nearest, own})]


def _divides(stage: Stage, gpus: int) -> bool:
    params, parallelism, _ = _read(stage)
    try:
        return check_layout(params, parallelism, gpus) > 0
    except ValueError:
        return False


def _size(stages: list[Stage], gpus: int, own: int) -> dict[str, Any]:
    row: dict[str, Any] = {"gpus": gpus, "is_page": gpus == own}
    try:
        rows = [forecast(stage, gpus) for stage in stages]
    except ValueError as error:
        return {**row, "problem": str(error)}
    params, parallelism, _ = _read(stages[0])
    data_size = check_layout(params, parallelism, gpus)
    gpu_hours = sum(record["device_hours"] for record in rows)
    return {
        **row,
        "data_parallel": data_size,
        "num_microbatches": params.global_batch_size // (parallelism.micro_batch_size * data_size),
        "memory_gib": max(record["memory_gib"]["total"] for record in rows),
        "fits": all(record["fits"] for record in rows),
        "step_seconds": rows[0]["step_seconds"],
        "tokens_per_second": rows[0]["tokens_per_second"],
        "hours": round(gpu_hours / gpus, 2),
        "gpu_hours": round(gpu_hours, 1),
    }


def memory_warning(stage: Stage, record: dict[str, Any]) -> list[str]:
    """Where a stage would probably not fit, with the way out."""
    if record.get("fits", True):
        return []
    params, parallelism, cluster = _read(stage)
    data_size = check_layout(params, parallelism, cluster.num_processes)
    layers = recompute_that_fits(params, parallelism, cluster, data_size)
    remedy = "raise parallelism.tensor, pipeline or context"
    if layers is not None:
        remedy = f"it fits with parallelism.recompute_layers={layers}, or {remedy}"
    return [
        f"{stage.name} needs {record['memory_gib']['total']:.1f} GiB on the fullest GPU by the formulas, and "
        f"{(1 - HEADROOM):.0%} of cluster.gpu_memory_gib are {(1 - HEADROOM) * (cluster.gpu_memory_gib or 0):.1f}; {remedy}"
    ]


def _read(stage: Stage) -> tuple[TrainParams, Parallelism, Cluster]:
    return (
        TrainParams.model_validate(stage.params),
        Parallelism.model_validate(stage.run["parallelism"]),
        Cluster.model_validate(stage.run["cluster"]),
    )
