"""Plans and states in numbers: what `plan`, `status` and `verify` print and give as JSON."""

import time
from pathlib import Path
from typing import Any

from pretrain.cost import flops_per_token, num_parameters
from recipes.manifest import changed_files, read_manifest
from recipes.schema import Model, TrainParams
from recipes.stage import Stage, is_finished, read_progress
from slurm.forecast import forecast, memory_warning, sizes
from slurm.plan import Plan, state


def describe_plan(plan: Plan) -> dict[str, Any]:
    stages = [describe_stage(stage, plan) for stage in plan.stages]
    hours = [row["device_hours"] for row in stages if row.get("device_hours") is not None and row["state"] != "done"]
    return {
        "page": plan.page,
        "root": str(plan.stages[0].folder.parents[2]),
        "stages": stages,
        "problems": plan.problems,
        "sizes": sizes([stage for stage in plan.stages if stage.do == "train"]),
        "warnings": plan.warnings + _epoch_warnings(stages) + _memory_warnings(plan, stages),
        "tokens": sum(row["tokens"] for row in stages if row["do"] == "train"),
        "device_hours_left": round(sum(hours), 4),
    }


def describe_stage(stage: Stage, plan: Plan) -> dict[str, Any]:
    """State, and what is known of documents, tokens, epochs and cost."""
    row: dict[str, Any] = {
        "page": stage.page,
        "stage": stage.name,
        "do": stage.do,
        "fingerprint": stage.fingerprint,
        "folder": f"{stage.page}/{stage.folder.name}",
        "state": state(stage),
        "documents": None,
        "tokens": None,
    }
    if stage.is_finished:
        counts = read_manifest(stage.folder)["counts"]
        row["documents"] = _total(counts.get("documents_out", counts.get("documents")))
        row["tokens"] = _total(counts.get("tokens"))
    if stage.do == "train":
        row |= train_numbers(stage)
    return row


def train_numbers(stage: Stage) -> dict[str, Any]:
    """Tokens, FLOPs, memory and device-hours of a training stage; epochs of each source where its tokens are known. What depends
    on the layout is not there where it does not divide, which is a problem of the plan."""
    params = TrainParams.model_validate(stage.params)
    tokens = params.steps * params.global_batch_size * params.sequence_length
    flops = tokens * flops_per_token(params.model, params.sequence_length)
    epochs: dict[str, float | None] = {}
    for dataset, share in params.blend.items():
        folder = Path(stage.inputs[f"dataset/{dataset}"].location)
        known = read_manifest(folder)["counts"]["tokens"]["train"] if is_finished(folder) else None
        epochs[dataset] = round(share * tokens / known, 3) if known else None
    try:
        layout = forecast(stage)
    except ValueError:
        layout = {"device_hours": None}
    return {
        "steps": params.steps,
        "tokens": tokens,
        "blend": dict(params.blend),
        "epochs": epochs,
        "parameters": num_parameters(Model.model_validate(params.model)),
        "flops": float(flops),
        **layout,
    }


def _total(count: int | dict[str, int] | None) -> int | None:
    """Of splits, where a count is by split."""
    return sum(count.values()) if isinstance(count, dict) else count


def _epoch_warnings(stages: list[dict[str, Any]]) -> list[str]:
    """Above four epochs repeated data are worth little (Muennighoff et al. 2023; FineMath saw a plateau at ten)."""
    return [
        f"{row['stage']}: {dataset} would be seen {epochs:.1f} times"
        for row in stages
        for dataset, epochs in row.get("epochs", {}).items()
        if epochs and epochs > 4
    ]


def _memory_warnings(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    """Of the first stage that would not fit: the others of a page are alike."""
    return next((told for stage, row in zip(plan.stages, rows, strict=True) if (told := memory_warning(stage, row))), [])


def describe_status(plan: Plan) -> dict[str, Any]:
    """Each stage's state, how far the running ones are, and what `run` would refuse."""
    rows = []
    for stage in plan.stages:
        row: dict[str, Any] = {"page": stage.page, "stage": stage.name, "state": state(stage), "folder": str(stage.folder)}
        if stage.is_finished:
            manifest = read_manifest(stage.folder)
            row |= {"seconds": manifest["seconds"], "ended": manifest["ended"], "counts": manifest["counts"]}
        elif row["state"] == "resumable":
            row["progress"] = progress_of(stage)
        rows.append(row)
    done = sum(row["state"] == "done" for row in rows)
    return {
        "page": plan.page,
        "finished": done == len(rows),
        "done": done,
        "total": len(rows),
        "problems": plan.problems,
        "stages": rows,
    }


def progress_of(stage: Stage) -> dict[str, Any]:
    """What all ranks of a stage have done together; `total` None where it is not known, and estimated while not all ranks have
    begun; `age` in seconds."""
    records = read_progress(stage.folder)
    num_ranks = stage.params.get("shards", 1) if stage.room == "curation" else 1
    totals = [record["total"] for record in records]
    last = max((float(record["time"]) for record in records), default=0.0)
    return {
        "done": sum(record["done"] for record in records),
        "total": sum(totals) * num_ranks // len(records) if totals and None not in totals else None,
        "unit": records[0]["unit"] if records else "",
        "time": last,
        "age": round(time.time() - last, 1) if records else None,
    }


def describe_verification(plan: Plan) -> dict[str, Any]:
    """Re-hashes the outputs of every finished stage."""
    rows = []
    for stage in plan.stages:
        if stage.is_finished:
            outputs = read_manifest(stage.folder)["outputs"]
            row = {"page": stage.page, "stage": stage.name, "folder": str(stage.folder), "files": len(outputs)}
            rows.append({**row, "bytes": sum(entry["bytes"] for entry in outputs), "changed": changed_files(stage.folder)})
    unfinished = [f"{stage.page}/{stage.name}" for stage in plan.stages if not stage.is_finished]
    return {
        "page": plan.page,
        "unchanged": not any(row["changed"] for row in rows),
        "finished": not unfinished,
        "stages": rows,
        "unfinished": unfinished,
    }
