"""What stages read from outside the results: local files, remote ones, models in the local hub cache.

Local files are known by their content, hashed once and remembered in `<root>/.content_hashes.json`; remote ones by their address,
so they should be pinned. What is not there is listed as a problem that names the key and the way out.
"""

import hashlib
import os
import stat
from contextlib import suppress
from glob import glob
from pathlib import Path

import orjson

from recipes.fingerprint import content_hash, fingerprint
from recipes.stage import Input, is_uri, write_atomically

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "original/tokenizer.model")
UNREADABLE = "unreadable"  # in place of a file's hash


class Outside:
    """Locates inputs for one plan; `problems` must be empty before it runs."""

    def __init__(self, root: Path):
        self.hashes = _Hashes(root)
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def locate(self, path: str, key: str) -> Input:
        """`key` is where on the page the path stands. `hf://ORG/NAME[@COMMIT]` is a model, `hf://datasets/…` files."""
        if is_uri(path) and path.startswith("hf://") and "@" not in path:
            self.warn(f"{path} is not pinned; add @COMMIT after the repository's name")
        if path.startswith("hf://") and not path.startswith("hf://datasets/"):
            return self._locate_model(path, key)
        if is_uri(path):
            return Input(path, path)
        location = os.path.abspath(os.path.expanduser(path))
        files = sorted(glob(location, recursive=True))
        if not files:
            self.problem(f"{key}: no file matches {path}")
            return Input(location, f"missing:{path}")
        self._look_at(Path(files[0]), path, key)
        parts = [f"{_as_text(Path(file).name)}:{self._identify(Path(file), key)}" for file in files]
        inputs = {str(number): part for number, part in enumerate(parts)}
        return Input(location, fingerprint(do="files", version=1, params={}, inputs=inputs))

    def _identify(self, file: Path, key: str) -> str:
        """By its content. A file of a source that cannot be read is told here, and counted by the stage that meets it."""
        try:
            if not stat.S_ISREG(mode := file.stat().st_mode) and not stat.S_ISDIR(mode):
                self.problem(f"{key}: {_as_text(file)} is a pipe or a device, which may never end; name only files")
                return UNREADABLE
            return self.hashes.of(file)
        except OSError as error:
            is_counted = key.startswith("sources.") and not file.is_dir()
            why = f"{key}: {_as_text(error.filename or file)} cannot be read ({error.strerror})"
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

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

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
        if self.file.is_file():
            with suppress(orjson.JSONDecodeError):  # only a memory: what it lacks is hashed again
                self.known = orjson.loads(self.file.read_bytes())

    def of(self, path: Path) -> str:
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        states = [(_as_text(file), (status := file.stat()).st_size, status.st_mtime_ns) for file in inside]
        key = f"{_as_text(path)}|{hashlib.sha256(orjson.dumps(states)).hexdigest()[:16]}"
        if key not in self.known:
            self.known[key] = content_hash(path)
            if self.file.parent.is_dir():
                write_atomically(self.file, orjson.dumps(self.known))
        return self.known[key]


def _as_text(path: Path | str) -> str:
    """A path as UTF-8 can hold it: names of files are bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")
