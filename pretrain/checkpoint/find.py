"""Which checkpoint to go on from: the newest whose files are as they were written."""

import logging
import os
import shutil
from pathlib import Path

import torch

from pretrain.checkpoint import files
from pretrain.parallel import Layout, on_every_process
from recipes.fingerprint import file_hash
from recipes.stage import LOGS

log = logging.getLogger(__name__)


def newest(folder: Path, layout: Layout) -> Path | None:
    """A damaged checkpoint is set aside, with a warning, and the one before it is looked at. All processes call this together."""
    paths = on_every_process(files.present(folder), layout)[0]
    for path in paths:
        problems = damage(path, layout)
        if not problems:
            return Path(path)
        aside = folder / LOGS / "damaged" / path.name
        if layout.is_first:
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, aside)
            log.warning(
                "checkpoint %s is damaged (%s): set aside as %s, using the one before it", path.name, "; ".join(problems), aside
            )
        torch.distributed.barrier()
    if paths:
        log.warning("no whole checkpoint is left in %s: training begins again at its first step", folder)
    return None


def damage(path: Path, layout: Layout) -> list[str]:
    """What is wrong with a checkpoint's files. Every process hashes its share of them."""
    if not (path / files.COMPLETE).is_file():
        return [f"it has no {files.COMPLETE}"]
    try:
        wanted = files.complete(path)["files"]
        wanted.items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{files.COMPLETE} cannot be read"]
    mine = []
    for name in sorted(wanted)[layout.rank :: layout.world_size]:
        if not (path / name).is_file():
            mine.append(f"{name} is missing")
        elif file_hash(path / name) != wanted[name]:
            mine.append(f"{name} has changed")
    return [problem for part in on_every_process(mine, layout) for problem in part]
