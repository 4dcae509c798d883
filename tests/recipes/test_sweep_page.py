"""The page of a sweep: its table, what is marked and what is not, and plots over what was swept."""

from pathlib import Path
from typing import Any

import pytest
from browser import assert_fits, open_at, unfold
from report_page import Page

from recipes.report.sweep import render_sweep


def cell(mean: float, spread: float | None = None, **more: Any) -> dict[str, Any]:
    return {"values": [mean], "mean": mean, "spread": spread, "is_best": False, **more}


def row(
    swept: dict[str, str], cells: dict[str, Any], *, repeats: int = 1, end: str = "", is_control: bool = False
) -> dict[str, Any]:
    states = {"done": len(next(iter(cells.values()))["values"])} if cells else {"missing": repeats}
    name = " ".join(f"{axis}={value}" for axis, value in swept.items())
    return {
        "point": name,
        "end": end,
        "swept": swept,
        "states": states,
        "repeats": repeats,
        "is_control": is_control,
        "cells": cells,
    }


def record(rows: list[dict[str, Any]], *, noise: float | None = None) -> dict[str, Any]:
    metrics = list(dict.fromkeys(name for entry in rows for name in entry["cells"]))
    points = [
        {"point": entry["point"], "own": 3, "stages": 61, "overrides": ["a=1", f"b={number}"]}
        for number, entry in enumerate(rows)
    ]
    return {
        "sweep": "shares <of> QA",
        "page": "train/demo",
        "points": points,
        "stages": 76,
        "stages_alone": 366,
        "done": 70,
        "tokens": 745472,
        "results": {
            "axes": list(dict.fromkeys(axis for entry in rows for axis in entry["swept"])),
            "control": rows[0]["point"],
            "metrics": [{"name": name, "is_lower_better": True, "noise": noise} for name in metrics],
            "rows": rows,
        },
    }


def peaks(*losses: float) -> list[dict[str, Any]]:
    return [
        row({"peak": f"{peak:g}"}, {"validation web": cell(loss)}, is_control=peak == 1e-5)
        for peak, loss in zip((1e-5, 2e-5, 4e-4), losses, strict=True)
    ]


def circles(page: Page) -> int:
    return sum(tag == "circle" for tag, _ in page.elements)


def test_a_row_shows_swept_values_means_spreads_and_differences() -> None:
    rows = [
        row({"branch": "short", "peak": "1e-05"}, {"validation web": cell(2.5, 0.01)}, repeats=3, is_control=True),
        row(
            {"branch": "long", "peak": "1e-05"},
            {"validation web": cell(2.4, 0.02, is_best=True, difference=-0.1, is_clear=True)},
            repeats=3,
        ),
        row({"branch": "long", "peak": "2e-05"}, {}, repeats=3),
    ]
    text = render_sweep(record(rows, noise=0.01))
    page = Page(text)
    assert page.faults == []
    assert page.open == []
    assert page.find_rows("short") == [["short", "1e-05", "1 of 3", "2.5000 ± 0.0100"]]
    assert page.find_rows("long")[0] == ["long", "1e-05", "1 of 3", "2.4000 ± 0.0200 −0.1000"]
    assert page.find_rows("long")[1] == ["long", "2e-05", "0 of 3", "missing"]
    assert '<mark title="best of the column">2.4000</mark>' in text
    assert "<b>−0.1000</b>" in text
    assert "1 of 3 rows have no figures yet" in text


def test_names_are_text_and_common_overrides_are_told_once() -> None:
    text = render_sweep(record(peaks(2.5, 2.4, 2.6)))
    assert "shares &lt;of&gt; QA" in text
    assert text.count("<code>a=1</code>") == 1
    assert "<code>b=2</code>" in text
    assert "any difference may be chance" in text


def test_a_number_that_was_swept_is_the_axis_and_the_rest_are_lines() -> None:
    rows = [
        row({"branch": branch, "peak": f"{peak:g}"}, {"validation web": cell(2.5)})
        for branch in ("demo_short", "demo_long")
        for peak in (1e-5, 2e-5, 4e-4)
    ]
    page = Page(render_sweep(record(rows)))
    assert sum(tag == "path" for tag, _ in page.elements) == 2
    assert circles(page) == 6
    assert {"1e-05", "2e-05", "0.0004"} <= set(page.texts)
    assert {"demo_short", "demo_long"} <= set(page.texts)


def test_axes_of_their_own_are_lines_over_their_values() -> None:
    rows = [
        row({dataset: f"{share}"}, {"validation web": cell(2.5 + share)})
        for dataset in ("qa", "cot")
        for share in (0.1, 0.2, 0.3)
    ]
    page = Page(render_sweep(record(rows)))
    assert sum(tag == "path" for tag, _ in page.elements) == 2
    assert "the value of each" in page.texts


def test_names_that_were_swept_are_rows_with_their_intervals() -> None:
    names = ("web alone", "qa", "cot")
    rows = [row({"point": name}, {"validation web": cell(2.5, 0.1), "loss": cell(2.0)}) for name in names]
    page = Page(render_sweep(record(rows)))
    assert circles(page) == 6
    assert sum("whisker" in str(attributes.get("class")) for _, attributes in page.elements) == 3
    assert all(page.texts.count(name) >= 3 for name in names)


def test_a_sweep_that_has_not_begun_has_a_table_and_no_plot() -> None:
    page = Page(render_sweep(record([row({"point": "web"}, {}), row({"point": "qa"}, {})])))
    assert page.find_rows("web")[0] == ["web", "missing"]
    assert not any(tag == "svg" for tag, _ in page.elements)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_of_a_sweep_fits_its_window(browser: Any, tmp_path: Path, width: int) -> None:
    named = [row({"point": f"a long name of a point, number {n}"}, {"validation web": cell(2.5 + n)}) for n in range(3)]
    for name, rows in (("named", named), ("numbers", peaks(2.5, 2.4, 2.6))):
        file = tmp_path / f"{name}.html"
        file.write_text(render_sweep(record(rows)))
        open_at(browser, file, width)
        assert_fits(browser, width)
        unfold(browser)
        assert_fits(browser, width)
        assert browser.execute_script("return document.querySelector('svg').clientWidth") > 300
    assert browser.get_log("browser") == []
