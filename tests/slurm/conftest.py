"""One dataset, curated once, for all tests that ask about it, and one virtual cluster."""

from pathlib import Path

import pytest
from dataset import curate, write_pages, write_tokenizer
from release_world import bundle, finished_page, found, released  # noqa: F401, fixtures
from slurm_cluster import cluster  # noqa: F401, a fixture


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the input; results lie in its `runs`: with the page's filters, and where a page must have more words."""
    folder = tmp_path_factory.mktemp("dataset")
    write_pages(folder)
    write_tokenizer(folder / "tokenizer")
    curate(folder)
    return folder
