"""Plans and states in numbers: what `plan` and `verify` print and give as JSON."""

from collections import Counter
from typing import Any

from pretrain.cost import flops_per_token, num_parameters
from recipes.manifest import changed_files, read_manifest, read_summary, total_of
from recipes.schema import Model, TrainParams
from recipes.stage import Stage
from slurm.disk import describe_disk, stage_bytes
from slurm.epochs import WORTH, epochs_of, tokens_of
from slurm.forecast import FORECAST, forecast, memory_warning, sizes
from slurm.plan import Plan, state
from slurm.queue.dag import GENERATES
from slurm.slots import describe_queue


def describe_plan(plan: Plan) -> dict[str, Any]:
    stages = [describe_stage(stage, plan) for stage in plan.stages]
    return {
        "page": plan.page,
        "root": str(plan.stages[0].folder.parents[2]),
        "stages": stages,
        "problems": plan.problems,
        "sizes": sizes([stage for stage in plan.stages if stage.do == "train"]),
        "warnings": plan.warnings + _epoch_warnings(stages) + _memory_warnings(plan, stages),
        "tokens": sum(row["tokens"] for row in stages if row["do"] == "train"),
        "left": _left(stages),
        "not_foretold": dict(Counter(row["do"] for row in stages if row["do"] in GENERATES and row["state"] != "done")),
        "disk": describe_disk(plan, stages),
        "queue": describe_queue(plan),
    }


def describe_stage(stage: Stage, plan: Plan) -> dict[str, Any]:
    """State, and what is known of documents, tokens, epochs, bytes and cost."""
    manifest = read_summary(stage.folder) if stage.is_finished else None
    counts = manifest["counts"] if manifest else {}
    row: dict[str, Any] = {
        "page": stage.page,
        "stage": stage.name,
        "do": stage.do,
        "fingerprint": stage.fingerprint,
        "folder": f"{stage.page}/{stage.folder.name}",
        "state": state(stage),
        "documents": total_of(counts.get("documents_out", counts.get("documents"))),
        "tokens": total_of(counts.get("tokens")),
        "bytes": stage_bytes(stage, plan, manifest),
    }
    if stage.do == "train":
        row |= train_numbers(stage, plan)
    return row


def train_numbers(stage: Stage, plan: Plan) -> dict[str, Any]:
    """Tokens, FLOPs, memory, device-hours and price of a training stage; epochs of each source where its tokens are known, or
    expected by its page. What depends on the layout is not there where it does not divide, which is a problem of the plan."""
    params, told = TrainParams.model_validate(stage.params), stage.run[FORECAST]
    tokens = params.steps * params.global_batch_size * params.sequence_length
    try:
        layout = forecast(stage)
    except ValueError:
        layout = {"device_hours": None}
    return {
        "steps": params.steps,
        "tokens": tokens,
        "blend": dict(params.blend),
        "epochs": epochs_of(stage, params, plan.recipes),
        "epochs_expected": [dataset for dataset in params.blend if tokens_of(stage, dataset, plan.recipes)[1]],
        "parameters": num_parameters(Model.model_validate(params.model)),
        "flops": float(tokens * flops_per_token(params.model, told["attended_length"] or params.sequence_length)),
        **{key: told[key] for key in ("checkpoint_bytes", "checkpoints_at_most", "checkpoints_kept")},
        **layout,
    }


def _left(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the training stages that are not done: from the fastest to the slowest that their MFU may be."""
    left = [row for row in rows if row["do"] == "train" and row["state"] != "done" and row["device_hours"] is not None]
    record: dict[str, Any] = {
        "stages": len(left),
        "flops": float(sum(row["flops"] for row in left)),
        "device_hours": round(sum(row["device_hours"] for row in left), 4),
        "device_hours_range": [round(sum(row["device_hours_range"][end] for row in left), 4) for end in (0, 1)],
    }
    if left and all("price" in row for row in left):
        record["price"] = round(sum(row["price"] for row in left), 2)
        record["price_range"] = [round(sum(row["price_range"][end] for row in left), 2) for end in (0, 1)]
    return record


def _epoch_warnings(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['stage']}: {dataset} would be seen {epochs:.1f} times; above {WORTH} repeated tokens teach little"
        for row in rows
        for dataset, epochs in row.get("epochs", {}).items()
        if epochs and epochs > WORTH
    ]


def _memory_warnings(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    """Of the first stage that would not fit: the others of a page are alike."""
    return next((told for stage, row in zip(plan.stages, rows, strict=True) if (told := memory_warning(stage, row))), [])


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
