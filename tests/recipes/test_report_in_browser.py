"""The report in headless Chromium: it fits 1280 and 400 pixels, folded and unfolded, its formulas are drawn, and the browser
complains of nothing."""

from pathlib import Path
from typing import Any

import pytest
from browser import assert_fits, open_at, unfold
from report_files import UNDRAWABLE, change
from report_road import make_road
from selenium.webdriver.support.wait import WebDriverWait

from recipes.manifest import read_manifest
from recipes.report.make import render


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    road = make_road(place / "runs")
    for stage in road.stages:
        if stage.do == "train":
            change(stage.folder, details=read_manifest(stage.folder)["details"] | {"validation_before": {"web": 2.7, "qa": 2.8}})
    (place / "report.html").write_text(render("train/demo", road.folders))
    return place / "report.html"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window(browser: Any, file: Path, width: int) -> None:
    open_at(browser, file, width)
    for unfolded in (False, True):
        if unfolded:
            unfold(browser)
        assert_fits(browser, width)
    shown = browser.execute_script("return [...document.querySelectorAll('svg')].filter(svg => svg.clientWidth > 100).length")
    assert shown >= 3
    assert browser.get_log("browser") == []


def test_the_mark_of_the_lowest_loss_ends_before_the_change_behind_it(browser: Any, file: Path) -> None:
    open_at(browser, file, 1280)
    between = "return [...document.querySelectorAll('#validation mark + .quiet')].map(change => "
    between += "change.getBoundingClientRect().left - change.previousElementSibling.getBoundingClientRect().right)"
    gaps = browser.execute_script(between)
    assert gaps
    assert min(gaps) >= 4


def test_formulas_are_drawn_when_their_samples_are_unfolded(browser: Any, file: Path) -> None:
    browser.get(file.as_uri())
    assert browser.execute_script("return document.querySelectorAll('.katex').length") == 0
    unfold(browser)
    drawn = "return [...document.querySelectorAll('.tex.drawn .katex-html')].filter(part => part.clientWidth > 0).length"
    WebDriverWait(browser, 10).until(lambda browser: browser.execute_script(drawn) >= 3)
    assert browser.execute_script("return document.querySelectorAll('.tex .frac-line').length") >= 2  # of LATEX
    browser.execute_script("return document.fonts.ready")
    assert browser.execute_script("return document.fonts.check('16px KaTeX_Main')")
    assert browser.get_log("browser") == []


def test_formulas_that_cannot_be_drawn_show_their_source_and_why(browser: Any, file: Path) -> None:
    browser.get(file.as_uri())
    unfold(browser)
    undrawn = "return [...document.querySelectorAll('.undrawn')].map(part => [part.textContent, part.title])"
    WebDriverWait(browser, 10).until(lambda browser: browser.execute_script(undrawn))
    told = dict(browser.execute_script(undrawn))
    assert told.keys() == set(UNDRAWABLE.split(" and "))
    assert "Undefined control sequence: \\undefinedcommand" in told[r"$\undefinedcommand{x}$"]


def test_a_formula_of_a_document_becomes_no_link_image_or_script(browser: Any, file: Path) -> None:
    browser.get(file.as_uri())
    unfold(browser)
    there = "return [...document.querySelectorAll('.document')].filter(part => part.textContent.includes('javascript')).length"
    WebDriverWait(browser, 10).until(lambda browser: browser.execute_script(there) == 1)
    assert browser.execute_script("return document.querySelectorAll('a, img, [data-a], script:not(body > script)').length") == 0
    assert browser.get_log("browser") == []
