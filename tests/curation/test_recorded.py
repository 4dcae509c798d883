"""Answers and topics that records bring along are judged and drawn by as if a model had been asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from curation.shards import read_shard
from recipes.manifest import read_manifest
from recipes.schema import LabelTopicStage
from recipes.stage import Stage
from tests.curation.small_page import documents, outputs, record_stages, run

COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a", "samples": "tries", "msc": "msc"}
FORMAT = {"do": "format", "template": "question_answer", "keep": ["question", "samples", "msc"]}
VERIFIED = {"do": "keep_verified", "template": "short_cot"}
RIGHT, WRONG = "Half of it: $\\boxed{4}$.", "Twice: $\\boxed{16}$."


def record(tries: Any, **more: Any) -> dict[str, Any]:
    return {"q": "What is half of eight?", "a": "4", "tries": tries, "msc": "11"} | more


def made(folder: Path, rows: list[dict[str, Any]], name: str, stage: dict[str, Any]) -> tuple[Stage, dict[str, Any]]:
    """The stage behind the format stage, and its counts."""
    folder.mkdir(exist_ok=True)
    planned = record_stages(folder, rows, COLUMNS, {"format": FORMAT, name: stage})
    run(planned)
    counts: dict[str, Any] = read_manifest(planned[name].folder)["counts"]
    return planned[name], counts


def test_recorded_answers_may_be_texts_or_what_sample_answers_leaves(tmp_path: Path) -> None:
    objects = [{"text": RIGHT, "finish": "stop", "tokens": 9}, {"text": WRONG}, {"text": RIGHT + " And", "finish": "length"}]
    stage, counts = made(tmp_path, [record([RIGHT, WRONG]), record(objects)], "verified", VERIFIED)
    docs = documents(stage)
    assert [(doc["question_id"], doc["solve_rate"]) for doc in docs] == [("doc0", 0.5), ("doc1", 0.6667)]
    assert docs[0]["text"] == f"Question: What is half of eight?\nAnswer: {RIGHT}"
    assert counts["judged"] == {"right_in_form": 2, "right_only": 1, "wrong": 2}  # one was cut off behind its answer
    assert counts["solved"] == {"2": {"1": 1}, "3": {"2": 1}}


def test_records_without_answers_or_with_something_else_there_are_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    odd = [None, [], "a text", {"text": RIGHT}, [RIGHT, None], [RIGHT, 7], [{"finish": "stop"}], [{"text": None}]]
    rows = [*map(record, odd), record([RIGHT], a="proof"), record(["", RIGHT, " \n"])]
    stage, counts = made(tmp_path, rows, "verified", VERIFIED)
    assert counts["details"]["keep_verified"] == {"no_samples": len(odd), "no_expected_answer": 1}
    assert [doc["question_id"] for doc in documents(stage)] == [f"doc{len(rows) - 1}"]
    assert counts["judged"] == {"right_in_form": 1, "wrong": 2}  # an empty answer is a wrong one


def test_the_same_recorded_answers_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [record([RIGHT, WRONG, f"{RIGHT} Ünïcode ✓"]), record([WRONG, RIGHT])]
    first, _ = made(tmp_path / "first", rows, "verified", VERIFIED)
    second, _ = made(tmp_path / "second", rows, "verified", VERIFIED)
    assert outputs(first) == outputs(second)


def test_a_page_whose_samples_come_from_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'verified' \(keep_verified\) reads samples, and no stage before it leaves any.*keep: "
    ):
        record_stages(tmp_path, [], COLUMNS, {"format": FORMAT | {"keep": ["question"]}, "verified": VERIFIED})


def test_topics_that_records_have_are_taken_if_the_list_has_them(tmp_path: Path) -> None:
    rows = [record([], msc=msc) for msc in ("11", " 05 ", "99", "", None, ["11"], 11)]
    stage, counts = made(tmp_path, rows, "topics", {"do": "label_topic", "field": "msc"})
    assert [(doc["id"], doc["topic"]) for doc in documents(stage)] == [("doc0", "11"), ("doc1", "05"), ("doc6", "11")]
    assert counts["topics"] == {"11 Number theory": 2, "05 Combinatorics": 1}
    assert counts["dropped"]["topic_missing"]["documents"] == 4
    shard = stage.folder / "dropped" / "topic_missing" / "00000.parquet"
    assert [doc.id for doc in read_shard(shard)] == ["doc2", "doc3", "doc4", "doc5"]
    assert "endpoint" not in json.dumps(stage.params)
    assert "prompt" not in stage.inputs


@pytest.mark.parametrize("given", [{}, {"field": "msc", "endpoint": {"model": "m"}}])
def test_a_topic_comes_from_one_place(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"set either endpoint .* or field"):
        LabelTopicStage(do="label_topic", **given)
