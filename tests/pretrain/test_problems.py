"""Problems read as benchmarks are, whoever asks for them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from pretrain.evaluate.items import read_items
from pretrain.problems.problem import Problem, read_problems
from recipes.schema.evaluation import Benchmark

ROWS = [{"id": "p/1", "question": " 3 + 9? ", "answer": 12.0}, {"id": None, "question": "Ω?", "answer": 0.5}]


def written(folder: Path, rows: list[dict[str, Any]], suffix: str) -> Path:
    file = folder / f"problems{suffix}"
    if suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_whole_number_has_no_point_and_a_problem_keeps_its_id_in_every_format(tmp_path: Path, suffix: str) -> None:
    file = written(tmp_path, ROWS, suffix)
    expected = [Problem(0, "p/1", "3 + 9?", "12"), Problem(1, "2", "Ω?", "0.5")]
    assert read_problems(file, question="question", answer="answer") == expected
    items = read_items(str(file), Benchmark.model_validate({"path": str(file)}), seed=0)
    assert [(item.question, item.answer) for item in items] == [(one.question, one.answer) for one in expected]


def test_a_list_of_answers_is_one_text(tmp_path: Path) -> None:
    file = written(tmp_path, [{"question": "roots?", "answer": [1.0, "-1"]}], ".parquet.jsonl")
    (problem,) = read_problems(file, question="question", answer="answer")
    assert problem.answer == "1, -1"


@pytest.mark.parametrize("answer", ["\ud800", "", None, True, float("nan"), float("inf"), {}, []])
def test_what_is_no_text_is_refused_by_row_and_column(tmp_path: Path, answer: Any) -> None:
    file = written(tmp_path, [{"question": "1?", "answer": "1"}, {"question": "2?", "answer": answer}], ".jsonl")
    with pytest.raises(ValueError, match=r"problems\.jsonl, row 2, column 'answer': .* is no text; take the row out"):
        read_problems(file, question="question", answer="answer")


def test_questions_alone_need_no_answer_and_half_a_character_in_an_id_is_replaced(tmp_path: Path) -> None:
    file = written(tmp_path, [{"id": "a\ud800", "question": "1?"}], ".jsonl")
    assert read_problems(file, question="question", answer=None) == [Problem(0, "a?", "1?")]
