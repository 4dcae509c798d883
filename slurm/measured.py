"""The share of the peak that a plan counts with: what finished runs of the same model on the same kind of cluster reached, else
`cluster.mfu`. Read from their manifests, each once as long as it does not change."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pretrain.cost import step_seconds
from pretrain.parallel import check_layout
from recipes.manifest import read_summary
from recipes.schema import Cluster, Parallelism, TrainParams
from recipes.stage import MANIFEST

# Of 0.40 these are 0.30 to 0.50. Published runs on H100s in bf16, causal count: SmolLM3 in nanotron 0.29, torchtitan 8B 0.35,
# llm-foundry 1B to 7B 0.37 to 0.40, Llama 3 405B 0.38 to 0.43 (2407.21783, table 4), Megatron-LM's README 0.41 to 0.48.
ASSUMED_SPREAD = 0.25
MEASURED_SPREAD = 0.05  # at least, either way: nodes and networks of one cluster differ from day to day. A choice


@dataclass(frozen=True)
class Mfu:
    """`source` says where it comes from, for people."""

    low: float
    likely: float
    high: float
    source: str

    def record(self) -> dict[str, Any]:
        return {
            "mfu": round(self.likely, 4),
            "mfu_range": [round(self.low, 4), round(self.high, 4)],
            "mfu_source": self.source,
        }

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Mfu":
        return cls(record["mfu_range"][0], record["mfu"], record["mfu_range"][1], record["mfu_source"])


@dataclass(frozen=True)
class Speed:
    """What a finished stage measured: `mfu` is what its plan would have had to count with to be right."""

    name: str
    mfu: float
    kind: tuple[object, ...]
    parallelism: Parallelism


def assumed(cluster: Cluster) -> Mfu:
    return Mfu(cluster.mfu * (1 - ASSUMED_SPREAD), cluster.mfu, cluster.mfu * (1 + ASSUMED_SPREAD), "assumed by cluster.mfu")


def expected(root: Path, params: TrainParams, parallelism: Parallelism, cluster: Cluster) -> Mfu:
    """From the finished runs below `root`; those laid out alike are taken alone where there are some."""
    speeds = [speed for speed in _speeds(root) if speed.kind == _kind(params, cluster)]
    speeds = [speed for speed in speeds if speed.parallelism == parallelism] or speeds
    if not speeds:
        return assumed(cluster)
    found = sorted(speed.mfu for speed in speeds)
    likely = statistics.median(found)
    others = f" and {len(speeds) - 1} more" if len(speeds) > 1 else ""
    low, high = min(found[0], likely * (1 - MEASURED_SPREAD)), max(found[-1], likely * (1 + MEASURED_SPREAD))
    return Mfu(low, likely, high, f"measured in {speeds[-1].name}{others}")


def _speeds(root: Path) -> Iterator[Speed]:
    """In the order of their pages' and stages' names."""
    for file in sorted((root / "train").glob(f"*/*/{MANIFEST}")):
        found = _speed(file.parent, file.stat().st_mtime_ns)
        if found is not None:
            yield found


@lru_cache(maxsize=4096)
def _speed(folder: Path, _changed: int) -> Speed | None:
    """None for what trained nothing, and for a single step, which holds the start."""
    manifest = read_summary(folder)
    if manifest["do"] != "train" or manifest["counts"]["steps"] < 2:
        return None
    seconds, reach = manifest["details"].get("speed", {}).get("step_seconds"), manifest["details"].get("attended_length")
    try:
        params = TrainParams.model_validate(manifest["params"])
        parallelism = Parallelism.model_validate(manifest["run"]["parallelism"])
        cluster = Cluster.model_validate(manifest["run"]["cluster"])
        data_size = check_layout(params, parallelism, cluster.num_processes)
    except (KeyError, ValueError):  # of another version of the program: it measured something else
        return None
    if not seconds:
        return None
    at_peak = step_seconds(params, parallelism, cluster.model_copy(update={"mfu": 1.0}), data_size, attended_length=reach)
    return Speed(f"{manifest['page']}/{manifest['stage']}", at_peak / seconds, _kind(params, cluster), parallelism)


def _kind(params: TrainParams, cluster: Cluster) -> tuple[object, ...]:
    """What runs must have in common for one to foretell another."""
    threads = cluster.threads_per_process if cluster.device == "cpu" else None
    return params.model, params.precision, cluster.device, cluster.peak_tflops, threads
