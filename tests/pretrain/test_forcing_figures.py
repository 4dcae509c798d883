"""Accuracy against tokens spent: what a readiness card measures under each budget."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from thinking_models import byte_level, chain_model, engine

from pretrain.generation.engine import Engine
from pretrain.problems.problem import Problem
from pretrain.readiness import budgets
from recipes.fingerprint import file_hash
from recipes.grading import Grader
from recipes.pass_at_k import wilson
from recipes.schema.readiness import Readiness

EACH = {"short": {"max_tokens": 2}, "long": {"max_tokens": 20, "min_tokens": 5}, "wait": {"max_tokens": 20, "waits": 1}}
CHAIN = {
    " a": [" b"],
    " b": [" c"],
    " c": ["</", " a"],
    "</": ["think"],
    "think": [">\n"],
    ">\n": ["Final"],
    "Final": [" Answer"],
    " Answer": [":"],
    ":": ["8", "7"],
    "7": ["<|end|>"],
    "8": ["<|end|>"],
    "Wait": [" a"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thinks " b c", of one prompt " b c" too, and always answers 8."""
    folder = tmp_path_factory.mktemp("chain")
    tokenizer = byte_level(folder)
    names = budgets.Pieces(tokenizer, frozenset()).all
    ids = {name: names.index(name.encode()) for name in [*CHAIN, "<|end|>"]}
    follows = {number: [ids[" a"]] for number in range(len(tokenizer))}
    follows |= {ids[name]: [ids[following] for following in nexts] for name, nexts in CHAIN.items()}
    return chain_model(folder, tokenizer, follows)


@pytest.fixture
def model(folder: Path) -> Callable[[], Engine]:
    return lambda: engine(folder, batch_size=4)


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


PROBLEMS = [Problem(number, f"p{number}", f"a + b = c {number}", "8" if number < 3 else "7") for number in range(10)]


def asked(**keys: Any) -> Readiness:
    return Readiness.model_validate({"problems": "x.jsonl", "budgets": {"each": EACH, "opening": " a", **keys}})


def test_each_budget_tells_its_accuracy_its_interval_and_what_was_spent(
    model: Callable[[], Engine], grader: Grader, tmp_path: Path
) -> None:
    found = budgets.measure(model, PROBLEMS, asked(), grader, tmp_path)
    assert list(found) == list(EACH)
    for name, thinking, spent in (("short", 2, 10), ("long", 8, 13), ("wait", 9, 14)):
        figures = found[name]
        assert (figures["right"], figures["problems"], figures["accuracy"]) == (3, 10, 0.3)
        assert figures["interval"] == list(wilson(0.3, 10))
        assert (figures["mean_thinking_tokens"], figures["mean_tokens"]) == (thinking, spent), name
        assert figures["budget"] == EACH[name]
        assert (figures["disputed"], figures["no_answer"]) == (0, 0)
    assert [found[name]["ended_by"] for name in EACH] == [{"max_tokens": 10}, {"the model": 10}, {"the model": 10}]
    assert [found[name]["forced"] for name in EACH] == [{"closing": 10}, {}, {"wait": 10}]


def test_every_answer_is_kept_with_what_was_forced_on_it(model: Callable[[], Engine], grader: Grader, tmp_path: Path) -> None:
    budgets.measure(model, PROBLEMS[:3], asked(limit=2), grader, tmp_path)
    rows = pq.read_table(tmp_path / "budgets/wait/00000.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["p0", "p1"]
    assert rows[0]["text"] == " b cWait a b c</think>\nFinal Answer:8"
    assert rows[0]["prompt"].endswith(" a")
    assert rows[0]["forced"] == [{"at": 2, "tokens": 1, "what": "wait"}]
    assert (rows[0]["answer"], rows[0]["is_right"], rows[0]["waits"], rows[0]["finish"]) == ("8", True, 1, "eos")


def test_what_was_asked_is_not_asked_again_and_makes_the_same_files(
    model: Callable[[], Engine], grader: Grader, tmp_path: Path
) -> None:
    def files() -> dict[str, str]:
        return {
            path.relative_to(tmp_path).as_posix(): file_hash(path) for path in (tmp_path / "budgets").rglob("*") if path.is_file()
        }

    first = budgets.measure(model, PROBLEMS, asked(), grader, tmp_path)
    made = files()
    assert sorted(made) == [f"budgets/{name}/00000.parquet" for name in sorted(EACH)]
    (tmp_path / "budgets/wait/00000.parquet").unlink()
    opened = list[int]()

    def again() -> Engine:
        opened.append(1)
        return model()

    assert budgets.measure(again, PROBLEMS, asked(), grader, tmp_path) == first
    assert files() == made
    assert len(opened) == 1
    assert budgets.measure(again, PROBLEMS, asked(), grader, tmp_path) == first
    assert len(opened) == 1


def test_a_budget_that_does_not_fit_into_the_model_is_refused_before_anything_is_asked(
    model: Callable[[], Engine], grader: Grader, tmp_path: Path
) -> None:
    each = {"fits": {"max_tokens": 10}, "huge": {"max_tokens": 200}}
    with pytest.raises(
        ValueError, match=r"budget 'huge' takes up to \d+ tokens, and the longest prompt \d+: the model reads 256"
    ):
        budgets.measure(model, PROBLEMS, asked(each=each), grader, tmp_path)
    assert not (tmp_path / "budgets").exists()
