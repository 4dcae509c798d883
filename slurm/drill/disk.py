"""A small disk in memory, which can be full: results of the rehearsals that need one lie on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "1g"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Must be there before the nodes are: they see what was mounted by then."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Not a byte more than is on it fits."""
    used = subprocess.run(["df", "--output=used", "--block-size=1", str(folder)], check=True, capture_output=True, text=True)
    _mount("-o", f"remount,size={used.stdout.split()[-1]}", str(folder))


def make_room(folder: Path) -> None:
    _mount("-o", f"remount,size={SIZE}", str(folder))


def _mount(*arguments: str) -> None:
    answer = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if answer.returncode:
        raise ValueError(f"no disk in memory can be mounted here: {answer.stderr.strip()}; name the other faults with --fault")
