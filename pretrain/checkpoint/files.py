"""The folders of checkpoints: which are there, which are kept, how one comes and goes. No torch.

A checkpoint is written under a temporary name, completed by `complete.json` (sha256 of every file, digest of the state) and
renamed. What was interrupted on the way has a name that nothing reads.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

CHECKPOINTS = "checkpoints"
COMPLETE = "complete.json"


def step_folder(folder: Path, step: int) -> Path:
    return folder / CHECKPOINTS / f"step_{step:08d}"


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def present(folder: Path) -> list[Path]:
    """Published checkpoints of a stage, newest first."""
    return sorted((folder / CHECKPOINTS).glob("step_[0-9]*"), reverse=True)


def kept(folder: Path, step: int) -> Path:
    """The checkpoint of a finished stage after a step, or a ValueError that names those it kept."""
    path = step_folder(folder, step)
    if not path.is_dir():
        others = ", ".join(f"{step_of(other):,}" for other in reversed(present(folder)))
        raise ValueError(
            f"{folder} kept no checkpoint of step {step:,}; it kept {others or 'none'}: name one of them, or make it again"
        )
    return path


def complete(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: `step`, `files` (name: sha256) and `digest`."""
    record: dict[str, Any] = json.loads((path / COMPLETE).read_bytes())
    return record


def making_folder(folder: Path, step: int) -> Path:
    """Where a checkpoint is written before it has its name."""
    return _hidden(step_folder(folder, step))


def begin(folder: Path, step: int) -> Path:
    """An empty folder to write into."""
    making = making_folder(folder, step)
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    return making


def publish(making: Path, folder: Path, step: int, files: dict[str, str], digest: dict[str, Any]) -> Path:
    """Gives a whole checkpoint its name. One of the same step that was there before is gone then."""
    final = step_folder(folder, step)
    record = {"step": step, "files": dict(sorted(files.items())), "digest": digest}
    _write_synced(making / COMPLETE, json.dumps(record, indent=2).encode())
    if final.exists():
        shutil.rmtree(final)
    os.replace(making, final)
    _sync_folder(final.parent)
    return final


def drop_old(folder: Path, keep: int, tokens_per_step: int = 1, every_tokens: int = 0, for_ever: Collection[int] = ()) -> None:
    """Removes those that `kept_steps` does not name."""
    paths = present(folder)
    kept = kept_steps([step_of(path) for path in paths], keep, tokens_per_step, every_tokens, for_ever)
    for path in paths:
        if step_of(path) not in kept:
            remove(path)


def kept_steps(
    steps: Collection[int], keep: int, tokens_per_step: int = 1, every_tokens: int = 0, for_ever: Collection[int] = ()
) -> set[int]:
    """Of saved steps the newest `keep`, those of `for_ever`, and the first at or behind every multiple of `every_tokens`."""
    kept = set(sorted(steps)[-keep:])
    reached = 0
    for step in sorted(steps):
        multiple = step * tokens_per_step // every_tokens if every_tokens else 0
        if multiple > reached or step in for_ever:
            kept.add(step)
        reached = max(reached, multiple)
    return kept


def drop_unfinished(folder: Path) -> None:
    """Removes what an interrupted save or removal left behind."""
    for path in (folder / CHECKPOINTS).glob(".step_*.tmp"):
        shutil.rmtree(path)


def remove(path: Path) -> None:
    """First out of sight, then away: an interrupted removal leaves no half checkpoint."""
    doomed = _hidden(path)
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(path, doomed)
    shutil.rmtree(doomed)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _write_synced(file: Path, content: bytes) -> None:
    with open(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(file.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
