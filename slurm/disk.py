"""What a page takes on the disk: exact for what is finished, foretold for checkpoints, exports and token files."""

from glob import glob
from pathlib import Path
from typing import Any

from pretrain.storage import average_bytes, export_bytes
from recipes.schema import AverageParams, CurateRecipe, ExportParams
from recipes.stage import Stage, is_uri
from slurm.forecast import FORECAST
from slurm.plan import Plan

BYTES_A_TOKEN = 4  # of vocabularies from 65,500 ids on, as Megatron writes them; smaller ones take half


def stage_bytes(stage: Stage, plan: Plan, manifest: dict[str, Any] | None) -> int | None:
    """Of a stage's outputs: those that its manifest names, else what will stay of it. None where nothing tells."""
    if manifest is not None:
        return manifest.get("output_bytes")
    if stage.do == "train":
        foretold = stage.run[FORECAST]
        return int(foretold["checkpoint_bytes"] * foretold["checkpoints_kept"])
    if stage.do == "export":
        return export_bytes(ExportParams.model_validate(stage.params))
    if stage.do == "average":
        return average_bytes(AverageParams.model_validate(stage.params).model)
    page = plan.recipes[stage.page]
    if stage.do == "tokenize" and isinstance(page, CurateRecipe) and page.expected_tokens is not None:
        return page.expected_tokens * BYTES_A_TOKEN
    return None


def describe_disk(plan: Plan, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over a plan's stages, of which `rows` hold the bytes. Stages that leave documents are unknown until they are made:
    about the text of what they keep (dedup next to nothing), and there are `source_bytes` (compressed) of local sources."""
    by_kind = {"train": 0, "export": 0, "average": 0, "tokenize": 0, "documents": 0}
    unknown: list[str] = []
    for stage, row in zip(plan.stages, rows, strict=True):
        kind = stage.do if stage.do in by_kind else "documents"
        if row["bytes"] is not None:
            by_kind[kind] += row["bytes"]
        elif kind == "tokenize":
            unknown.append(stage.page)
    running = [stage.run[FORECAST] for stage in plan.stages if stage.do == "train" and not stage.is_finished]
    return {
        "documents_bytes": by_kind["documents"],
        "dataset_bytes": by_kind["tokenize"],
        "checkpoint_bytes": by_kind["train"] + by_kind["average"],
        "checkpoint_bytes_while_training": max(
            (one["checkpoint_bytes"] * (one["checkpoints_at_most"] - one["checkpoints_kept"]) for one in running), default=0
        ),
        "export_bytes": by_kind["export"],
        "source_bytes": sum(_local_bytes(stage) for stage in plan.stages if not stage.is_finished),
        "unknown_datasets": unknown,
    }


def _local_bytes(stage: Stage) -> int:
    """Of the files that a stage reads as its sources."""
    outside = [entry for role, entry in stage.inputs.items() if role.startswith("source/") and entry.stage is None]
    paths = [entry.location for entry in outside if not is_uri(entry.location)]
    files = [Path(file) for path in paths for file in glob(path, recursive=True)]
    return sum(file.stat().st_size for file in files if file.is_file())
