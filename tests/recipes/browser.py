"""Headless Chromium for tests of pages: fixture `browser`, opened once for all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
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


def open_at(browser: Any, file: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())


def unfold(browser: Any) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(details => { details.open = true })")


def scrolled(browser: Any, section: str) -> list[str]:
    """The tables of a section that are wider than their place."""
    wide = f"return [...document.querySelectorAll('#{section} .scroll')].filter(part => part.scrollWidth > part.clientWidth)"
    found: list[str] = browser.execute_script(f"{wide}.map(part => part.getAttribute('aria-label'))")
    return found


def assert_fits(browser: Any, width: int) -> None:
    """Nothing is wider than the window, whatever is folded."""
    across = browser.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert across[0] <= across[1] <= width
