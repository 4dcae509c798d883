"""A stage folder: `recipe.yaml` (what to do, fully resolved), outputs, `logs/` and scripts (no outputs), `manifest.json` (last).

A node reads a stage from its folder and nothing else: it never composes a page and never sees an override.
"""

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import yaml

RECIPE = "recipe.yaml"
MANIFEST = "manifest.json"
LOGS = "logs"
BRANCH_POINTS = "branch_points"  # in a training stage's `run`: steps whose checkpoints are kept for ever
SCRIPT = ".sbatch"  # of a job that does it, beside the recipe
DIES_WITH_PARENT = "MIDTRAIN_DIES_WITH_PARENT"  # set for children that must not outlive the command that started them
PR_SET_PDEATHSIG = 1
SECONDS_BETWEEN_REPORTS = 0.25


@dataclass(frozen=True)
class Input:
    """Something a stage reads: `location` is a path or URI (globs allowed); `stage` is the folder of the stage that made
    it, None for files from outside."""

    location: str
    identity: str
    stage: str | None = None


@dataclass(frozen=True)
class Stage:
    """One unit of work. `params` and the identities of `inputs` decide the output; `run` (cluster, parallelism, cadence)
    never does."""

    page: str
    name: str
    room: str
    do: str
    version: int
    params: dict[str, Any]
    inputs: dict[str, Input]
    run: dict[str, Any]
    fingerprint: str
    folder: Path

    @property
    def is_finished(self) -> bool:
        return is_finished(self.folder)

    def input(self, role: str) -> str:
        """The absolute path or URI of an input."""
        if role not in self.inputs:
            raise ValueError(f"stage {self.page}/{self.name} has no input {role!r}; it has {sorted(self.inputs)}")
        return self.inputs[role].location


def made(stage: Stage, inside: str = "") -> Input:
    """What a planned stage will leave in its folder, as another one's input."""
    location = stage.folder / inside if inside else stage.folder
    return Input(str(location), f"{stage.fingerprint}/{inside}".rstrip("/"), str(stage.folder))


def is_finished(folder: Path | str) -> bool:
    return (Path(folder) / MANIFEST).is_file()


def write_stage(stage: Stage) -> None:
    """Writes recipe.yaml; paths inside the results' root become relative, so that the root can be moved. Branch points that
    somebody else has asked for stay."""
    record = asdict(stage)
    del record["folder"]
    record["inputs"] = {role: _relative(entry, stage.folder) for role, entry in stage.inputs.items()}
    if BRANCH_POINTS not in stage.run:
        _write_recipe(stage.folder, record)
        return
    with lock(stage.folder, RECIPE):
        file = stage.folder / RECIPE
        before = yaml.safe_load(file.read_text())["run"].get(BRANCH_POINTS, ()) if file.is_file() else ()
        record["run"] = {**stage.run, BRANCH_POINTS: sorted({*stage.run[BRANCH_POINTS], *before})}
        _write_recipe(stage.folder, record)


def ask_to_keep(folder: Path, steps: Collection[int]) -> bool:
    """Adds branch points to a training stage's recipe.yaml and changes nothing else there: the stage may be in training, which
    looks at them in every step. False: the file is not there yet, and nothing was asked."""
    with lock(folder, RECIPE):
        file = folder / RECIPE
        if not file.is_file():
            return False
        record = yaml.safe_load(file.read_text())
        known = record["run"].get(BRANCH_POINTS, ())
        if not set(steps) <= set(known):
            record["run"][BRANCH_POINTS] = sorted({*known, *steps})
            _write_recipe(folder, record)
        return True


def _write_recipe(folder: Path, record: dict[str, Any]) -> None:
    text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=120)
    write_atomically(folder / RECIPE, text.encode())


def read_stage(folder: Path | str) -> Stage:
    folder = Path(folder).absolute()
    file = folder / RECIPE
    if not file.is_file():
        raise ValueError(f"{folder} is not a stage folder: it has no {RECIPE}; make it with: midtrain plan PAGE --write")
    record = yaml.safe_load(file.read_text())
    inputs = {role: _absolute(Input(**entry), folder) for role, entry in record.pop("inputs").items()}
    return Stage(**record, inputs=inputs, folder=folder)


def write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextmanager
def lock(folder: Path, name: str) -> Iterator[None]:
    """Waits until no other living process holds this lock of a stage, then holds it. The kernel lets go of a dead one's."""
    path = folder / LOGS / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> IO[bytes] | None:
    """An exclusive lock, held while this process lives and the file is open; None while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_held(stage: Stage) -> bool:
    """Whether `midtrain run` works on it now, on this machine."""
    path = stage.folder / LOGS / "lock"
    held = try_lock(path) if path.is_file() else None
    if held is not None:
        held.close()
    return path.is_file() and held is None


def die_with_parent(parent: int) -> None:
    """Ends this process when the process that started it, `parent`, does, however that ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


_FIRST: dict[Path, tuple[float, int]] = {}  # when this process first reported a rank, and how far it was then


def report_progress(folder: Path, rank: int, done: int, total: int | None, unit: str) -> None:
    """Leaves a rank's progress where the command line looks for it, with what a rate needs: `since` and `from`, of this process'
    first report. Not for every table or document (`Reports`): ext4 writes a file out when it replaces another."""
    now = time.time()
    path = progress_file(folder, rank)
    since, first = _FIRST.get(path, (now, done))
    if first >= done:  # the rank begins, or begins anew
        since, first = _FIRST[path] = now, done
    record = {"done": done, "total": total, "unit": unit, "time": now, "since": since, "from": first}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(orjson.dumps(record))
    os.replace(temporary, path)


class Reports:
    """Of one rank's progress: a few times a second, however often it is called, and when all is done."""

    def __init__(self, folder: Path, rank: int, unit: str):
        self._place = folder, rank
        self._unit = unit
        self._told = -SECONDS_BETWEEN_REPORTS

    def __call__(self, done: int, total: int) -> None:
        if done == total or self.is_due:
            self.tell(done, total)

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._told >= SECONDS_BETWEEN_REPORTS

    def tell(self, done: int, total: int | None) -> None:
        report_progress(*self._place, done, total, self._unit)
        self._told = time.monotonic()


def progress_file(folder: Path, rank: int) -> Path:
    return folder / LOGS / "progress" / f"{rank:05d}.json"


def is_uri(location: str) -> bool:
    return "://" in location


def _relative(entry: Input, folder: Path) -> dict[str, Any]:
    if entry.stage is None:
        return asdict(entry)
    return {
        "location": os.path.relpath(entry.location, folder),
        "identity": entry.identity,
        "stage": os.path.relpath(entry.stage, folder),
    }


def _absolute(entry: Input, folder: Path) -> Input:
    if entry.stage is None:
        return entry
    return Input(
        location=os.path.normpath(folder / entry.location),
        identity=entry.identity,
        stage=os.path.normpath(folder / entry.stage),
    )
