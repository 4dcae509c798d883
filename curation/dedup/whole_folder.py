"""Folders that are there whole or not at all: what a step of many files leaves for the next one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recipes.manifest import sync


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A place to write `folder` in; it is renamed when everything is on the disk. What a killed process left there is gone."""
    working = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    yield working
    for path in (*sorted(working.iterdir()), working):
        sync(path)
    working.rename(folder)
    sync(folder.parent)


def whole_folders(parent: Path) -> list[Path]:
    """Those with a number for a name, in order."""
    return sorted(parent.glob("[0-9]*"))
