"""Benchmarks' files, however they are written, become items; what cannot be read is told by file, row and column."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from pretrain.evaluate.choices import read_choices
from pretrain.evaluate.items import read_items, read_shots
from recipes.load import load
from recipes.schema import ProveRecipe
from recipes.schema.evaluation import Benchmark, Shots

LETTERS = {"choices": "options", "answer_as": "letter"}
NUMBERS = {  # octothinker.md of the paper's evaluation: items of each benchmark
    "gsm8k": 1319,
    "svamp": 1000,
    "asdiv": 2215,
    "mawps": 2065,
    "math": 5000,
    "math500": 500,
    "olympiadbench": 675,
    "minerva_ocw": 272,
    "amc23": 40,
    "sat_math": 32,
    "mathqa": 1000,
    "mmlu_stem": 3018,
}


def written(folder: Path, *rows: Any, name: str = "items.jsonl") -> str:
    file = folder / name
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(file)


def benchmark(**keys: Any) -> Benchmark:
    return Benchmark.model_validate({"path": "items.jsonl", **keys})


def test_numbers_are_text_and_parts_of_a_question_are_joined(tmp_path: Path) -> None:
    file = written(
        tmp_path, {"Body": "Two pears.", "Question": "How many?", "Answer": 2.0}, {"Body": "é", "Question": "?", "Answer": [1, 2]}
    )
    items = read_items(file, benchmark(columns={"question": ["Body", "Question"], "answer": "Answer"}), seed=0)
    assert [(item.question, item.answer) for item in items] == [("Two pears. How many?", "2"), ("é ?", "1, 2")]


@pytest.mark.parametrize(
    ("answer", "answer_as", "read"),
    [
        ("It is 3.\n#### 18", "final_answer", "18"),
        ("so $x=\\boxed{\\frac{1}{2}}$.", "boxed", "\\frac{1}{2}"),
        ("9 (apples)", "without_unit", "9"),
        ("about 12 of 30", "last_number", "30"),
        (" $p^2$ ", "whole", "$p^2$"),
    ],
)
def test_the_right_answer_is_taken_out_of_its_column(tmp_path: Path, answer: str, answer_as: str, read: str) -> None:
    file = written(tmp_path, {"question": "?", "answer": answer}, name="items.jsonl.gz")
    (item,) = read_items(file, benchmark(columns={"answer_as": answer_as}), seed=0)
    assert item.answer == read


@pytest.mark.parametrize(
    "value",
    [
        ["12", "16", "18"],
        {"A": "12", "B": "16", "C": "18"},
        {"text": ["12", "16", "18"], "label": ["A", "B", "C"]},
        "a ) 12 , b ) 16 , c ) 18",
        "A) 12 B) 16 C) 18",
        "['a ) 12', 'b ) 16', 'c ) 18']",
        "a ) a ) 12 , b ) b ) 16 , c ) c ) 18",
    ],
)
def test_choices_are_read_however_a_file_writes_them(value: Any) -> None:
    assert read_choices(value) == (["A", "B", "C"], ["12", "16", "18"])


@pytest.mark.parametrize(("right", "letter"), [("b", "B"), ("(B)", "B"), (1, "B"), ("1", "B")])
def test_a_right_choice_is_a_letter_or_a_number_from_0(tmp_path: Path, right: Any, letter: str) -> None:
    file = written(tmp_path, {"question": "?", "options": ["x", "y"], "answer": right})
    (item,) = read_items(file, benchmark(columns=LETTERS, grade="letter"), seed=0)
    assert (item.answer, item.choices) == (letter, ("x", "y"))


def test_labels_that_are_numbers_are_labels(tmp_path: Path) -> None:
    """ARC has items whose choices are called 1 to 4."""
    file = written(tmp_path, {"question": "?", "options": {"text": ["x", "y"], "label": ["1", "2"]}, "answer": "1"})
    (item,) = read_items(file, benchmark(columns=LETTERS, grade="letter"), seed=0)
    assert item.answer == "A"


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        ([], {}, "is empty: it has no row"),
        (["\n"], {}, "is empty: it has no row"),
        (["{not json"], {}, "items.jsonl, line 1 is not JSON"),
        (["[1]"], {}, "line 1 is a list, not an object of columns"),
        (
            [{"question": "?", "answer": "1"}, {"problem": "?", "answer": "1"}],
            {},
            "items.jsonl, row 2 has no column 'question'; it has answer, problem",
        ),
        (
            ['{"question": "\\ud800?", "answer": "1"}'],
            {},
            "row 1, column 'question': '\\ud800?' is no text",
        ),
        ([{"question": "?", "answer": None}], {}, "row 1, column 'answer': None is no text"),
        (['{"question": "?", "options": ["\\ud800", "x"], "answer": "A"}'], LETTERS, "row 1, column 'options'"),
        (['{"question": "?", "answer": NaN}'], {}, "row 1, column 'answer': nan is no text"),
        ([{"question": " ", "answer": "1"}], {}, "row 1, column 'question': ' ' is no text"),
        (
            [{"question": "?", "answer": "nothing"}],
            {"answer_as": "boxed"},
            "'nothing' is not an answer that can be read with answer_as: boxed",
        ),
        ([{"question": "?", "answer": "E", "options": ["x", "y"]}], LETTERS, "'E' is not one of the choices A, B"),
        ([{"question": "?", "answer": "A", "options": "none"}], LETTERS, "column 'options': 'none' holds no 2 to 10 choices"),
    ],
)
def test_what_cannot_be_an_item_is_told(tmp_path: Path, rows: list[Any], columns: dict[str, Any], told: str) -> None:
    grade = "letter" if "choices" in columns else "math"
    with pytest.raises(ValueError, match=re.escape(told)):
        read_items(written(tmp_path, *rows), benchmark(columns=columns, grade=grade), seed=0)


def test_a_file_that_is_cut_off_or_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"question": "?"}\n' * 100)[:-20])
    with pytest.raises(ValueError, match="cannot be read"):
        read_items(str(file), benchmark(), seed=0)
    (tmp_path / "items.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="cannot be read"):
        read_items(str(tmp_path / "items.parquet"), benchmark(), seed=0)
    with pytest.raises(ValueError, match="no file matches"):
        read_items(str(tmp_path / "other.jsonl"), benchmark(), seed=0)


def test_parquet_is_read_by_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    table = arrow.table({"ctx": ["one", "two"], "endings": [["a", "b"], ["c", "d"]], "label": ["0", "1"], "more": [1, 2]})
    parquet.write_table(table, tmp_path / "items.parquet")
    asked = benchmark(
        columns={"question": "ctx", "answer": "label", "choices": "endings", "answer_as": "letter"}, grade="log_likelihood"
    )
    items = read_items(str(tmp_path / "items.parquet"), asked, seed=0)
    assert [(item.question, item.answer, item.choices) for item in items] == [("one", "A", ("a", "b")), ("two", "B", ("c", "d"))]
    with pytest.raises(ValueError, match=r"items.parquet has no column 'question'; it has ctx, endings, label, more"):
        read_items(str(tmp_path / "items.parquet"), benchmark(), seed=0)


def test_a_limit_draws_items_by_the_seed_in_the_files_order(tmp_path: Path) -> None:
    file = written(tmp_path, *({"question": f"q{number}", "answer": "1"} for number in range(50)))
    first = [item.number for item in read_items(file, benchmark(limit=10), seed=1)]
    assert first == [item.number for item in read_items(file, benchmark(limit=10), seed=1)] == sorted(set(first))
    assert first != [item.number for item in read_items(file, benchmark(limit=10), seed=2)]
    assert len(read_items(file, benchmark(limit=99), seed=1)) == 50


def test_shots_are_the_first_that_are_short_enough_with_their_notes_taken_away(tmp_path: Path) -> None:
    rows = [{"question": "x" * 300, "answer": "#### 1"}]
    rows += [{"question": f"q{number}", "answer": f"It is <<{number}={number}>>{number}.\n#### {number}"} for number in range(4)]
    columns = {"solution": "answer", "answer_as": "final_answer"}
    shots = Shots.model_validate({"path": "x", "number": 2, "columns": columns, "max_chars": 100})
    found = read_shots(written(tmp_path, *rows), shots, seed=0)
    assert [(shot.question, shot.solution, shot.answer) for shot in found] == [(f"q{n}", f"It is {n}.", f"{n}") for n in range(3)]
    with pytest.raises(ValueError, match="has 4 different worked examples of at most 100 characters, and 8 are asked for"):
        read_shots(written(tmp_path, *rows), shots.model_copy(update={"number": 8}), seed=0)


def test_the_papers_benchmarks_are_all_read_by_their_page(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_BENCHMARKS", str(shared_data / "benchmarks"))
    recipe = load("prove/octothinker", ["evaluation=octothinker_base"])
    assert isinstance(recipe, ProveRecipe)
    assert recipe.evaluation is not None
    asked = recipe.evaluation
    found = {name: read_items(asked.place(one.path), one, seed=0) for name, one in asked.benchmarks.items()}
    assert {name: len(items) for name, items in found.items()} == NUMBERS
    assert all(len(item.choices) == 5 for item in found["mathqa"])
    assert all(len(item.choices) == 4 for name in ("sat_math", "mmlu_stem") for item in found[name])


def test_examples_are_taken_from_a_train_split(shared_data: Path) -> None:
    columns = {"solution": "answer", "answer_as": "final_answer"}
    shots = Shots.model_validate({"path": "x", "columns": columns, "seed": 4})
    found = read_shots(str(shared_data / "cot" / "gsm8k_train.jsonl.gz"), shots, seed=1)
    assert len(found) == 9
    assert not any("<<" in shot.solution or "####" in shot.solution for shot in found)
    assert all(shot.answer.replace(",", "").lstrip("-").isdecimal() for shot in found)


def test_a_dataset_of_the_hub_is_read_from_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "datasets--me--sums"
    written(_made(cached / "snapshots" / commit / "data"), {"question": "?", "answer": "1"})
    (_made(cached / "refs") / "main").write_text(commit)
    for place in ("me/sums", f"me/sums@{commit}"):
        (item,) = read_items(f"hf://datasets/{place}/data/items.jsonl", benchmark(), seed=0)
        assert item.answer == "1"
    with pytest.raises(ValueError, match="get it with: hf download --repo-type dataset me/sums data/other"):
        read_items("hf://datasets/me/sums/data/other.jsonl", benchmark(), seed=0)
    with pytest.raises(ValueError, match="names no file of a dataset"):
        read_items("hf://datasets/me/sums", benchmark(), seed=0)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
