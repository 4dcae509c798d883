"""How questions are put to a base model."""

import json
from pathlib import Path
from typing import get_args

import pytest

from pretrain.generation.prompts import TEMPLATES, Shot, prompt
from recipes.final_answer import EXTRACTORS
from recipes.grading import Grader
from recipes.schema.evaluation import TemplateName

SHOTS = Path(__file__).parents[2] / "pretrain" / "generation" / "shots"
SHOT = Shot("What is 1+1?", "One and one are two.", "2")
EXPECTED = {
    "question_answer": "Question: What is 1+1?\nAnswer: One and one are two.\nFinal answer: 2\n\nQuestion: Why?\nAnswer:",
    "gsm": "Q: What is 1+1?\nA: One and one are two. The answer is 2.\n\n\nQ: Why?\nA:",
    "minerva": "Problem:\nWhat is 1+1?\n\nSolution:\nOne and one are two.\nFinal Answer: The final answer is $2$."
    " I hope it is correct.\n\nProblem:\nWhy?\n\nSolution:",
    "conversation": "User:What is 1+1?\nAssistant:One and one are two.\nFinal answer: 2\nUser:Why?\nAssistant:",
    "simple": "Question:What is 1+1?\nAnswer:One and one are two.\nFinal answer: 2\n\nQuestion:Why?\nAnswer:",
}


def test_pages_know_every_template_by_its_name() -> None:
    assert set(TEMPLATES) == set(get_args(TemplateName))


@pytest.mark.parametrize("template", EXPECTED)
def test_worked_examples_stand_before_a_question(template: str) -> None:
    assert prompt(template, " Why?\n", [SHOT]) == EXPECTED[template]


def test_choices_are_named_by_letters() -> None:
    shot = Shot("1+1?", "It is 2.", "B", ("1", "2"))
    assert prompt("choices", "2+2?", [shot], ("4", "5")) == (
        "Problem:\n1+1?\nWhat of the following is the right choice? Explain your answer.\n(A) 1, (B) 2\nSolution:\nIt is 2.\n"
        "Final Answer: The final answer is (B). I hope it is correct.\n\nProblem:\n2+2?\n"
        "What of the following is the right choice? Explain your answer.\n(A) 4, (B) 5\nSolution:"
    )
    assert prompt("letters", "2+2?", [shot], ("4", "5")) == "1+1?\nA. 1\nB. 2\nAnswer: B\n\n2+2?\nA. 4\nB. 5\nAnswer:"


def test_the_template_of_open_reasoner_zero_asks_for_a_box() -> None:
    told = prompt("orz", "What is $x$?")
    assert told.startswith("A conversation between User and Assistant. The user asks a question, and the Assistant solves it.")
    assert told.endswith("extracted automatically by the \\boxed{} tag.\nWhat is $x$?\nAssistant:")
    assert TEMPLATES["orz"].stop == ("User:", "Assistant:")


@pytest.mark.parametrize("template", TEMPLATES)
def test_braces_of_a_question_are_no_fields_and_no_prompt_ends_in_a_space(template: str) -> None:
    question = "Find {answer} in $\\frac{1}{2}$ {question} {solution} {choices}"
    told = prompt(template, question, [SHOT], ())
    assert told.count(question) == 1
    assert not told.endswith(" ")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_model_that_copies_an_example_is_stopped_before_a_question_of_its_own(template: str) -> None:
    """What stands between an example's answer and the next question holds a stop string, where the template has any."""
    alone, behind = prompt(template, "Why?"), prompt(template, "Why?", [SHOT])
    between = behind.removesuffix(alone).rpartition(SHOT.answer)[2] + alone
    assert not TEMPLATES[template].stop or any(stop in between for stop in TEMPLATES[template].stop)


@pytest.mark.parametrize(
    ("name", "template", "extract"),
    [("word_problems", "gsm", "last_number"), ("competition", "minerva", "final_answer"), ("courses", "courses", "final_answer")],
)
def test_the_shipped_examples_are_graded_right(name: str, template: str, extract: str) -> None:
    rows = [json.loads(line) for line in (SHOTS / f"{name}.jsonl").read_text().splitlines()]
    assert len(rows) == {"word_problems": 8}.get(name, 4)
    with Grader() as grader:
        for row in rows:
            told = prompt(template, "Why?", [Shot(row["question"], row["solution"], row["answer"])])
            grade = grader.grade(told.partition(prompt(template, "Why?"))[0], row["answer"], EXTRACTORS[extract])
            assert (grade.is_correct, grade.by_text) == (True, True), row


def test_the_shipped_choices_are_named_by_their_letter() -> None:
    for line in (SHOTS / "choices.jsonl").read_text().splitlines():
        row = json.loads(line)
        told = prompt("choices", "Why?", [Shot(row["question"], row["solution"], row["answer"], tuple(row["choices"]))])
        assert EXTRACTORS["letter"](told.partition("Solution:")[2].partition("\n\nProblem:")[0]) == row["answer"]
