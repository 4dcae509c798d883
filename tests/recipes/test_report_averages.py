"""Averages in the report: every member's held-out loss beside the average's, and where the average stands in the lineage."""

from pathlib import Path
from typing import Any

import pytest
from report_page import Page
from report_road import Road, make_road

from recipes.report.averages import read_averages
from recipes.report.make import render
from recipes.report.record import read_records
from recipes.report.training import read_runs
from recipes.stage import Stage

LOSSES: dict[str, dict[str, float]] = {
    "decay_short": {"web": 2.33, "qa": 2.41},
    "decay_long": {"web": 2.3075, "qa": 2.4875},
    "soup": {"web": 2.25, "qa": 2.43},
}


def add_average(road: Road) -> Stage:
    branches = {stage.name: stage for stage in road.stages if stage.do == "train"}
    needs: dict[str, Any] = {f"checkpoint__{name}": branches[name] for name in ("decay_short", "decay_long")}
    soup = road.stage("train/demo", "soup", "average", "pretrain", **needs)
    members = [
        {"stage": name, "step": 40, "weight": weight, "validation": LOSSES[name]}
        for name, weight in (("decay_short", 0.9), ("decay_long", 0.1))
    ]
    details = {"members": members, "validation": LOSSES["soup"], "checkpoint": "checkpoints/step_00000000"}
    return road.finish(soup, {"checkpoints": 2, "parameters": 1_234_567}, details=details)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    road = make_road(tmp_path_factory.mktemp("averaged"))
    soup = add_average(road)
    road.export("soup", soup)
    road.train("more", {"demo_web": 1.0}, {stage.page.removeprefix("curate/"): stage for stage in road.stages}, soup)
    return road


def test_every_members_loss_stands_beside_the_averages(road: Road) -> None:
    page = Page(render("train/demo", road.folders))
    assert page.faults == []
    assert ["decay_short after step 40", "0.900", "2.3300", "2.4100"] in page.find_rows("decay_short after step 40")
    assert ["the average", "", "2.2500", "2.4300"] in page.find_rows("the average")
    [average] = read_averages(read_records(road.folders))
    best = [(row["label"], i) for row in average.rows for i, cell in enumerate(row["cells"]) if cell["is_best"]]
    assert best == [("decay_short after step 40", 1), ("soup", 0)]


def test_a_stage_that_begins_from_an_average_goes_on_where_its_members_end(road: Road) -> None:
    runs = {run.record.stage: run for run in read_runs(read_records(road.folders))}
    assert runs["more"].first_token == (120 + 40) * 4096


def test_the_lineage_leads_from_the_members_to_the_average_and_on(road: Road) -> None:
    text = render("train/demo", road.folders)
    assert "soup from decay_short, decay_long; export_soup from soup; more from demo_web, soup" in text


def test_without_averages_the_page_has_no_such_section(tmp_path: Path) -> None:
    assert 'id="averages"' not in render("train/demo", make_road(tmp_path).folders)
