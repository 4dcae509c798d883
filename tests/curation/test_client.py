"""The client of language models against real servers: what is asked once, what is retried, what stops a run."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from curation.book import StageFailed
from curation.language_model.answers import Answer
from tests.chat_server import ChatServer, Reply, completion, refusal, serve
from tests.curation.asking import client, echo, is_harmless, question


def in_turn(*replies: Reply) -> Any:
    """One reply after another, then the last one for ever."""
    left = list(replies)
    lock = threading.Lock()

    def reply(_: dict[str, Any]) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return reply


# ---------------------------------------------------------------------------------------------------- asking


def test_a_question_is_sent_with_its_sampling_and_answered(echoing: ChatServer, tmp_path: Path) -> None:
    with client(tmp_path, echoing.url, extra_body={"chat_template_kwargs": {"enable_thinking": False}}) as asking:
        answer = asking.ask(question())
    assert answer == Answer("What is 1 + 1? -> 1", "stop", 100, 10)
    sent = {key: value for key, value in echoing.bodies[0].items() if key != "messages"}
    assert sent == {
        "model": "tiny", "max_tokens": 20, "seed": 1, "temperature": 0.0, "top_p": 1.0,
        "chat_template_kwargs": {"enable_thinking": False},
    }  # fmt: skip


def test_what_was_answered_is_never_asked_again(echoing: ChatServer, tmp_path: Path) -> None:
    for _ in range(2):
        with client(tmp_path, echoing.url) as asking:
            texts = [answer.text for _, answer in asking.map(asking.ask, [question("a"), question("b"), question("a")])]
        assert texts == ["a -> 1", "b -> 1", "a -> 1"]
    assert echoing.asked == {"a": 1, "b": 1}
    assert asking.counts == {"answered_from_cache": 3}


@pytest.mark.parametrize("other", [{"seed": 2}, {"temperature": 0.5}, {"max_tokens": 21}, {"top_p": 0.9}])
def test_another_sampling_is_another_question(echoing: ChatServer, tmp_path: Path, other: dict[str, Any]) -> None:
    with client(tmp_path, echoing.url) as asking:
        assert asking.key(question()) == asking.key(question())
        assert asking.key(question()) != asking.key(question(**other))


def test_another_model_is_another_question_but_another_address_is_not(echoing: ChatServer, tmp_path: Path) -> None:
    with client(tmp_path, echoing.url) as one, client(tmp_path, "http://elsewhere/v1", 1) as moved:
        assert one.key(question()) == moved.key(question())
    with (
        client(tmp_path, echoing.url, 2, model="huge") as huge,
        client(tmp_path, echoing.url, 3, extra_body={"k": 1}) as body,
    ):
        assert len({one.key(question()), huge.key(question()), body.key(question())}) == 3


def test_answers_come_in_order_and_no_more_requests_than_allowed_at_once(tmp_path: Path) -> None:
    def slower_at_first(body: dict[str, Any]) -> Reply:
        time.sleep(0.1 if body["messages"][-1]["content"] in "012" else 0.01)
        return echo(body)

    with serve(slower_at_first) as server, client(tmp_path, server.url, concurrency=4) as asking:
        answers = [(n, answer.text) for n, answer in asking.map(lambda n: asking.ask(question(str(n))), range(40))]
    assert answers == [(n, f"{n} -> 1") for n in range(40)]
    assert server.most_at_once == 4


def test_further_tries_have_other_seeds_and_some_temperature(echoing: ChatServer, tmp_path: Path) -> None:
    with client(tmp_path, echoing.url) as asking:
        assert [answer.text[-1] for answer in asking.tries(question(), 3)] == ["1", "2", "3"]
    assert [(body["seed"], body["temperature"]) for body in echoing.bodies] == [(1, 0.0), (2, 0.7), (3, 0.7)]


def test_a_server_that_reports_no_usage_is_charged_by_bytes(tmp_path: Path) -> None:
    with serve(lambda _: completion("x" * 30, tokens=None)) as server, client(tmp_path, server.url) as asking:
        answer = asking.ask(question("y" * 60))
    assert (answer.input_tokens, answer.output_tokens) == (20, 10)


def test_an_empty_message_is_an_empty_answer(tmp_path: Path) -> None:
    with serve(lambda _: completion(None, finish="length")) as server, client(tmp_path, server.url) as asking:
        assert asking.ask(question()) == Answer("", "length", 100, 10)


# ---------------------------------------------------------------------------------------------------- what goes wrong

LATE: Reply = (-1, {}, b"")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(429, "slow down", Retry_After="0"), "rate_limit"),
        (refusal(429, "slow down", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), "rate_limit"),
        (refusal(500, "out of memory"), "server_error"),
        (refusal(503, "loading"), "server_error"),
        (refusal(408, "too slow"), "server_error"),
        ((200, {}, b"<html>proxy error</html>"), "garbage"),
        ((200, {}, completion("two")[2][:60]), "garbage"),
        ((200, {}, b'{"choices": []}'), "garbage"),
        ((200, {}, b'{"choices": [{"message": {"content": 7}}]}'), "garbage"),
        ((200, {}, b"null"), "garbage"),
        ((200, {}, b""), "garbage"),
        ((200, {"Content-Length": "500"}, completion("two")[2]), "connection"),
        (LATE, "timeout"),
    ],
)
def test_what_may_pass_is_tried_again_and_counted(
    tmp_path: Path, reply: Reply, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    replies = in_turn(reply, completion("two"))

    def late_or(body: dict[str, Any]) -> Reply:
        given = replies(body)
        if given == LATE:
            time.sleep(0.6)
        return completion("too late") if given == LATE else given

    with serve(late_or) as server, client(tmp_path, server.url, timeout_seconds=0.3) as asking, caplog.at_level(logging.WARNING):
        assert asking.ask(question()).text == "two"
    assert asking.counts == {"requests": 2, f"retried_{kind}": 1, "answered_by_server": 1}
    assert f"{kind}: " in caplog.text


def test_a_pause_that_the_server_asks_for_is_kept(tmp_path: Path) -> None:
    replies = in_turn(refusal(429, "slow down", Retry_After="0.4"), completion("two"))
    with serve(replies) as server, client(tmp_path, server.url) as asking:
        started = time.monotonic()
        asking.ask(question())
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (refusal(400, "This model's maximum context length is 4096 tokens. However, you requested 5000."), "context_too_long"),
        (refusal(400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."), "context_too_long"),
        (refusal(413, "Payload Too Large"), "context_too_long"),
        (refusal(400, "content_filter: the prompt was blocked"), "content_filter"),
        (refusal(422, "character out of range"), "refused"),
    ],
)
def test_a_question_that_cannot_be_answered_is_counted_and_never_asked_again(tmp_path: Path, reply: Reply, problem: str) -> None:
    for _ in range(2):
        with serve(lambda body: echo(body) if is_harmless(body) else reply) as server, client(tmp_path, server.url) as asking:
            assert [answer.problem for answer in asking.tries(question(), 3)] == [problem]
        assert asking.counts[f"problem_{problem}"] == 1
    assert not server.asked


def test_a_server_that_fails_at_one_question_alone_does_not_stop_the_run(tmp_path: Path) -> None:
    def choke(body: dict[str, Any]) -> Reply:
        return refusal(500, "assertion failed") if body["messages"][-1]["content"] == "poison" else echo(body)

    with serve(choke) as server, client(tmp_path, server.url, concurrency=1) as asking:
        answers = [asking.ask(question(text)) for text in ("poison", "b")]
    assert [(answer.text, answer.problem) for answer in answers] == [("", "server_error"), ("b -> 1", "")]
    assert server.asked == {"poison": 4, "Say yes.": 1, "b": 1}


@pytest.mark.parametrize(
    ("reply", "kind"), [(refusal(500, "no"), "server_error"), ((200, {}, b"?"), "garbage"), (LATE, "timeout")]
)
def test_a_question_that_the_server_failed_at_is_asked_again_by_the_next_run_but_not_twice_in_one(
    tmp_path: Path, reply: Reply, kind: str
) -> None:
    def choke(body: dict[str, Any]) -> Reply:
        if is_harmless(body):
            return echo(body)
        if reply == LATE:
            time.sleep(0.6)
        return completion("too late") if reply == LATE else reply

    with serve(choke) as server, client(tmp_path, server.url, timeout_seconds=0.3, max_retries=1) as first:
        assert [first.ask(question()).problem for _ in range(2)] == [kind, kind]
        assert first.counts["answered_from_cache"] == 1
        assert server.asked["What is 1 + 1?"] == 2
    with serve(echo) as mended, client(tmp_path, mended.url) as second:
        assert second.ask(question()) == Answer("What is 1 + 1? -> 1", "stop", 100, 10)
    with client(tmp_path, "http://127.0.0.1:9/v1") as third:
        assert third.ask(question()).text == "What is 1 + 1? -> 1"


@pytest.mark.parametrize(
    ("reply", "keys", "error", "message"),
    [
        (
            refusal(401, "Incorrect API key"),
            {"key_variable": "A_KEY"},
            ValueError,
            r"refuses the key, which is the variable A_KEY",
        ),
        (refusal(401, "no key"), {}, ValueError, "refuses the key, which is none: set key_variable on the page"),
        (refusal(403, "not yours"), {"key_variable": "A_KEY"}, ValueError, "refuses the key"),
        (
            refusal(404, "The model `tiny` does not exist"),
            {"model": "tini"},
            ValueError,
            "not serve the model 'tini'.*it serves: tiny$",
        ),
        (refusal(400, "Server is pinned to 'a'; requested 'b'."), {}, ValueError, "does not serve the model 'tiny'"),
        (refusal(400, "seed: unknown field"), {}, ValueError, r"refuses the request \(status 400\).*seed: unknown field"),
        (
            refusal(400, "maximum context length is 10 tokens"),
            {},
            ValueError,
            "even a short question is too long.*lower max_answer",
        ),
        (refusal(429, "insufficient_quota"), {}, StageFailed, "no credit left"),
        (refusal(429, "slow down"), {}, StageFailed, r"failed 4 times in a row \(rate_limit: status 429.*run the page again"),
        (refusal(500, "no"), {}, StageFailed, r"failed 4 times in a row \(server_error"),
        ((200, {}, b"<html>log in</html>"), {}, StageFailed, r"garbage: not a chat completion: b'<html>log in"),
    ],
)
def test_what_is_wrong_with_the_server_stops_the_run_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, keys: dict[str, Any], error: type[Exception], message: str
) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    with (
        serve(lambda _: reply) as server,
        client(tmp_path, server.url, concurrency=2, **keys) as asking,
        pytest.raises(error, match=message),
    ):
        list(asking.map(lambda n: asking.ask(question(str(n))), range(100)))
    assert sum(server.asked.values()) <= 2 * 6  # four tries and a probe each: after the failure no more went out
    assert (tmp_path / "stage" / "00000-of-00002.jsonl").read_bytes() == b""


def test_a_wrong_address_is_named(echoing: ChatServer, tmp_path: Path) -> None:
    with (
        client(tmp_path, echoing.url.removesuffix("/v1")) as asking,
        pytest.raises(ValueError, match=r"base_url usually ends with /v1"),
    ):
        asking.ask(question())
    with (
        client(tmp_path, "http://127.0.0.1:9/v1") as nobody,
        pytest.raises(StageFailed, match=r"127.0.0.1:9/v1 failed 4 times in a row \(connection"),
    ):
        nobody.ask(question())


def test_the_key_comes_from_the_environment_and_stands_nowhere_else(
    echoing: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sesame")
    with client(tmp_path, echoing.url, key_variable="A_KEY") as asking:
        asking.ask(question())
    assert echoing.keys == {"Bearer sesame"}
    assert b"sesame" not in (tmp_path / "stage" / "00000-of-00002.jsonl").read_bytes()
    monkeypatch.delenv("A_KEY")
    with pytest.raises(ValueError, match="key_variable=A_KEY: the environment has no such variable"):
        client(tmp_path, echoing.url, key_variable="A_KEY")
