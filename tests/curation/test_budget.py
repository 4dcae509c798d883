"""Money for language models: counted, shared by ranks, and the end of a run when it is spent."""

from pathlib import Path
from typing import Any

import pytest

from curation.book import Book, StageFailed
from curation.language_model.client import Client, report
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
    assert reported(tmp_path, richer)["microdollars"] == 20_000


def test_answers_that_come_twice_cost_once(echoing: ChatServer, tmp_path: Path) -> None:
    with client(tmp_path, echoing.url, input_price=10.0, output_price=100.0) as asking:
        for text in ("a", "b", "a", "a"):
            asking.ask(question(text))
        assert reported(tmp_path, asking) == {
            "requests": 2, "answered_by_server": 2, "answered_from_cache": 2,
            "input_tokens": 200, "output_tokens": 20, "microdollars": 4_000,
        }  # fmt: skip


def test_what_a_rank_paid_in_a_part_of_its_work_counts_once_in_all_parts(echoing: ChatServer, tmp_path: Path) -> None:
    book = Book(tmp_path / "book")
    for texts in ("ab", "bc", ""):
        with client(tmp_path, echoing.url, input_price=10.0, output_price=100.0) as asking:
            for text in texts:
                asking.ask(question(text))
            report(book, asking)
    assert book.counts["language_model"] == {
        "requests": 3, "answered_by_server": 3, "answered_from_cache": 1,
        "input_tokens": 300, "output_tokens": 30, "microdollars": 6_000,
    }  # fmt: skip


def test_an_answer_that_the_stage_paid_with_other_parameters_costs_nothing(echoing: ChatServer, tmp_path: Path) -> None:
    prices: dict[str, Any] = {"input_price": 10.0, "output_price": 100.0}
    with client(tmp_path, echoing.url, **prices) as before:
        before.ask(question())
    now = Client(endpoint(echoing.url, **prices), tmp_path / "changed", 0, 2)
    with now as asking:
        asking.ask(question())
        assert reported(tmp_path, asking) == {
            "answered_from_cache": 1, "input_tokens": 0, "output_tokens": 0, "microdollars": 0,
        }  # fmt: skip
        assert asking.answers.spent_elsewhere() == (100, 10)


def test_two_servers_of_one_stage_are_charged_by_their_own_prices(echoing: ChatServer, tmp_path: Path) -> None:
    solver, judge = (
        client(tmp_path / name, echoing.url, input_price=price) for name, price in (("solver", 10.0), ("judge", 1.0))
    )
    with solver, judge:
        solver.ask(question())
        judge.ask(question())
        told = reported(tmp_path, solver, judge)
    assert (told["requests"], told["input_tokens"], told["microdollars"]) == (2, 200, 1_100)


def reported(folder: Path, *clients: Client) -> dict[str, int]:
    book = Book(folder / "book")
    report(book, *clients)
    counts: dict[str, int] = book.counts["language_model"]
    return counts


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
