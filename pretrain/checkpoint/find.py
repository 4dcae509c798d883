"""Which checkpoint to go on from: the newest whose files are as they were written.

What is there is looked at by the first process alone; files are hashed by all, each its share.
"""

import logging
import os
import shutil
from functools import partial
from pathlib import Path

from pretrain import certificate
from pretrain.agreement import each_finds, first_decides
from pretrain.checkpoint import files
from pretrain.parallel import Layout
from recipes.fingerprint import file_hash
from recipes.stage import LOGS

log = logging.getLogger(__name__)


def newest(folder: Path, layout: Layout) -> Path | None:
    """A damaged checkpoint is set aside, with a warning, and the one before it is looked at. What an interrupted save left behind
    is removed. All processes call this together."""

    def look() -> list[Path]:
        files.drop_unfinished(folder)
        return files.present(folder)

    paths = first_decides(look)
    for path in paths:
        problems = damage(path, layout)
        if not problems:
            return path
        first_decides(partial(_set_aside, path, folder, problems))
    if paths:
        log.warning("no whole checkpoint is left in %s: training begins again at its first step", folder)
    return None


def _set_aside(path: Path, folder: Path, problems: list[str]) -> None:
    aside = folder / LOGS / "damaged" / path.name
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    certificate.damaged(folder, path.name, problems)
    os.replace(path, aside)
    log.warning("checkpoint %s is damaged (%s): set aside as %s, using the one before it", path.name, "; ".join(problems), aside)


def damage(path: Path, layout: Layout) -> list[str]:
    """What is wrong with a checkpoint's files. Every process hashes its share of them; one that cannot read its share ends all:
    that says nothing about the checkpoint."""
    wanted, problem = first_decides(lambda: _hashes(path))
    if problem:
        return [problem]
    mine = sorted(wanted)[layout.rank :: layout.world_size]
    found = each_finds(lambda: _damages(path, mine, wanted))
    return [told for part in found for told in part]


def damage_found_alone(path: Path) -> list[str]:
    """As `damage`, by a process that has joined no others: it hashes every file."""
    wanted, problem = _hashes(path)
    return [problem] if problem else _damages(path, sorted(wanted), wanted)


def _hashes(path: Path) -> tuple[dict[str, str], str]:
    """The files' sha256 as they were written, or what is wrong with the record of them."""
    if not (path / files.COMPLETE).is_file():
        return {}, f"it has no {files.COMPLETE}"
    try:
        return dict(files.complete(path)["files"]), ""
    except (ValueError, KeyError, TypeError):
        return {}, f"{files.COMPLETE} cannot be read"


def _damages(path: Path, names: list[str], wanted: dict[str, str]) -> list[str]:
    return [told for name in names if (told := _damage_of(path / name, wanted[name]))]


def _damage_of(file: Path, sha256: str) -> str:
    if not file.is_file():
        return f"{file.name} is missing"
    return "" if file_hash(file) == sha256 else f"{file.name} has changed"
