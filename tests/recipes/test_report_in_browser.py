"""The report in headless Chromium: it fits 1280 and 400 pixels, folded and unfolded, and the browser complains of nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_road import make_road

from recipes.report.make import render

FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no browser: chromium and chromedriver are not installed (Debian's chromium and chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    (place / "report.html").write_text(render("train/demo", make_road(place / "runs").folders))
    return place / "report.html"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window(browser: Any, file: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())
    for unfolded in (False, True):
        if unfolded:
            browser.execute_script("document.querySelectorAll('details').forEach(details => { details.open = true })")
        across = browser.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert across[0] <= across[1] <= width
    shown = browser.execute_script("return [...document.querySelectorAll('svg')].filter(svg => svg.clientWidth > 100).length")
    assert shown >= 3
    assert browser.get_log("browser") == []
