"""Held-out loss in the report: what each stage has learnt and forgotten since its first step; and what its guards did."""

import json
from pathlib import Path

import pytest
from report_files import change
from report_page import Page
from report_road import Road, make_road

from recipes.manifest import read_manifest
from recipes.report.make import render

BEFORE = {
    "stable": {"web": 8.1, "qa": 8.3},
    "decay_short": {"web": 2.62, "qa": 2.70},
    "decay_long": {"web": 2.62, "qa": 2.45},  # ends with 2.4875: it has forgotten
    "decay_hybrid": {"web": 2.62, "qa": 2.70},
}


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    road = make_road(tmp_path_factory.mktemp("held_out"))
    for stage in road.stages:
        if stage.do == "train":
            details = read_manifest(stage.folder)["details"]
            bits = {name: round(loss / 2.5, 4) for name, loss in details["validation"].items()}
            change(stage.folder, details={**details, "validation_before": BEFORE[stage.name], "bits_per_byte": bits})
    return road


@pytest.fixture(scope="module")
def text(road: Road) -> str:
    return render("train/demo", road.folders)


def test_each_loss_stands_with_its_change_since_the_stage_began(text: str) -> None:
    rows = Page(text).find_rows("qa")
    assert rows == [["qa", "2.7000 −5.6000", "2.4100 −0.2900", "2.4875 +0.0375", "2.3940 −0.3060"]]
    assert Page(text).find_rows("web, bits per byte") == [["web, bits per byte", "1.0480", "0.9320", "0.9230", "0.9256"]]


def test_every_domain_is_drawn_across_the_stages(text: str) -> None:
    for name in ("web", "qa"):
        plot = text.split(f'aria-label="Held-out loss of {name}"')[1].split("</svg>")[0]
        assert plot.count('<path class="line') == 4
        assert "<desc>stable: " in plot
    assert "long: 2.45 to 2.48" in text


def test_what_guards_did_is_worth_knowing(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    stable = next(stage for stage in road.stages if stage.name == "stable")
    details = read_manifest(stable.folder)["details"]
    change(stable.folder, details={**details, "guards": {"skipped_steps": 1, "rewinds": 2}})
    journal = stable.folder / "metrics.jsonl"
    lines = journal.read_text().splitlines()
    lines[7] = json.dumps(json.loads(lines[7]) | {"loss": None, "skipped": "non_finite"})
    journal.write_text("\n".join(lines) + "\n")
    text = render("train/demo", road.folders)
    assert "guards went back 2 times and left the updates of 1 step out: guards.jsonl says why" in text
    assert "metrics.jsonl could not be read" not in text


def test_what_an_interruption_changed_is_worth_knowing(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    stable = next(stage for stage in road.stages if stage.name == "stable")
    assert "after an interruption" not in render("train/demo", road.folders)
    details = read_manifest(stable.folder)["details"]
    proof = {"verdict": "not same", "differences": ["step 10: loss was 2.5, is 2.6", "step 11: …"], "num_differences": 14}
    change(stable.folder, details={**details, "resume": proof})
    told = (
        "going on after an interruption changed what it computes: step 10: loss was 2.5, is 2.6; 14 differences in all, see "
        "details.resume in manifest.json"
    )
    assert told in render("train/demo", road.folders)


def test_without_guards_at_work_nothing_is_said_of_them(text: str) -> None:
    assert "guards went back" not in text
