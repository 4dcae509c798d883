"""Stages as plans make them, for tests of the queue."""

from pathlib import Path
from typing import Any

from recipes.stage import Stage, made

SLURM = {"cpu": {"partition": "main", "time_limit": "00:30:00", "memory_gib": 4}, "signal_seconds": 30}
CLUSTER = {
    "device": "cpu",
    "nodes": 2,
    "processes_per_node": 1,
    "threads_per_process": 1,
    "curation_workers": 4,
    "peak_tflops": 0.1,
    "mfu": 0.2,
    "slurm": SLURM,
}


TRAINED_OR_ASKED = ("train", "export", "average", "evaluate", "answers", "probe")


def stage(root: Path, name: str, *inputs: Stage, do: str = "format", shards: int | None = None, **cluster: Any) -> Stage:
    """`shards`: of a curation stage that ranks share. Keywords change the cluster's page."""
    room = "recipes" if do == "report" else "pretrain" if do in TRAINED_OR_ASKED else "curation"
    return Stage(
        page="curate/page",
        name=name,
        room=room,
        do=do,
        version=1,
        params={} if shards is None else {"shards": shards},
        inputs={entry.name: made(entry) for entry in inputs},
        run={"cluster": CLUSTER | cluster},
        fingerprint="0" * 12,
        folder=root / "curate" / "page" / f"{name}-{'0' * 12}",
    )
