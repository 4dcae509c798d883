"""Truncate and resume against a server whose right and wrong ways are known."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from curation.paths.resume import _before_answer, _betrays
from recipes.manifest import read_manifest
from recipes.report.make import render
from recipes.stage import Stage, write_stage
from tests.chat_server import ChatServer, Reply, completion, serve
from tests.curation.killed_asking import kill_after
from tests.curation.small_page import documents, outputs, record_stages, run

COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a", "samples": "samples"}
FORMAT = {"do": "format", "template": "question_answer", "keep": ["question", "samples"]}
STEPS = ["Let n be the number.", "2 + 3 = 5.", "So 5 times 4 = 20.", "The answer is $\\boxed{20}$."]
SLIP = "2 + 3 = 6.\n<b>So 6 times 4 = 24.</b>\n\\boxed{24}"
BACK = "Back to step 1.\nWait, 2 + 3 is 5 and not 6.\nSo 5 times 4 = 20.\n\\boxed{20}"


def resumed(body: dict[str, Any]) -> str:
    """Goes on rightly where the question is easy, else wrongly; then finds back, but not where the question says how not."""
    prompt = body["messages"][-1]["content"]
    if "Right answer:" not in prompt:
        return "So it is 20: \\boxed{20}" if "easy" in prompt else SLIP
    return {
        "stubborn": BACK.replace("20", "24"),
        "lost": BACK.removeprefix("Back to step 1.\n"),
        "far": BACK.replace("step 1", "step 77"),
        "mute": "Back to step 1.",
        "honest": BACK.replace("Wait", "We know the answer is 20, so"),
    }.get(next(iter(re.findall("stubborn|lost|far|mute|honest", prompt)), ""), f"<think>Hm.</think>\n**{BACK}")


def reply(body: dict[str, Any]) -> Reply:
    return completion(resumed(body), finish="length" if "endless" in body["messages"][-1]["content"] else "stop")


def row(question: str) -> dict[str, Any]:
    return {"q": question, "a": "20", "samples": [{"text": "\n".join(STEPS), "finish": "stop", "tokens": 9}]}


def page(folder: Path, url: str, rows: list[dict[str, Any]], **params: Any) -> Any:
    folder.mkdir(exist_ok=True)
    endpoint = {"model": "tiny", "base_url": url, "pause_seconds": 0.01, "concurrency": 3, "input_price": 1.0}
    spec = {"do": "resume_traces", "endpoint": endpoint | params.pop("endpoint", {}), "resumes": 2} | params
    return record_stages(folder, rows, COLUMNS, {"format": FORMAT, "resume": spec, "graphs": {"do": "build_graphs"}})


KINDS = ("easy", "hard", "stubborn", "lost", "far", "mute", "honest", "endless")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Stage], ChatServer]:
    rows = [row(f"A question that is {kind}.") for kind in KINDS] + [row("One line.") | {"samples": [{"text": "20"}]}]
    with serve(reply) as server:
        planned: dict[str, Stage] = page(tmp_path_factory.mktemp("resumed"), server.url, rows)
        run(planned)
    return planned, server


def samples(stage: Stage, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(doc["samples"] for doc in documents(stage) if kind in doc["question"])
    return found


def test_the_answer_is_hidden_until_the_model_has_gone_wrong(made: tuple[dict[str, Stage], ChatServer]) -> None:
    asked = [body["messages"][-1]["content"] for body in made[1].bodies]
    hidden, revealed = ([prompt for prompt in asked if ("Right answer: 20" in prompt) == told] for told in (False, True))
    assert len(hidden) + len(revealed) == len(asked)
    assert not any("20" in prompt.split("Problem:")[1] for prompt in hidden)
    assert {kind for kind in KINDS if any(kind in prompt for prompt in revealed)} == set(KINDS) - {"easy", "endless"}


def test_a_trace_goes_on_from_a_place_that_is_drawn_before_its_answer(made: tuple[dict[str, Stage], ChatServer]) -> None:
    begun = {
        prompt.split("Solution so far:\n")[1]
        for body in made[1].bodies
        if "Solution so far" in (prompt := body["messages"][-1]["content"])
    }
    assert begun == {"\n".join(STEPS[:number]) for number in (1, 2)}


@pytest.mark.parametrize(
    ("steps", "question", "answer", "kept"),
    [
        (["a", "so it is 1/2", "b"], "?", "\\frac{1}{2}", 2),
        (["a", "$x = \\frac12$ is it", "b"], "?", "\\frac{1}{2}", 2),
        (["it is 120", "20 more", "b"], "?", "20", 2),
        (["20 of them", "the answer is 20", "b"], "Of 20, how many?", "20", 2),
        (["20 of them", "b"], "Of 20, how many?", "20", 2),
        (["20 of them", "b"], "How many?", "20", 1),
        (["so x + 1", "b"], "?", "x+1", 1),
        (["a", "b"], "?", "...", 2),
    ],
)
def test_the_first_step_with_the_answer_ends_what_may_be_cut(steps: list[str], question: str, answer: str, kept: int) -> None:
    assert _before_answer(steps, question, answer) == steps[:kept]


@pytest.mark.parametrize(
    "text",
    [
        "But the right answer is 42.",
        "We were told it is 42, so 6 is wrong.",
        "The correct answer is 42, not 41.",
        "Wait,\nsince the right answer is 42 it must be 7.",
        "According to the answer key it is 42.",
        "The given answer is 42.",
        "But the answer is 42.",
    ],
)
def test_who_says_that_it_was_told_betrays_it(text: str) -> None:
    assert _betrays(text)


@pytest.mark.parametrize(
    "text",
    [
        "Of the given answer choices (A) and (B), none is 5.",
        "So the right answer is 42.",
        "Therefore, the correct answer is (B).",
        "The answer is given by 3 * 4.",
        "The numbers given are 3 and 4.\nThe final answer is 42.",
    ],
)
def test_who_only_concludes_betrays_nothing(text: str) -> None:
    assert not _betrays(text)


def test_a_right_end_is_another_trace(made: tuple[dict[str, Stage], ChatServer]) -> None:
    first, *more = samples(made[0]["resume"], "easy")
    assert first["text"] == "\n".join(STEPS)
    assert len(more) == 2
    assert all(sample["text"].startswith(STEPS[0]) and sample["text"].endswith("So it is 20: \\boxed{20}") for sample in more)


def test_who_ended_wrong_and_found_back_keeps_both_ways_and_where_it_turned(made: tuple[dict[str, Stage], ChatServer]) -> None:
    _, *turned = samples(made[0]["resume"], "hard")
    assert len(turned) == 2
    for sample in turned:
        at, to = sample["turn"]
        assert sample["text"][:to] == STEPS[0]
        assert sample["text"][to:at].endswith("\\boxed{24}")
        assert sample["text"][at:].strip() == BACK.split("\n", 1)[1]
    counts = read_manifest(made[0]["graphs"].folder)["counts"]
    assert counts["traces"]["turned"] == 2
    assert counts["graphs"]["turns"] >= 1


def test_what_is_no_way_back_is_counted_by_its_reason_and_stays_a_wrong_trace(made: tuple[dict[str, Stage], ChatServer]) -> None:
    manifest = read_manifest(made[0]["resume"].folder)
    assert manifest["counts"]["resumed"] == {
        "right": 2,
        "found_back": 2,
        "back_still_wrong": 2,
        "back_to_nowhere": 6,
        "back_says_it_was_told": 2,
        "cut_off": 2,
        "nothing_to_cut": 1,
    }
    assert "resumed/says_it_was_told" in manifest["examples"]
    for kind in ("stubborn", "lost", "far", "mute", "honest"):
        assert all(
            sample["text"].endswith("\\boxed{24}") and "turn" not in sample for sample in samples(made[0]["resume"], kind)[1:]
        )


def test_what_was_asked_and_spent_is_counted_and_shown(made: tuple[dict[str, Stage], ChatServer]) -> None:
    counts = read_manifest(made[0]["resume"].folder)["counts"]["language_model"]
    assert counts["requests"] + counts.get("answered_from_cache", 0) == 16 + 12
    assert counts["microdollars"] == counts["input_tokens"]
    shown = render("resumed", [stage.folder for stage in made[0].values()])
    assert "resume: traces cut off and resumed" in shown
    assert "found_back" in shown


def test_more_tries_ask_for_the_further_ones_alone(tmp_path: Path) -> None:
    with serve(reply) as server:
        for resumes in (2, 5):
            planned = page(tmp_path, server.url, [row("An easy one.")], resumes=resumes)
            run({name: planned[name] for name in ("format", "resume")})
        assert sum(server.asked.values()) == 5
        again = page(tmp_path, "http://127.0.0.1:9/v1", [row("An easy one.")], resumes=5, accept="text")
        run({name: again[name] for name in ("format", "resume")})  # nobody is asked: no server is there
    assert len(samples(again["resume"], "easy")) == 6


def test_a_killed_rank_pays_for_nothing_twice_and_leaves_the_same_bytes(tmp_path: Path) -> None:
    rows = [row(f"A hard one, number {number}.") for number in range(10)]
    with serve(reply) as server:
        whole = page(tmp_path / "whole", server.url, rows)
        run(whole)
        num_asked = sum(server.asked.values())

    def slowly(body: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        return reply(body)

    with serve(slowly) as server:
        planned = page(tmp_path / "killed", server.url, rows)
        run({"format": planned["format"]})
        stage = planned["resume"]
        write_stage(stage)
        kill_after(stage, 12)
        run(planned)
        assert num_asked <= sum(server.asked.values()) <= num_asked + 3  # twice: only what was under way
    assert outputs(planned["resume"]) == outputs(whole["resume"])
    assert outputs(planned["graphs"]) == outputs(whole["graphs"])


def test_a_prompt_that_is_not_there_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("no place")
    with pytest.raises(ValueError, match=r"bad.txt: \{text\} stands in it 0 times"):
        page(tmp_path, "http://127.0.0.1:9/v1", [row("?")], return_prompt=str(bad))


def test_a_real_server_goes_on(language_model: tuple[str, str], tmp_path: Path) -> None:
    url, model = language_model
    planned = page(tmp_path, url, [row("Why?")], max_answer_tokens=8, endpoint={"model": model, "concurrency": 2})
    run({name: planned[name] for name in ("format", "resume")})
    counts = read_manifest(planned["resume"].folder)["counts"]
    assert sum(counts["resumed"].values()) == 2
    assert counts["language_model"]["output_tokens"] > 0
