"""Where compiled functions are kept: in a folder that can be written, and that nobody else can write to."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.errors import NumbaError

from curation import compiled


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's own place in a folder of temporary files, which is needed: the home cannot be written."""
    (tmp_path / "home").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary" / f"midtrain-{os.getuid()}"


def test_the_cache_lies_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled._folder()
    assert folder.parent == tmp_path / "midtrain" / "compiled"
    assert not list(folder.iterdir())


def test_where_the_home_cannot_be_written_it_lies_in_a_folder_that_is_private(shared: Path) -> None:
    folder = compiled._folder()
    assert folder.parent == shared
    assert shared.stat().st_mode & 0o777 == 0o700
    assert compiled._folder() == folder


def test_a_cache_that_is_there_and_cannot_be_written_is_not_taken(shared: Path, tmp_path: Path) -> None:
    """/proc is a folder in which nobody, not even root, makes files."""
    name = compiled._folder().name
    (tmp_path / "home").unlink()
    (tmp_path / "home" / "midtrain" / "compiled").mkdir(parents=True)
    (tmp_path / "home" / "midtrain" / "compiled" / name).symlink_to("/proc")
    assert compiled._folder() == shared / name


def writable_by_others(shared: Path) -> None:
    shared.mkdir()
    shared.chmod(0o777)


def of_another_user(shared: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root gives folders to others")
    shared.mkdir(mode=0o700)
    os.chown(shared, 65534, 65534)


def a_link(shared: Path) -> None:
    (shared.parent / "elsewhere").mkdir(mode=0o700)
    shared.symlink_to(shared.parent / "elsewhere")


@pytest.mark.parametrize("prepare", [writable_by_others, of_another_user, a_link, Path.touch])
def test_a_folder_that_another_user_can_write_to_is_not_taken(shared: Path, prepare: Callable[[Path], None]) -> None:
    prepare(shared)
    folder = compiled._folder()
    assert folder != shared
    assert shared not in folder.parents
    assert folder.parent == shared.parent
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "makes", [lambda array: np.zeros(len(array)).sum(), lambda array: array[1:], lambda array: array.copy().sum()]
)
def test_a_lean_function_makes_and_returns_no_array(makes: Callable[..., Any]) -> None:
    """Nothing would count who has it."""
    with pytest.raises(NumbaError):
        compiled.lean_njit(makes)(np.arange(3.0))
    assert compiled.lean_njit(lambda array: array[1:][0] + len(array))(np.arange(3.0)) == 4
