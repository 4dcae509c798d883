"""Local files that a page names and no stage makes: which they are, and what they are known by."""

import os
from collections.abc import Callable, Sequence
from glob import glob
from pathlib import Path

from recipes.fingerprint import content_hash, fingerprint


def matching(location: str) -> list[str]:
    """The file or folder of this very name; else all that the name matches as a pattern: brackets may be part of a name."""
    return [location] if Path(location).exists() else sorted(glob(location, recursive=True))


def identity(files: Sequence[str], hashed: Callable[[Path], str] = content_hash) -> str:
    """By their names and contents, in their order."""
    parts = [f"{as_text(Path(file).name)}:{hashed(Path(file))}" for file in files]
    return fingerprint(do="files", version=1, params={}, inputs={str(number): part for number, part in enumerate(parts)})


def as_text(path: Path | str) -> str:
    """A path as UTF-8 can hold it: names of files are bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")
