"""Questions, and clients with little patience, for servers that tests start."""

from pathlib import Path
from typing import Any

from curation.language_model.chat import Question
from curation.language_model.client import Client
from recipes.schema import Endpoint
from tests.chat_server import Reply, completion


def question(text: str = "What is 1 + 1?", **sampling: Any) -> Question:
    return Question((("user", text),), **{"max_tokens": 20, "seed": 1} | sampling)


def endpoint(url: str, **keys: Any) -> Endpoint:
    return Endpoint(**{"model": "tiny", "base_url": url, "pause_seconds": 0.01, "max_retries": 3, "timeout_seconds": 5.0} | keys)


def client(folder: Path, url: str, rank: int = 0, **keys: Any) -> Client:
    return Client(endpoint(url, **keys), folder / "stage", rank, 2)


def echo(body: dict[str, Any]) -> Reply:
    return completion(f"{body['messages'][-1]['content']} -> {body['seed']}")


def is_harmless(body: dict[str, Any]) -> bool:
    return bool(body["messages"][-1]["content"] == "Say yes.")
