"""One made road, and the report of it, for all tests of the report."""

import pytest
from browser import browser  # noqa: F401  # the fixture
from report_page import Page
from report_road import Road, make_road

from recipes.report.make import render


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """Shared: a test that changes a stage makes a road of its own."""
    return make_road(tmp_path_factory.mktemp("road"))


@pytest.fixture(scope="session")
def text(road: Road) -> str:
    return render("train/demo", road.folders)


@pytest.fixture(scope="session")
def page(text: str) -> Page:
    return Page(text)
