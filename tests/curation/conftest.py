"""What tests of curation share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.sample import make_sample
from tests import chat_server, tiny_server
from tests.curation.asking import echo
from tests.curation.sample_files import SIZES


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a small sample, and its counts. It is only to be read."""
    out = tmp_path_factory.mktemp("sample")
    return out, make_sample(out, seed=3, **SIZES)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(address, model) of a running `transformers serve`."""
    folder = tmp_path_factory.mktemp("language_model") / "tiny"
    tiny_server.make_model(folder)
    with tiny_server.serve(folder) as url:
        yield url, str(folder)


@pytest.fixture
def echoing() -> Iterator[chat_server.ChatServer]:
    """A server that answers with the question and its seed."""
    with chat_server.serve(echo) as server:
        yield server
