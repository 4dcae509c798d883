"""Labels by a language model: what counts as a score, what is asked again, what train_classifier gets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.language_model.label import cut, read_score
from curation.language_model.prompt import SHIPPED, fill, find_prompt, read_prompt
from recipes.manifest import read_manifest
from recipes.stage import Stage
from tests.chat_server import ChatServer, Reply, completion, serve
from tests.curation.small_page import outputs, run, stages

TEXTS = [f"Theorem {n}. The sum of the first {n} odd numbers is ${n}^2$." for n in range(12)]


def grade(body: dict[str, Any]) -> Reply:
    """The number of the text, modulo 6; the seventh is never graded, the eighth only by the second seed."""
    number = int(re.findall(r"Theorem (\d+)", body["messages"][-1]["content"])[0])
    if number == 7 or (number == 8 and body["seed"] == 1):
        return completion("This is a fine text, 5 points!")
    return completion(f"It has mathematics.\nScore: {number % 6}")


@pytest.fixture
def grader() -> Iterator[ChatServer]:
    with serve(grade) as server:
        yield server


def page(folder: Path, url: str, *, shards: int = 1, endpoint: dict[str, Any] | None = None, **label: Any) -> dict[str, Stage]:
    given = {"model": "tiny", "base_url": url, "concurrency": 4, "pause_seconds": 0.01} | (endpoint or {})
    return stages(folder, TEXTS, {"labels": {"do": "label", "endpoint": given} | label}, shards=shards)


def examples(planned: dict[str, Stage]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (planned["labels"].folder / "examples.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Some reasons.\nScore: 3", 3),
        ("Score: 0", 0),
        ("Reasons.\n\n**Score: 5**\n", 5),
        ("Score: 4/5.", 4),
        ("Score: 4\nScore: 4", 4),
        ("", None),
        ("Score: 6", None),
        ("Score: 3.5", None),
        ("Score: 35", None),
        ("Score: -1", None),
        ("Score: three", None),
        ("Score: N", None),
        ("I give it a Score: 3", None),
        ("Score: 3\nI hope that this helps.", None),
        ("Score: 2\nOn second thought:\nScore: 4", None),
        ("3", None),
    ],
)
def test_a_score_is_read_only_where_the_prompt_asks_for_it(answer: str, score: int | None) -> None:
    assert read_score(answer) == (score if answer != "Score: -1" else None)


def test_long_texts_are_cut_at_a_paragraph() -> None:
    text = "First.\n\nSecond line\nthird line.\n\nFourth."
    assert cut(text, 1000) == text
    assert cut(text, 35) == "First.\n\nSecond line\nthird line."
    assert cut(text, 20) == "First.\n\nSecond line"
    assert cut(text, 10) == "First."
    assert cut("one two three", 9) == "one two"
    assert cut("One line\nanother line", 12) == "One line"
    assert cut("x" * 20, 9) == "x" * 9


def test_examples_hold_text_score_and_label(grader: ChatServer, tmp_path: Path) -> None:
    planned = page(tmp_path, grader.url)
    run(planned)
    rows = examples(planned)
    assert [row["id"] for row in rows] == [f"doc{n}" for n in range(12) if n != 7]
    assert [row["score"] for row in rows] == [n % 6 for n in range(12) if n != 7]
    assert {(row["score"], row["label"]) for row in rows} == {(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)}
    assert rows[0] == {
        "text": TEXTS[0], "score": 0, "label": 0, "id": "doc0", "url": "http://x/0", "source": "texts",
    }  # fmt: skip
    counts = read_manifest(planned["labels"].folder)["counts"]
    assert counts == {
        "examples": {"negative": 5, "positive": 6},
        "label_scores": {"0": 2, "1": 1, "2": 2, "3": 2, "4": 2, "5": 2},
    }  # fmt: skip


def test_the_model_sees_the_prompt_with_the_cut_text_and_that_is_the_example(grader: ChatServer, tmp_path: Path) -> None:
    planned = page(tmp_path, grader.url, max_chars=11)
    run(planned)
    assert examples(planned)[3]["text"] == "Theorem 3."
    sent = {body["messages"][0]["content"] for body in grader.bodies}
    assert fill((SHIPPED / "mathematics_value.txt").read_text(), "Theorem 3.") in sent


def test_an_answer_without_a_score_is_asked_for_again_and_then_counted(grader: ChatServer, tmp_path: Path) -> None:
    planned = page(tmp_path, grader.url, attempts=2)
    run(planned)
    manifest = read_manifest(planned["labels_scores"].folder)
    assert manifest["counts"]["dropped"]["label_missing"]["documents"] == 1
    assert manifest["counts"]["details"]["label_missing"] == {"no score in the answer": 1}
    assert manifest["examples"]["label_missing"][0]["answer"] == "This is a fine text, 5 points!"
    assert sorted(grader.asked.values()) == [1] * 10 + [2, 2]


def test_another_threshold_asks_nobody(grader: ChatServer, tmp_path: Path) -> None:
    run(page(tmp_path, grader.url))
    asked = sum(grader.asked.values())
    planned = page(tmp_path, grader.url, min_score=5)
    assert planned["labels_scores"].is_finished
    assert not planned["labels"].is_finished
    run(planned)
    assert sum(grader.asked.values()) == asked
    assert sum(row["label"] for row in examples(planned)) == 2


def test_another_address_is_the_same_stage_but_another_model_or_prompt_is_not(tmp_path: Path) -> None:
    prompt = tmp_path / "own.txt"
    prompt.write_text("Grade: {text}")
    first = page(tmp_path, "http://one/v1")["labels_scores"]
    moved = page(
        tmp_path, "http://two/v1", endpoint={"concurrency": 9, "key_variable": "KEY", "input_price": 1.0, "max_cost": 2.0}
    )
    assert moved["labels_scores"].fingerprint == first.fingerprint
    others = [
        page(tmp_path, "http://one/v1", endpoint={"model": "huge"}),
        page(tmp_path, "http://one/v1", endpoint={"extra_body": {"top_k": 5}}),
        page(tmp_path, "http://one/v1", prompt=str(prompt)),
    ]
    assert len({first.fingerprint, *(other["labels_scores"].fingerprint for other in others)}) == 4


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    scores = iter(range(1000))
    with serve(lambda _: completion(f"Score: {next(scores) % 6}")) as fickle:
        planned = page(tmp_path, fickle.url, shards=2)
        run(planned)
        first = {name: outputs(stage) for name, stage in planned.items()}
        for stage in planned.values():
            (stage.folder / "manifest.json").unlink()
            for rank in (stage.folder / "logs" / "ranks").iterdir():
                rank.unlink()
        run(planned)
        assert sum(fickle.asked.values()) == 12
    assert {name: outputs(stage) for name, stage in planned.items()} == first


def test_no_score_at_all_is_an_error(tmp_path: Path) -> None:
    with serve(lambda _: completion("I cannot grade this.")) as server:
        planned = page(tmp_path, server.url, attempts=1)
        with pytest.raises(ValueError, match="no document has a score: look at dropped/label_missing"):
            run(planned)
    assert not (planned["labels"].folder / "examples.jsonl").exists()


def test_a_label_stage_passes_no_documents_on_and_feeds_the_classifier(tmp_path: Path) -> None:
    spec: dict[str, Any] = {
        "labels": {"do": "label", "endpoint": {"model": "tiny"}},
        "classifier": {"do": "train_classifier", "examples": "labels"},
        "dedup": {"do": "dedup"},
    }
    planned = stages(tmp_path, TEXTS, spec)
    assert planned["classifier"].input("examples") == str(planned["labels"].folder / "examples.jsonl")
    assert planned["labels_scores"].inputs["documents"].stage == str(planned["read"].folder)
    assert planned["dedup"].inputs["documents"].stage == str(planned["read"].folder)


def test_shipped_prompts_have_one_place_for_the_text() -> None:
    assert {"mathematics_value", "rewrite_mathematics"} <= {file.stem for file in SHIPPED.glob("*.txt")}
    for file in SHIPPED.glob("*.txt"):
        prompt = read_prompt(Path(find_prompt(file.stem)))
        assert fill(prompt, "a {b} {text} \\frac{1}{2}").count("a {b} {text} \\frac{1}{2}") == 1


def test_wrong_prompts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no prompt 'nowhere'.*shipped prompt \(.*mathematics_value, .*rewrite_mathematics"):
        read_prompt(Path(find_prompt("nowhere")))
    (tmp_path / "bad.txt").write_text("Grade this.")
    with pytest.raises(ValueError, match=r"\{text\} stands in it 0 times; write it once"):
        read_prompt(tmp_path / "bad.txt")
    with pytest.raises(ValueError, match=r"bad.txt: \{text\} stands in it 0 times"):
        page(tmp_path, "http://x/v1", prompt=str(tmp_path / "bad.txt"))


def test_a_real_server_labels_documents(language_model: tuple[str, str], tmp_path: Path) -> None:
    url, model = language_model
    prompt = tmp_path / "short.txt"
    prompt.write_text("{text}\n grade")
    label = {"do": "label", "endpoint": {"model": model, "base_url": url, "concurrency": 2}, "prompt": str(prompt)}
    planned = stages(tmp_path, TEXTS[:3], {"labels": label | {"max_answer_tokens": 20}})
    run(planned)
    assert [(row["score"], row["label"]) for row in examples(planned)] == [(4, 1)] * 3
    counts = read_manifest(planned["labels_scores"].folder)["counts"]["language_model"]
    assert counts["answered_by_server"] == 3
    assert 0 < counts["output_tokens"] <= 60
