"""What stages read from outside the results: local files, remote ones, models in the local hub cache.

Local files are known by their content (large compressed sources by pieces of it), hashed once and remembered in
`<root>/.content_hashes.json`; remote ones by their address, so they should be pinned. What is not there is listed as a problem
that names the key and the way out.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from glob import glob
from pathlib import Path

import orjson

from curation.decontaminate.items import read_items
from recipes.fingerprint import content_hash, source_hash
from recipes.outside import as_text, identity, matching
from recipes.stage import Input, is_uri, write_atomically

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "original/tokenizer.model")
SAVE_SECONDS = 20.0  # of hashing that a plan which is stopped loses
UNREADABLE = "unreadable"  # in place of a file's hash


class Outside:
    """Locates inputs for one plan; `problems` must be empty before it runs."""

    def __init__(self, root: Path):
        self.hashes = _Hashes(root)
        self.problems: list[str] = []
        self._warnings: list[str] = []
        self._unpinned: dict[str, None] = {}

    @property
    def warnings(self) -> list[str]:
        """Of all repositories that are not pinned one is made, so that they do not hide the others."""
        if not self._unpinned:
            return self._warnings
        told = f"not pinned, so that they may change under a page: {', '.join(self._unpinned)}; add @COMMIT behind each name"
        return [told, *self._warnings]

    def locate(self, path: str, key: str) -> Input:
        """`key` is where on the page the path stands. `hf://ORG/NAME[@COMMIT]` is a model, `hf://datasets/…` files."""
        if is_uri(path) and path.startswith("hf://") and "@" not in path:
            self._unpinned[_repository(path)] = None
        if path.startswith("hf://") and not path.startswith("hf://datasets/"):
            return self._locate_model(path, key)
        if is_uri(path):
            return Input(path, path)
        location = os.path.abspath(os.path.expanduser(path))
        files = sorted(glob(location, recursive=True)) if key.startswith("sources.") else matching(location)
        if not files:
            self.problem(f"{key}: no file matches {path}")
            return Input(location, f"missing:{path}")
        self._look_at(Path(files[0]), path, key)
        known = identity(files, lambda file: self._identify(file, key))
        self.hashes.save()
        return Input(location, known)

    def _identify(self, file: Path, key: str) -> str:
        """By its content. A file of a source that cannot be read is told here, and counted by the stage that meets it."""
        try:
            found = file.stat()
            if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
                self.problem(f"{key}: {as_text(file)} is a pipe or a device, which may never end; name only files")
                return UNREADABLE
            is_source = key.startswith("sources.") and stat.S_ISREG(found.st_mode)
            return self.hashes.of(file, found, source_hash if is_source else content_hash)
        except OSError as error:
            is_counted = key.startswith("sources.") and not file.is_dir()
            why = f"{key}: {as_text(error.filename or file)} cannot be read ({error.strerror})"
            if is_counted:
                self.warn(f"{why}; it will be counted as unreadable")
            else:
                self.problem(f"{why}; mend it, or take it out of what the key names")
            return UNREADABLE

    def _look_at(self, file: Path, path: str, key: str) -> None:
        """What would be found out only after all stages before."""
        if key == "tokenizer" and file.is_dir() and not any((file / name).is_file() for name in TOKENIZER_FILES):
            self.problem(f"{key}: {path} is not a tokenizer folder: it has none of {', '.join(TOKENIZER_FILES)}")
        if ".benchmarks." in key and (not file.is_file() or not file.stat().st_size):
            self.problem(f"{key}: {path} is {'empty' if file.is_file() else 'a folder'}; name a jsonl file of items")

    def look_into_items(self, benchmark: str, entry: Input, key: str) -> None:
        """Reads a benchmark's file, if it has not been read before. Of no file, a folder and an empty one `locate` has told."""
        file, known = Path(entry.location), f"items|{entry.identity}"
        if is_uri(entry.location):
            self.problem(f"{key}: {entry.location} is not on this machine; fetch it, and name the file")
        elif entry.identity.startswith("missing:") or file.is_dir() or (file.is_file() and not file.stat().st_size):
            return
        elif known not in self.hashes.known:
            try:
                self.hashes.known[known] = str(sum(1 for _ in read_items(benchmark, file)))
                self.hashes.save()
            except (OSError, ValueError) as error:
                self.problem(f"{key}: {error}")

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)

    def _locate_model(self, path: str, key: str) -> Input:
        """The snapshot in the local hub cache: nodes need no network, and what is missing is known before the queue."""
        name, _, revision = path.removeprefix("hf://").partition("@")
        home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
        folder = Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{name.replace('/', '--')}"
        reference = folder / "refs" / (revision or "main")
        snapshot = folder / "snapshots" / (reference.read_text().strip() if reference.is_file() else revision or "none")
        if not snapshot.is_dir():
            flag = f" --revision {revision}" if revision else ""
            self.problem(f"{key}: {path} is not in the local hub cache; get it with: hf download {name}{flag}")
        return Input(str(snapshot) if snapshot.is_dir() else path, path)


class _Hashes:
    """Content hashes of input files and folders, remembered by path, size and modification time."""

    def __init__(self, root: Path):
        self.file = root / ".content_hashes.json"
        self.known: dict[str, str] = {}
        self.num_saved, self.saved = 0, time.monotonic()
        if self.file.is_file():
            with suppress(orjson.JSONDecodeError):  # only a memory: what it lacks is hashed again
                self.known = orjson.loads(self.file.read_bytes())
                self.num_saved = len(self.known)

    def of(self, path: Path, found: os.stat_result, make: Callable[[Path], str]) -> str:
        """`make` hashes what is not known yet."""
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if stat.S_ISDIR(found.st_mode) else None
        named = [(path, found)] if inside is None else [(file, file.stat()) for file in inside]
        states = [(as_text(file), status.st_size, status.st_mtime_ns) for file, status in named]
        key = f"{as_text(path)}|{hashlib.sha256(orjson.dumps(states)).hexdigest()[:16]}"
        if key not in self.known:
            self.known[key] = make(path)
            if time.monotonic() - self.saved > SAVE_SECONDS:
                self.save()
        return self.known[key]

    def save(self) -> None:
        """Not after every file: a crawl has a hundred thousand, and each time all are written."""
        if self.num_saved < len(self.known) and self.file.parent.is_dir():
            write_atomically(self.file, orjson.dumps(self.known))
            self.num_saved = len(self.known)
        self.saved = time.monotonic()


def _repository(path: str) -> str:
    """hf://datasets/ORG/NAME/data/*.parquet -> hf://datasets/ORG/NAME."""
    parts = path.removeprefix("hf://").split("/")
    return "hf://" + "/".join(parts[: 3 if parts[0] in ("datasets", "spaces") else 2])
