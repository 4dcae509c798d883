"""numba's `njit`, with a cache that knows all the code that compiled functions are made of.

numba keeps compiled functions beside a file and throws them away when that file changes, but not when a function or a number
that they took from another file does: after an update, old machine code would silently go on. Here the cache is a folder of the
user's (under XDG_CACHE_HOME, else ~/.cache), named by a hash of the files with compiled functions, all they import, and tables.
Where that cannot be written it lies in the folder of temporary files, which all users share: numba unpickles what it finds, so
only a folder that nobody else can write to is taken. NUMBA_CACHE_DIR is taken as it is.
"""

import atexit
import hashlib
import os
import re
import shutil
import stat
import tempfile
from functools import partial
from pathlib import Path

from numba import config, njit

__all__ = ["lean_njit", "njit"]

ROOM = Path(__file__).parent
IMPORTED = re.compile(r"^\s*from (curation[\w.]*) import", re.MULTILINE)


def _files() -> list[Path]:
    texts = {file: file.read_text(encoding="utf-8") for file in ROOM.rglob("*.py")}
    found: set[Path] = set()
    left = [file for file, text in texts.items() if "from curation.compiled import" in text]
    while left:
        file = left.pop()
        if file in texts and file not in found:
            found.add(file)
            left += [ROOM.parent / f"{name.replace('.', '/')}.py" for name in IMPORTED.findall(texts[file])]
    return sorted([*found, *ROOM.rglob("*.tsv")])  # tables become constants of compiled functions too


def _folder() -> Path:
    code = hashlib.sha256()
    for file in _files():
        code.update(file.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "midtrain" / "compiled" / code.hexdigest()[:16]
    shared = Path(tempfile.gettempdir()) / f"midtrain-{os.getuid()}"
    if _is_writable(folder):
        return folder
    if _is_private(shared) and _is_writable(shared / folder.name):
        return shared / folder.name
    alone = tempfile.mkdtemp(prefix="midtrain-")  # else numba would go back to its folder beside the code
    atexit.register(shutil.rmtree, alone, ignore_errors=True)
    return Path(alone)


def _is_writable(folder: Path) -> bool:
    """Found out by writing: a folder may be there and read-only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_private(folder: Path) -> bool:
    """Whether it is a folder of this user (no link to one) that no other user can write to; it is made so."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# For functions that make and return no arrays (numba refuses others): no references are counted in them. Each count is an atomic
# step, for arrays that are passed on, in tuples, and views of a row alike: up to two thirds of the time of short functions.
lean_njit = partial(njit, _nrt=False)

if not config.CACHE_DIR:
    config.CACHE_DIR = str(_folder())
