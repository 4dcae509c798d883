"""What tests of curation share."""

from collections.abc import Iterator

import pytest

from tests import chat_server, tiny_server
from tests.curation.asking import echo


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
