"""The end of a training stage: its ledger and its manifest. No torch."""

import json
import logging
from pathlib import Path
from typing import Any

from pretrain import certificate, cost, ledger
from pretrain.checkpoint import files
from pretrain.ending import Failed
from pretrain.guards import read_rewinds
from pretrain.metrics import METRICS, VALIDATION, read_journal
from pretrain.preflight import Job
from pretrain.watch import speed
from recipes import manifest
from recipes.resume import doubt
from recipes.stage import write_atomically

log = logging.getLogger(__name__)


def publish(job: Job, started: float) -> None:
    """The first process calls this after the last step."""
    folder, params = job.folder, job.params
    rows = ledger.ledger(folder, params.steps)
    write_atomically(folder / "ledger.json", json.dumps(rows, indent=2).encode())
    metrics, validation = read_journal(folder / METRICS), read_journal(folder / VALIDATION)
    losses = [row["loss"] for row in metrics if "skipped" not in row]
    if not losses:
        raise Failed(f"guards left the updates of all {params.steps:,} steps out: the weights are those that training began from")
    before = [row for row in validation if row["step"] == 0]
    after = [row for row in validation if row["step"] == params.steps]
    checkpoints, measured = files.present(folder), speed(folder)
    reach = ledger.read_index(folder).attended_length
    proof = {"resume": certificate.certificate(folder)}
    if told := doubt(proof):
        log.warning("%s: %s", job.stage.name, told)
    manifest.publish(
        job.stage,
        counts={"steps": params.steps, "tokens": params.steps * job.tokens_per_step},
        started=started,
        files=_described(folder, checkpoints),
        details={
            "loss": {"first": losses[0], "last": losses[-1]},
            "validation": {row["name"]: row["loss"] for row in after},
            "validation_before": {row["name"]: row["loss"] for row in before},
            "bits_per_byte": {row["name"]: row["bits_per_byte"] for row in after},
            "guards": {"skipped_steps": len(metrics) - len(losses), "rewinds": len(read_rewinds(folder))},
            "ledger": rows,
            "parameters": cost.num_parameters(params.model),
            "attended_length": reach,
            "flops_per_token": cost.flops_per_token(params.model, reach),
            "tokens_per_second": measured.get("tokens_per_second"),
            "speed": measured,
            "checkpoint": checkpoints[0].relative_to(folder).as_posix(),
            "kept_steps": sorted(files.step_of(path) for path in checkpoints),
            **proof,
        },
    )


def _described(folder: Path, checkpoints: list[Path]) -> list[dict[str, Any]]:
    """All output files; those of the checkpoints were hashed when they were written."""
    described, known = [], set()
    for path in checkpoints:
        for name, sha256 in files.complete(path)["files"].items():
            known.add(path / name)
            size = (path / name).stat().st_size
            described.append({"path": (path / name).relative_to(folder).as_posix(), "bytes": size, "sha256": sha256})
    described += manifest.describe_files(folder, [file for file in manifest.output_files(folder) if file not in known])
    return sorted(described, key=lambda entry: str(entry["path"]))
