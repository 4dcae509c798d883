"""The report's table of what plans had foretold beside what training took."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from report_page import Page
from report_road import Road, make_road

from recipes.manifest import read_manifest
from recipes.report.foretold import read_foretold
from recipes.report.make import render
from recipes.report.record import read_records
from recipes.report.training import read_runs
from recipes.stage import MANIFEST

RUN: dict[str, Any] = {
    "cluster": {"device": "cuda", "nodes": 2, "processes_per_node": 4, "peak_tflops": 1.0, "price_per_device_hour": 3.0},
    "forecast": {
        "mfu_source": "measured in train/demo/before",
        "device_hours": 2.0,
        "device_hours_range": [1.6, 2.7],
        "price": 6.0,
        "price_range": [4.8, 8.1],
        "tokens_per_second": 1000,
        "memory_gib": {"total": 40.0},
        "checkpoint_bytes": 1_000_000,
    },
}
DETAILS: dict[str, Any] = {
    "speed": {"seconds": 1125.0, "tokens_per_second": 800.0, "mfu": 0.08, "peak_memory": 44 * 2**30},
    "flops_per_token": 8e8,
    "checkpoint": "checkpoints/step_00000120",
}
OUTPUTS = [{"path": "checkpoints/step_00000120/__0_0.distcp", "bytes": 1_010_000, "sha256": "0"}]


def fill(folder: Path, *, run: dict[str, Any] = RUN, details: dict[str, Any] = DETAILS) -> None:
    manifest = read_manifest(folder)
    manifest["run"] = run
    manifest["details"] |= details
    manifest["outputs"] = OUTPUTS
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest))


@pytest.fixture
def road(tmp_path: Path) -> Road:
    return make_road(tmp_path)


def stable(road: Road) -> Path:
    return next(stage.folder for stage in road.stages if stage.name == "stable")


def test_every_figure_stands_beside_what_it_came_to(road: Road) -> None:
    fill(stable(road))
    page = Page(render("train/demo", road.folders))
    assert page.faults == []
    [told] = read_foretold(read_runs(read_records(road.folders)))
    assert told.source == "measured in train/demo/before"
    assert {figure.name: (figure.foretold, figure.between, figure.took, figure.ratio) for figure in told.figures} == {
        "device-hours": ("2.000", "1.600 – 2.700", "2.500", "1.25"),
        "price": ("6.000", "4.800 – 8.100", "7.500", "1.25"),
        "tokens/s": ("1,000", "", "800", "0.80"),
        "MFU": ("10.0\u00a0%", "", "8.0\u00a0%", "0.80"),
        "memory of the fullest GPU": ("42.9\u00a0GB", "", "47.2\u00a0GB", "1.10"),
        "checkpoint": ("1\u00a0MB", "", "1.01\u00a0MB", "1.01"),
    }
    assert ["tokens/s", "1,000", "", "800", "0.80"] in page.find_rows("tokens/s")


def test_what_was_not_measured_is_not_compared(road: Road) -> None:
    fill(stable(road), details={"speed": {"tokens_per_second": 800.0}, "flops_per_token": None, "checkpoint": None})
    [told] = read_foretold(read_runs(read_records(road.folders)))
    assert [figure.name for figure in told.figures] == ["tokens/s"]


def test_without_forecasts_there_is_no_such_section(road: Road) -> None:
    assert read_foretold(read_runs(read_records(road.folders))) == []
    assert "Foretold and measured" not in render("train/demo", road.folders)
