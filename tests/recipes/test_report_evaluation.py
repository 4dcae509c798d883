"""What a report says of evaluations: every score with its interval, what was forgotten, and that scores choose no branch."""

from pathlib import Path
from typing import Any

import pytest
from report_files import HOSTILE
from report_page import Page

from recipes.pass_at_k import wilson
from recipes.report.evaluation import read_evaluation
from recipes.report.proven import colours_of
from recipes.report.record import Record
from recipes.report.sheet import environment
from recipes.score_interval import mean_of


def score(right: int, items: int, **keys: Any) -> dict[str, Any]:
    low, high = wilson(right / items, items)
    told = {"kind": "mathematics", "grade": "math", "template": "gsm", "shots": 8, "items": items, "mean": right / items}
    written = {"tokens": 99.5, "truncated": 0.25, "ended": 0.5, "stopped": 0.25, "no_answer": 0.1, "too_long": 0.0, "disputed": 3}
    return {**told, **written, "low": low, "high": high, **keys}


def general(right: int, items: int) -> dict[str, Any]:
    told = score(right, items, kind="general", grade="log_likelihood", template="letters")
    del told["tokens"]
    return told


def record(name: str, **scores: Any) -> Record:
    means = {}
    for kind in {entry["kind"] for entry in scores.values()}:
        of_kind = [(one["mean"], one["low"], one["high"]) for one in scores.values() if one["kind"] == kind]
        means[kind] = dict(zip(("mean", "low", "high"), mean_of(of_kind), strict=True))
    manifest = {"page": "prove/it", "stage": f"evaluate_{name}", "do": "evaluate", "details": {"scores": scores, "means": means}}
    return Record(Path(name), manifest)


def page_of(*records: Record) -> Page:
    text = '{% import "parts.html.j2" as parts with context %}{% include "evaluation.html.j2" %}'
    page = Page(environment().from_string(text).render(evaluation=read_evaluation(records, colours_of(records)), max_rows=60))
    assert page.faults == []
    return page


@pytest.fixture
def page() -> Page:
    base = record("base", gsm8k=score(400, 1319), amc23=score(1, 40), mmlu=general(7000, 14042))
    long = record("long", gsm8k=score(740, 1319), amc23=score(3, 40), mmlu=general(6500, 14042))
    return page_of(base, long)


def test_every_score_stands_with_its_interval_beside_those_of_other_checkpoints(page: Page) -> None:
    [row] = page.find_rows("gsm8k 8-shot gsm, math")
    assert row[1] == "1,319"
    assert row[2].startswith("30.3 %")
    assert row[3].split() == ["56.1", "%", "53.4", "%", "to", "58.8", "%"]
    [row] = page.find_rows("amc23 8-shot gsm, math")
    assert row[3].split() == ["7.5", "%", "2.6", "%", "to", "19.9", "%"]


def test_a_mean_over_benchmarks_counts_each_the_same(page: Page) -> None:
    of_scores, of_changes = page.find_rows("mean of mathematics")
    assert of_scores[3].startswith("31.8 %")
    assert of_changes[1].startswith("+15.4 better")


def test_what_was_forgotten_is_told_with_its_interval(page: Page) -> None:
    [change] = page.find_rows("mmlu")
    assert change[1].split() == ["-3.6", "worse", "-4.7", "to", "-2.4"]


def test_base_scores_are_said_to_choose_no_branch(page: Page) -> None:
    assert any("These scores choose no branch" in text for text in page.texts)
    alone = page_of(record("base", gsm8k=score(400, 1319)))
    assert not any("choose no branch" in text or "Against" in text for text in alone.texts)


def test_how_answers_ended_is_told_where_answers_were_written(page: Page) -> None:
    rows = [row for row in page.find_rows("long") if len(row) == 9]
    assert rows[0] == ["long", "gsm8k", "99.5", "25.0 %", "50.0 %", "25.0 %", "10.0 %", "0.0 %", "3"]
    assert [row[1] for row in rows] == ["gsm8k", "amc23"]


def test_a_checkpoint_that_was_not_asked_has_a_dash() -> None:
    page = page_of(record("base", gsm8k=score(400, 1319)), record("long", gsm8k=score(700, 1319), mmlu=general(1, 2)))
    assert page.find_rows("mmlu 8-shot letters, log likelihood")[0][2] == "–"
    assert page.find_rows("mmlu")[0][1] == "–"


def test_odd_manifests_break_no_report() -> None:
    scores: Any = {HOSTILE: {"mean": "high", "kind": 3, "items": [HOSTILE]}, "empty": {}, "none": None}
    odd = Record(Path("x"), {"stage": f"evaluate_{HOSTILE}", "do": "evaluate", "details": {"scores": scores}})
    bare = Record(Path("y"), {"stage": "evaluate_y", "do": "evaluate"})
    page = page_of(odd, bare)
    assert not any(tag in ("script", "img") for tag, _ in page.elements)
    assert read_evaluation([], {}) is None
