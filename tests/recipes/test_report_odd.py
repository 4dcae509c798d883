"""The report of unfinished roads and odd manifests: it says what is missing and never breaks."""

import json
from pathlib import Path
from typing import Any

import pytest
from report_files import change
from report_page import Page
from report_road import Road, make_road

from recipes.manifest import read_manifest
from recipes.report.make import render


def test_concerns_name_files_ids_epochs_and_shares(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    stable = next(stage for stage in road.stages if stage.name == "stable")
    details = read_manifest(stable.folder)["details"]
    details["ledger"][1] |= {"epochs": 7.25, "delivered_share": 0.15}
    change(stable.folder, details=details)
    text = render("train/demo", road.folders)
    told = text.split("Worth knowing")[1].split("</section>")[0].replace("\u00a0", " ")
    assert "1 file could not be read: empty file" in told
    assert "<code>crawl-00008.warc.gz</code>" in told
    assert "3 ids occur more than once" in told
    assert "demo qa was repeated 7.2 times; above 4 it teaches little" in told
    assert "the blend asked for 20.0 % of demo qa and delivered 15.0 %" in told


def test_ids_that_ranks_share_are_named(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    tokenized = next(stage for stage in road.stages if stage.name == "tokenize")
    manifest = read_manifest(tokenized.folder)
    change(
        tokenized.folder,
        counts=manifest["counts"] | {"duplicate_ids": 2},
        details=manifest["details"] | {"duplicate_ids": ["twin-1", "twin-2"]},
    )
    text = render("train/demo", road.folders)
    told = text.split("Worth knowing")[1].split("</section>")[0].replace("\u00a0", " ")
    assert "2 ids occur more than once" in told
    assert "<code>twin-1</code>" in told
    assert {row[1] for row in Page(text).find_rows("duplicate ids")} == {"0", "2", "3"}  # among the other counts only how many


def test_missing_stages_are_told_plainly(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    text = render("train/demo", road.folders[:-1], missing=["train/demo/export_hybrid"])
    assert "Unfinished: 1 of 25 stages are missing." in text
    assert "<code>train/demo/export_hybrid</code>" in text
    assert Page(text).faults == []


def test_a_page_of_one_dataset_has_a_report_without_training(tmp_path: Path) -> None:
    road = Road(tmp_path)
    road.qa()
    text = render("curate/demo_qa", road.folders)
    assert 'id="training"' not in text
    assert "1,010 documents in, 988 kept; 100,000 tokens" in text


def test_a_road_with_nothing_finished_still_makes_a_page() -> None:
    page = Page(render("train/demo", [], missing=["train/demo/stable"]))
    assert page.faults == []
    assert "train/demo/stable" in page.texts


ODD: list[dict[str, Any]] = [
    {
        "counts": {},
        "details": {},
        "examples": {},
        "names": {},
        "params": {},
        "inputs": {},
        "outputs": [],
        "software": {},
    },
    {
        "counts": [],
        "details": None,
        "examples": "x",
        "names": 3,
        "params": [],
        "inputs": [],
        "outputs": {},
        "software": None,
    },
    {
        "counts": {
            "documents_in": "many",
            "dropped": {"a": 3},
            "scores": {"s": {"x": 1, "0.5": "y"}},
            "tokens": {"train": {"tokens": 5}},
        },
        "details": {
            "ledger": [{}, 3, {"dataset": None, "epochs": "four"}],
            "validation": {"web": None},
            "parity": 1,
            "loss": 2,
        },
        "examples": {"kept": [{}, "x", {"text": 3}, {"text": "y"}], "dropped/a": None},
        "inputs": {"init": {"made_by": 3}, "documents": None},
        "outputs": [{}, {"path": 3, "bytes": "x"}],
        "seconds": "long",
        "started": 12,
    },
    dict.fromkeys(
        [
            "counts",
            "details",
            "examples",
            "names",
            "params",
            "inputs",
            "outputs",
            "software",
            "seconds",
            "started",
            "command",
        ]
    ),
]


@pytest.mark.parametrize("odd", ODD)
def test_odd_manifests_leave_dashes_and_break_nothing(tmp_path: Path, odd: dict[str, Any]) -> None:
    road = make_road(tmp_path)
    for folder in road.folders:
        change(folder, **odd)
    page = Page(render("train/demo", road.folders))
    assert page.faults == []
    assert page.find_rows("stable")


def test_damaged_and_absent_loss_curves_are_told(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    stable, short_branch = (next(s for s in road.stages if s.name == name) for name in ("stable", "decay_short"))
    with open(stable.folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 121, "loss": NaN, "lr": 1, "tokens_seen": 3}\n{"step"\n\xff\n')
    (short_branch.folder / "metrics.jsonl").unlink()
    text = render("train/demo", road.folders)
    assert "3 lines of metrics.jsonl could not be read" in text
    assert "its loss by step (metrics.jsonl) is not there" in text
    assert "NaN" not in text.split("<body>")[1].split("<script>")[0]


def test_stages_that_name_each_other_in_a_circle_are_still_drawn(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    one, other = road.stages[-2], next(s for s in road.stages if s.name == "stable")
    made_by = f"{one.page}/{one.name}-{one.fingerprint}"
    inputs = json.loads((other.folder / "manifest.json").read_text())["inputs"]
    change(other.folder, inputs=inputs | {"init": {"identity": "x", "made_by": made_by}})
    assert Page(render("train/demo", road.folders)).faults == []


def test_a_stage_that_kept_nothing_is_a_concern(tmp_path: Path) -> None:
    road = Road(tmp_path)
    dropped = {"language": {"documents": 5, "characters": 9}}
    road.finish(
        road.stage("curate/x", "clean", "filter", "curation"), {"documents_in": 5, "characters_in": 9, "dropped": dropped}
    )
    text = render("curate/x", road.folders)
    assert "no document was kept" in text
    assert Page(text).find_rows("clean")[0][:4] == ["clean", "5", "0", "0.0 %"]
