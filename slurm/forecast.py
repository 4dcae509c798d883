"""What training will take before it runs: memory of a GPU, time of a step and hours, on the page's cluster and on others.

Formulas and their sources: pretrain/memory.py and pretrain/cost.py. Other sizes keep the page's layout and its global batch, and
have more or fewer data-parallel ranks.
"""

from typing import Any

from pretrain.cost import step_seconds
from pretrain.memory import HEADROOM, fits, memory, recompute_that_fits
from pretrain.parallel import check_layout
from recipes.schema import Cluster, Parallelism, TrainParams
from recipes.stage import Stage

SIZES = (8, 64, 256, 1024)  # GPUs


def forecast(stage: Stage, processes: int | None = None) -> dict[str, Any]:
    """Of a training stage on that many processes, None: the cluster's. ValueError where they do not divide. Memory is told of
    GPUs alone."""
    params, parallelism, cluster = _read(stage)
    processes = processes or _processes(cluster)
    data_size = check_layout(params, parallelism, processes)
    step = step_seconds(params, parallelism, cluster, data_size)
    seconds = params.steps * step
    record: dict[str, Any] = {
        "mfu": cluster.mfu,
        "step_seconds": round(step, 4),
        "tokens_per_second": round(params.global_batch_size * params.sequence_length / step),
        "device_hours": round(seconds * processes / 3600, 4),
        "days": round(seconds / 86400, 3),
    }
    if cluster.device == "cuda":
        need = memory(params, parallelism, data_size)
        record |= {"memory_gib": need.in_gib(), "fits": fits(need, cluster)}
        record["recomputing_all"] = _recomputing_all(params, parallelism, cluster, data_size)
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
    """All training stages of a page, one after another, on its own GPUs and on SIZES; empty where the cluster has none."""
    clusters = [Cluster.model_validate(stage.run["cluster"]) for stage in stages]
    if not stages or clusters[0].device != "cuda":
        return []
    return [_size(stages, gpus, _processes(clusters[0])) for gpus in sorted({*SIZES, _processes(clusters[0])})]


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
    data_size = check_layout(params, parallelism, _processes(cluster))
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


def _processes(cluster: Cluster) -> int:
    return cluster.nodes * cluster.processes_per_node
