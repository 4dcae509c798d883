"""The ranks of a stage: how many share its work, and which have finished. Reads names alone, loads no datatrove."""

import os
from pathlib import Path

from recipes.manifest import rank_file
from recipes.stage import LOGS, Stage


def num_ranks(stage: Stage) -> int:
    """Stages that see all documents at once run as one rank."""
    return int(stage.params.get("shards", 1))


def environment() -> dict[str, str]:
    """Of processes that run ranks, read when Arrow is loaded: it gives back what was free for ten seconds, not ten milliseconds.
    Else the memory of one row group is fetched and cleared anew for the next, which took 4 % of dedup's time."""
    return {"MIMALLOC_PURGE_DELAY": os.environ.get("MIMALLOC_PURGE_DELAY", "10000")}


def finished_ranks(stage: Stage) -> set[int]:
    """Those with a record, from the names of one folder: a hundred thousand of them cost a tenth of a second."""
    folder = rank_file(stage.folder, 0).parent
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return {int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit()}


def parts_folder(folder: Path, rank: int) -> Path:
    """Where the finished parts of a rank lie until it has its record."""
    return folder / LOGS / "parts" / f"{rank:05d}"
