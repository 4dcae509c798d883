"""Rejection sampling against a server whose right and wrong answers are known."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from recipes.manifest import read_manifest
from recipes.report.make import render
from recipes.stage import Stage, write_stage
from tests.chat_server import ChatServer, Reply, completion, serve
from tests.curation.killed_asking import kill_after
from tests.curation.small_page import documents, outputs, record_stages, run

Made = tuple[dict[str, Stage], ChatServer]
COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a"}
FORMAT = {"do": "format", "template": "question_answer", "keep": ["question"]}
RIGHT, MIXED = "Add them: \\boxed{{{}}}.", "所以我们得到答案: \\boxed{{{}}}."


def answer_to(body: dict[str, Any]) -> str:
    """easy: always right, in other words each time. middling: in form, the same again, mixed, wrong. hard: never."""
    prompt, seed = body["messages"][-1]["content"], (body["seed"] - 1) % 4  # the page's seed is 1
    question = next(word for word in ("easy", "middling", "hard") if word in prompt)
    if question == "easy":
        return RIGHT.format(4) + f" Way {seed}."
    if question == "hard":
        return f"Perhaps \\boxed{{{seed}}}"
    return [RIGHT.format(5), RIGHT.format(5).upper().replace("BOXED", "boxed"), MIXED.format(5), RIGHT.format(6)][seed]


def reply(body: dict[str, Any]) -> Reply:
    return completion(answer_to(body))


ROWS: list[dict[str, Any]] = [{"q": "An easy one.", "a": "4"}, {"q": "A middling one.", "a": "5"}, {"q": "A hard one.", "a": "7"}]


def page(folder: Path, url: str, rows: list[dict[str, Any]] = ROWS, verify: dict[str, Any] | None = None, **sampling: Any) -> Any:
    folder.mkdir(exist_ok=True)
    endpoint = {"model": "tiny", "base_url": url, "pause_seconds": 0.01, "concurrency": 3} | sampling.pop("endpoint", {})
    spec: dict[str, dict[str, Any]] = {
        "format": FORMAT,
        "sample": {"do": "sample_answers", "endpoint": endpoint, "samples": 4} | sampling,
        "verify": {"do": "keep_verified"} | (verify or {}),
    }
    return record_stages(folder, rows, COLUMNS, spec)


def sampled(folder: Path, rows: list[dict[str, Any]] = ROWS, **keys: Any) -> Made:
    with serve(reply) as server:
        planned: dict[str, Stage] = page(folder, server.url, rows, **keys)
        run(planned)
    return planned, server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return sampled(tmp_path_factory.mktemp("sampled"), verify={"pairs_per_question": 9})


def test_every_question_is_asked_as_often_as_the_page_says_each_time_with_another_seed(made: Made) -> None:
    planned, server = made
    docs = documents(planned["sample"])
    assert [doc["question"] for doc in docs] == [row["q"] for row in ROWS]
    assert [len(doc["samples"]) for doc in docs] == [4, 4, 4]
    assert sorted((body["seed"] % 4, body["temperature"]) for body in server.bodies) == sorted([(i, 1.0) for i in range(4)] * 3)
    counts = read_manifest(planned["sample"].folder)["counts"]
    assert counts["samples"] == {"stop": 12}
    assert (counts["language_model"]["requests"], counts["language_model"]["output_tokens"]) == (12, 120)


def test_verified_answers_in_form_are_kept_and_those_in_the_same_words_once(made: Made) -> None:
    planned, _ = made
    docs = documents(planned["verify"])
    assert [doc["question"] for doc in docs] == ["An easy one."] * 4 + ["A middling one."]
    assert docs[-1]["text"] == "A middling one.\n" + RIGHT.format(5)
    assert (docs[-1]["solve_rate"], docs[-1]["expected_answer"], docs[-1]["stated_answer"]) == (0.75, "5", "5")
    assert len({doc["id"] for doc in docs}) == 5
    counts = read_manifest(planned["verify"].folder)["counts"]
    assert counts["judged"] == {"right_in_form": 6, "right_only": 1, "wrong": 5}
    assert counts["duplicate_samples"] == 1
    assert counts["details"]["keep_verified"] == {"unsolved": 1}
    assert counts["solved"] == {"4": {"0": 1, "3": 1, "4": 1}}


def test_pass_at_k_is_in_a_manifest_without_bias(made: Made) -> None:
    planned, _ = made
    details = read_manifest(planned["verify_pass_at_k"].folder)["details"]["pass_at_k"]
    assert list(details) == ["1", "2", "4"]
    assert details["1"]["mean"] == round((0 + 0.75 + 1) / 3, 6)
    assert details["2"]["mean"] == details["4"]["mean"] == round(2 / 3, 6)
    assert details["1"]["prompts"] == 3


def test_the_report_shows_grades_and_pass_at_k(made: Made) -> None:
    page = render("sampled", [stage.folder for stage in made[0].values()])
    assert "Answers graded by math-verify and as text" in page
    table = page[page.index("verify: a right answer among k samples") :]
    assert [f"pass@{k}" in table for k in (1, 2, 4, 8)] == [True, True, True, False]
    assert "0.583" in table


def test_preference_pairs_go_from_the_best_to_the_worst(made: Made) -> None:
    planned, _ = made
    files = sorted((planned["verify"].folder / "pairs").glob("*.jsonl"))
    pairs = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {entry["path"] for entry in outputs(planned["verify"])} >= {f"pairs/{file.name}" for file in files}
    assert {pair["prompt"] for pair in pairs} == {"A middling one."}  # of the others all samples are alike
    kinds = [(pair["chosen_kind"], pair["rejected_kind"]) for pair in pairs]
    assert kinds == [("right_in_form", "wrong")] * 2 + [("right_in_form", "right_only")] * 2 + [("right_only", "wrong")]
    assert pairs[0]["chosen"] == RIGHT.format(5)
    assert pairs[0]["rejected"] == RIGHT.format(6)
    assert pairs[2]["rejected"] == MIXED.format(5)


def test_the_page_keeps_hard_questions_alone_and_asks_nobody_again_for_that(tmp_path: Path) -> None:
    with serve(reply) as server:
        run(page(tmp_path, server.url))
        planned = page(tmp_path, server.url, verify={"max_solve_rate": 0.8})
        run(planned)
        assert sum(server.asked.values()) == 12
    assert {doc["question"] for doc in documents(planned["verify"])} == {"A middling one."}
    details = read_manifest(planned["verify"].folder)["counts"]["details"]["keep_verified"]
    assert details == {"too_easy": 1, "unsolved": 1}


def test_more_samples_ask_for_the_further_ones_alone(tmp_path: Path) -> None:
    with serve(reply) as server:
        for samples in (4, 6):
            planned = page(tmp_path, server.url, samples=samples)
            run({name: planned[name] for name in ("format", "sample")})
        assert sum(server.asked.values()) == 18


def test_questions_below_a_given_difficulty_cost_nothing(tmp_path: Path) -> None:
    rows = [row | {"level": f"Level {number}"} for number, row in enumerate(ROWS, start=3)] + [
        {"q": "Which?", "a": "", "level": "9"}
    ]
    columns = COLUMNS | {"level": "level"}
    spec: dict[str, dict[str, Any]] = {"format": FORMAT | {"keep": ["question", "level"]}}
    with serve(reply) as server:
        endpoint = {"model": "tiny", "base_url": server.url}
        spec["sample"] = {"do": "sample_answers", "endpoint": endpoint, "difficulty": "level", "min_difficulty": 4, "samples": 1}
        planned = record_stages(tmp_path, rows, columns, spec)
        run(planned)
        assert sum(server.asked.values()) == 2
    assert read_manifest(planned["sample"].folder)["counts"]["details"]["sample_answers"] == {"too_easy": 1}


def test_a_weaker_models_summary_of_the_thinking_must_reach_the_same_answer(tmp_path: Path) -> None:
    def summary(body: dict[str, Any]) -> Reply:
        prompt = body["messages"][-1]["content"]
        if "Notes:" not in prompt:
            return reply(body)
        return completion(
            "So \\boxed{4}." if "Way 1" in prompt or "Way 3" in prompt else "Nobody could tell from this: \\boxed{0}"
        )

    with serve(summary) as server:
        endpoint = {"model": "tiny", "base_url": server.url}
        spec: dict[str, dict[str, Any]] = {
            "format": FORMAT,
            "sample": {"do": "sample_answers", "endpoint": endpoint, "samples": 4},
            "verify": {"do": "keep_verified"},
            "summarise": {"do": "check_summaries", "endpoint": {"model": "weak", "base_url": server.url}},
        }
        planned = record_stages(tmp_path, ROWS[:1], COLUMNS, spec)
        run(planned)
    assert ["Way 1" in doc["text"] or "Way 3" in doc["text"] for doc in documents(planned["summarise"])] == [True, True]
    counts = read_manifest(planned["summarise"].folder)["counts"]
    assert counts["details"]["check_summaries"] == {"other_answer": 2}
    assert counts["grades"] == {"correct": 2, "wrong": 2}


def test_a_killed_rank_pays_for_no_sample_twice_and_leaves_the_same_bytes(tmp_path: Path) -> None:
    rows = [{"q": f"An easy one, number {n}.", "a": "4"} for n in range(10)]
    whole, _ = sampled(tmp_path / "whole", rows)

    def slowly(body: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        return reply(body)

    with serve(slowly) as server:
        planned = page(tmp_path / "killed", server.url, rows)
        stage = planned["sample"]
        run({"format": planned["format"]})
        write_stage(stage)
        kill_after(stage, 15)
        run(planned)
        assert 40 <= sum(server.asked.values()) <= 40 + 3  # twice: only what was under way
    assert outputs(planned["sample"]) == outputs(whole["sample"])
    assert outputs(planned["verify"]) == outputs(whole["verify"])


def test_a_real_server_gives_samples(language_model: tuple[str, str], tmp_path: Path) -> None:
    url, model = language_model
    planned = page(tmp_path, url, ROWS[:2], samples=2, max_answer_tokens=8, endpoint={"model": model, "concurrency": 2})
    run(planned)
    samples = [sample for doc in documents(planned["sample"]) for sample in doc["samples"]]
    assert len(samples) == 4
    assert all(0 < sample["tokens"] <= 8 for sample in samples)
    counts = read_manifest(planned["verify"].folder)["counts"]
    assert sum(counts["judged"].values()) == 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"do": "sample_answers", "endpoint": {"model": "m"}, "difficulty": "level"},
            "difficulty and min_difficulty belong together",
        ),
        ({"do": "keep_verified", "min_solve_rate": 0.9, "max_solve_rate": 0.1}, "nothing could be kept"),
        ({"do": "keep_verified", "template": "short_cot", "think_tags": True}, "think_tags is for template long_cot"),
    ],
)
def test_mistakes_on_the_page_are_told_before_anything_is_asked(tmp_path: Path, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_stages(tmp_path, ROWS, COLUMNS, {"format": FORMAT, "stage": spec})


def test_a_question_that_was_not_kept_is_a_mistake_on_the_page(tmp_path: Path) -> None:
    endpoint = {"model": "tiny", "base_url": "http://127.0.0.1:9/v1"}
    spec = {"format": FORMAT | {"keep": []}, "sample": {"do": "sample_answers", "endpoint": endpoint}}
    with pytest.raises(ValueError, match=r"has no question in its metadata; give the format stage `keep: \[question\]`"):
        run(record_stages(tmp_path, ROWS, COLUMNS, spec))
