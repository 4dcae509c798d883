"""Answers of records are graded by two graders, and wrong ones go, each with its reason on record."""

from pathlib import Path
from typing import Any

import pytest

from recipes.manifest import read_manifest
from tests.curation.small_page import documents, outputs, record_stages, run

COLUMNS = {"id": "id", "question": "problem", "solution": "solution", "answer": "answer"}
ENDLESS = "9^{9^{9^{9}}}"
RECORDS = {
    "right": (r"So \boxed{\frac{1}{2}}.", "0.5"),
    "right_mathematics": (r"So \boxed{1+2x}.", "2x+1"),  # for math-verify alone
    "right_units": (r"So \boxed{50\%}.", "50"),  # as text alone
    "wrong": ("The answer is 7.", "8"),
    "silent": ("Nobody knows.", "8"),
    "endless": (rf"So \boxed{{{ENDLESS}}}.", "8"),
    "proof": ("It is clear.", "proof"),
}


def checked(folder: Path, **params: Any) -> tuple[list[str], dict[str, Any]]:
    rows = [{"problem": name, "solution": solution, "answer": answer} for name, (solution, answer) in RECORDS.items()]
    spec = {
        "format": {"do": "format", "template": "short_cot"},
        "check": {"do": "check_answers", "seconds": 0.3} | params,
    }
    planned = record_stages(folder, rows, COLUMNS, spec)
    run(planned)
    names = [doc["text"].split("\n")[0].removeprefix("Question: ") for doc in documents(planned["check"])]
    return names, read_manifest(planned["check"].folder)


def test_wrong_answers_are_dropped_and_every_grade_is_counted(tmp_path: Path) -> None:
    names, manifest = checked(tmp_path)
    assert names == ["right", "right_mathematics", "proof"]
    counts = manifest["counts"]
    assert counts["grades"] == {
        "correct": 2,
        "disputed": {"only_math_verify": 1, "only_text": 1},
        "no_expected_answer": 1,
        "trouble": {"no_answer": 1, "timeout": 1},
        "wrong": 4,
    }
    assert (counts["accepted"], counts["not_accepted"]) == (2, 4)
    assert counts["details"]["check_answers"] == {"no_answer": 1, "timeout": 1, "wrong": 2}
    assert manifest["examples"]["grades/timeout"][0]["stated"] == ENDLESS
    assert {row["expected"] for row in manifest["examples"]["grades/disputed"]} == {"2x+1", "50"}


@pytest.mark.parametrize(
    ("accept", "kept"),
    [
        ("text", ["right", "right_units", "proof"]),
        ("either", ["right", "right_mathematics", "right_units", "proof"]),
        ("both", ["right", "proof"]),
    ],
)
def test_the_page_says_whose_word_counts(tmp_path: Path, accept: str, kept: list[str]) -> None:
    assert checked(tmp_path, accept=accept)[0] == kept


def test_the_page_may_keep_wrong_answers_and_drop_what_cannot_be_checked(tmp_path: Path) -> None:
    names, manifest = checked(tmp_path, on_wrong="keep", on_no_answer="drop")
    assert names == [name for name in RECORDS if name != "proof"]
    assert manifest["counts"]["details"]["check_answers"] == {"no_expected_answer": 1}
    assert manifest["counts"]["not_accepted"] == 4


def test_grades_are_the_same_a_second_time(tmp_path: Path) -> None:
    rows = [{"problem": name, "solution": solution, "answer": answer} for name, (solution, answer) in RECORDS.items()]
    spec = {"format": {"do": "format", "template": "short_cot"}, "check": {"do": "check_answers", "seconds": 0.3}}
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        planned = record_stages(tmp_path / name, rows, COLUMNS, spec)
        run(planned)
        made.append(outputs(planned["check"]))
    assert made[0] == made[1]
