"""The report's plots: axes, curves, bars, lineage; and how figures are written."""

import re
from pathlib import Path

import pytest
from report_page import Page
from report_road import Road

from recipes.report.axis import make_axis
from recipes.report.curves import extremes, means
from recipes.report.figures import duration, scientific, short, size, whole
from recipes.report.record import Record
from recipes.report.training import read_runs


def test_branches_begin_on_the_axis_where_the_stable_stage_ended(text: str) -> None:
    lines = re.findall(r'<path class="faint c(\d)" d="M([\d.]+) [^"]*L([\d.]+) [\d.]+"/>', text)[:4]  # of the first plot
    (_, start, end), *branches = [(colour, float(a), float(b)) for colour, a, b in lines]
    step = (end - start) / 119
    assert [colour for colour, *_ in branches] == ["1", "2", "3"]
    for _, branch_start, branch_end in branches:
        assert branch_start == pytest.approx(end + step, abs=0.2)
        assert branch_end == pytest.approx(1030, abs=0.2)


def test_a_branch_from_the_middle_of_a_stage_begins_there_on_the_axis(tmp_path: Path) -> None:
    def record(stage: str, init: str | None, init_step: int | None) -> Record:
        inputs = {"init": {"made_by": f"train/x/{init}-0"}} if init else {}
        params, counts = {"init_step": init_step}, {"tokens": 8000, "steps": 20}
        manifest = {"page": "train/x", "stage": stage, "do": "train", "fingerprint": "0", "inputs": inputs}
        return Record(tmp_path, {**manifest, "params": params, "counts": counts})

    records = [
        record("stable", None, None),
        record("early", "stable", 5),
        record("more", "stable", None),
        record("end", "more", 10),
    ]
    assert [run.first_token for run in read_runs(records)] == [0, 2000, 8000, 12_000]


def test_curves_that_coincide_are_all_visible(text: str) -> None:
    shared = re.findall(r'<path class="line c(\d)" stroke-dasharray="7 14" stroke-dashoffset="(-?\d+)"', text)
    assert shared[:3] == [("1", "0"), ("2", "-7"), ("3", "-14")]


def test_every_plot_has_a_title_and_a_description(page: Page, text: str) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "svg"]
    # loss, rate and closer in two widths; blends; two histograms; two classifier curves and a calibration; lineage
    assert len(plots) == 3 * 2 + 4 + 2 + 3 + 1
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in plots)
    assert text.count("<desc>") == len(plots)


def test_lineage_shows_every_stage_and_its_branches(road: Road, text: str) -> None:
    graph = text.split('class="lineage"')[1].split("</svg>")[0]
    for stage in road.stages:
        assert f">{stage.name}<" in graph
    # 2 datasets into 4 training stages, stable into 3 branches, 3 exports
    assert graph.count('<path class="edge') == 2 * 4 + 3 + 3


def test_long_curves_keep_their_extremes_and_their_ends() -> None:
    points = [(float(i), 1.0) for i in range(10_000)]
    points[1234], points[5678] = (1234.0, 9.0), (5678.0, -9.0)
    kept = extremes(points, 300)
    assert len(kept) <= 302
    assert {points[0], points[1234], points[5678], points[-1]} <= set(kept)
    mean = means(points)
    assert len(mean) == 60
    assert mean[0] == (82.5, 1.0)  # steps 0 to 165
    assert mean[7][1] == pytest.approx(1 + 8 / 167, abs=1e-3)  # the bucket of step 1234


def test_ticks_are_round_numbers_inside_the_axis() -> None:
    axis = make_axis(0, 655_360, start=0, end=100, num_ticks=5, widen=False, factor=1e3)
    assert [label for _, label in axis.ticks] == ["0", "200", "400", "600"]
    axis = make_axis(2.31, 2.58, start=100, end=0, num_ticks=5, widen=True)
    assert [label for _, label in axis.ticks] == ["2.3", "2.4", "2.5", "2.6"]
    assert make_axis(3.0, 3.0, start=0, end=1, num_ticks=3, widen=True).ticks  # a flat line has an axis too


def test_figures_are_short_and_absent_ones_are_dashes() -> None:
    assert [short(n) for n in (0, 999, 2700, 12_345, 999_999, 1.5e9)] == [
        "0",
        "999",
        "2,700",
        "12.3k",
        "1.00M",
        "1.50B",
    ]
    durations = [duration(s).replace("\u00a0", " ") for s in (0.25, 59.5, 3600, 90061)]
    assert durations == ["0.2 s", "59.5 s", "1 h", "1 d 1 h"]
    assert [size(n).replace("\u00a0", " ") for n in (7, 1500, 1_000_000)] == ["7 B", "1.50 kB", "1 MB"]
    assert scientific(0.0003) == "3 × 10⁻⁴"
    assert [whole(x) for x in (None, float("nan"), "12", True)] == ["–"] * 4
