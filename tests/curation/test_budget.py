"""Money for language models: counted, shared by ranks, and the end of a run when it is spent."""

from pathlib import Path
from typing import Any

import pytest

from curation.book import StageFailed
from tests.chat_server import ChatServer
from tests.curation.asking import client, endpoint, question


def test_the_budget_stops_the_run_and_more_money_goes_on_where_it_was(echoing: ChatServer, tmp_path: Path) -> None:
    prices: dict[str, Any] = {"input_price": 10.0, "output_price": 100.0, "concurrency": 1}  # 0.2 cents an answer
    with (
        client(tmp_path, echoing.url, max_cost=0.01, **prices) as asking,
        pytest.raises(StageFailed, match=r"the budget is spent: \$0.01 of max_cost=\$0.01, for 500 input and 50 output tokens"),
    ):
        list(asking.map(lambda n: asking.ask(question(str(n))), range(10)))
    assert asking.counts["answered_by_server"] == 5
    with client(tmp_path, echoing.url, max_cost=1.0, **prices) as richer:
        assert len(list(richer.map(lambda n: richer.ask(question(str(n))), range(10)))) == 10
    assert set(echoing.asked.values()) == {1}
    counted: dict[str, int] = {}
    richer.report(lambda _, key, n: counted.update({key: n}))
    assert counted["microdollars"] == 20_000


def test_what_other_ranks_spent_counts(echoing: ChatServer, tmp_path: Path) -> None:
    prices: dict[str, Any] = {"input_price": 10.0, "output_price": 100.0}
    with client(tmp_path, echoing.url, 1, **prices) as other:
        for n in range(5):
            other.ask(question(str(n)))
    poor = client(tmp_path, echoing.url, max_cost=0.01, **prices)
    with poor as asking, pytest.raises(StageFailed, match="the budget is spent"):
        asking.ask(question("new"))


def test_a_budget_without_prices_is_refused() -> None:
    with pytest.raises(ValueError, match="it would never stop; set the prices"):
        endpoint("http://x/v1", max_cost=5.0)
    with pytest.raises(ValueError, match=r"'localhost:8000' is not a web address; write it as http://HOST:PORT/v1"):
        endpoint("localhost:8000")
