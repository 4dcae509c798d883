"""How often a rank tells how far it is."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from recipes import stage
from recipes.stage import Reports, progress_file


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[tuple[int, int | None]]:
    """What is on the disk after each of five calls, the first time it is there."""
    now = [0.0]
    monkeypatch.setattr(stage.time, "monotonic", lambda: now[0])
    reports, seen = Reports(folder, 3, "documents"), []
    for done in range(1, 6):
        now[0] += seconds
        reports(done, 5)
        record: dict[str, Any] = orjson.loads(progress_file(folder, 3).read_bytes())
        seen.append((record["done"], record["total"]))
    return list(dict.fromkeys(seen))


def test_the_first_and_the_last_of_quick_calls_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(tmp_path, monkeypatch, 0.0) == [(1, 5), (5, 5)]


def test_slow_calls_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(tmp_path, monkeypatch, 10.0) == [(done, 5) for done in range(1, 6)]


def test_an_unknown_total_is_told_too(tmp_path: Path) -> None:
    Reports(tmp_path, 0, "documents").tell(7, None)
    assert orjson.loads(progress_file(tmp_path, 0).read_bytes())["total"] is None
