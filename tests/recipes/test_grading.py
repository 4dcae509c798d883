"""Final answers of texts, and two graders of which one runs in a process that can be ended."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.final_answer import boxed, final_answer, last_number, letter, same_by_text, stated
from recipes.grading import Grade, Grader

ENDLESS = "9^{9^{9^{9}}}"


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as opened:
        yield opened


# ---------------------------------------------------------------------------------------------------- final answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{\frac{1}{2}} or rather $\boxed{\{1, 2\}}$. The answer is 7.", r"\{1, 2\}"),
        (r"It is \boxed 7, as 8 was not.", "7"),
        (r"Cut off: \boxed{\frac{1}{2", "2"),
        ("The answer is 12.\nWait. The final answer is $x + 1$. I hope it is correct.", "x + 1"),
        ("Final answer: 3.5 kg.", "3.5 kg"),
        ("Final answer: 3,250", "3,250"),
        ("**Answer:** 42", "42"),
        ("First 16 - 3 = <<16-3=13>>13.\n#### 1,013", "1,013"),
        ("She has 26 eggs and sells 1,300 of 2,000.", "2000"),
        ("No figure stands here.", ""),
    ],
)
def test_the_final_answer_is_the_box_else_what_is_called_so_else_the_last_number(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_each_way_to_find_an_answer_stands_alone() -> None:
    text = r"The answer is (B). It is \boxed{4}, of 5 choices."
    assert (boxed(text), stated(text), last_number(text), letter(text)) == ("4", "(B)", "5", "B")
    assert (boxed("4"), stated("4"), last_number("four"), letter("four")) == ("", "", "", "")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("So the answer is C.", "C"),
        ("I choose (D) over (A)... no, (B)", "B"),
        (r"The answer is $\text{(E)}$", "E"),
        ("A cat.", "A"),
    ],
)
def test_a_letter_is_the_named_one_else_the_last_that_stands_alone(text: str, choice: str) -> None:
    assert letter(text) == choice


# ---------------------------------------------------------------------------------------------------- graders

SAME = [
    (r"\dfrac12", r"\frac{1}{2}"), ("0.5", r"\frac{1}{2}"), (r"12\frac{3}{5}", "12.6"), ("1,000", "1000"), ("10{,}000", "10000"),
    (r"\{1, 2\}", "2,1"), ("(1, -2)", "(1,-2)"), ("x=5", "5"), (r"5\text{ cm}", "5"), (r"90^\circ", "90"),
    (r"\text{Evelyn}", "Evelyn"), ("-3.0", "-3"), (r"-\frac{40}{153}", r"\frac{-40}{153}"),
]  # fmt: skip
OTHER = [("(1,2)", "(2,1)"), ("[1,2]", "(1,2)"), ("12", "1,2"), ("0.333", r"\frac{1}{3}"), ("5", "50"), ("-3", "3"), ("x", "y")]


@pytest.mark.parametrize(("answer", "gold"), SAME)
def test_both_graders_see_through_spelling(grader: Grader, answer: str, gold: str) -> None:
    assert grader.compare(answer, gold) == Grade(answer, by_math_verify=True, by_text=True)


@pytest.mark.parametrize(("answer", "gold"), OTHER)
def test_both_graders_refuse_another_answer(grader: Grader, answer: str, gold: str) -> None:
    if (answer, gold) == ("[1,2]", "(1,2)"):
        assert not same_by_text(answer, gold)  # math-verify takes the interval for the pair
    else:
        assert grader.compare(answer, gold) == Grade(answer, by_math_verify=False, by_text=False)


@pytest.mark.parametrize(("answer", "gold"), [("1+2x", "2x+1"), (r"2\sqrt{3}", r"\sqrt{12}")])
def test_mathematics_is_seen_by_math_verify_alone_and_is_a_dispute(grader: Grader, answer: str, gold: str) -> None:
    grade = grader.compare(answer, gold)
    assert grade == Grade(answer, by_math_verify=True, by_text=False)
    assert grade.is_disputed
    assert {by: grade.is_accepted(by) for by in ("math_verify", "text", "either", "both")} == {
        "math_verify": True, "text": False, "either": True, "both": False,
    }  # fmt: skip


def test_no_answer_and_one_too_long_are_not_given_to_math_verify(grader: Grader) -> None:
    assert grader.compare(" ", "3").trouble == "no_answer"
    assert grader.grade("3" * 1001, "3").trouble == "too_long"
    assert not grader.compare("", "").is_correct


def test_an_endless_answer_is_a_timeout_and_the_next_one_gets_a_new_process() -> None:
    with Grader(seconds=0.2) as impatient:
        assert impatient.compare(ENDLESS, "2") == Grade(ENDLESS, by_math_verify=None, by_text=False, trouble="timeout")
        assert impatient.compare(ENDLESS, ENDLESS).is_correct  # as text, which has the word then
        impatient.seconds = 5.0
        assert impatient.compare("2", "2.0").by_math_verify is True


def test_a_process_that_was_killed_is_a_crash_and_the_next_answer_is_graded(grader: Grader) -> None:
    assert grader.compare("1", "1").by_math_verify is True
    assert grader._process is not None
    os.kill(grader._process.pid, signal.SIGKILL)
    grader._process.wait()
    assert grader.compare("1", "1").by_math_verify is True  # known
    assert grader.compare("1", "11").trouble == "crash"
    assert grader.compare("1", "11").by_math_verify is False


def test_closing_leaves_no_process() -> None:
    opened = Grader()
    opened.compare("1", "1")
    assert opened._process is not None
    pid = opened._process.pid
    opened.close()
    assert not Path(f"/proc/{pid}").exists()
    opened.close()


def test_the_process_ends_with_the_one_that_started_it() -> None:
    program = "from recipes.grading import Grader; g = Grader(); g.compare('1', '1'); print(g._process.pid, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().decode().strip()
    assert child.is_dir()
    parent.kill()
    parent.communicate()
    for _ in range(1000):
        if not child.is_dir() or "State:\tZ" in (child / "status").read_text():
            return
        time.sleep(0.01)
    pytest.fail("the grading process is still there")


def test_grades_are_counted(grader: Grader) -> None:
    counts: Counter[str] = Counter()
    for answer in ("2", "3", "1+1", ""):
        grader.compare(answer, "2").tell(lambda *keys: counts.update(["/".join(keys)]))
    assert counts == {
        "grades/correct": 2, "grades/wrong": 2, "grades/disputed/only_math_verify": 1, "grades/trouble/no_answer": 1,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------- real answers


def test_graders_agree_with_those_of_others_on_real_solutions(grader: Grader, shared_data: Path) -> None:
    """Of 61 problems of MATH with a model's solutions: the first, and all of problems that were not always solved."""
    agreed: Counter[str] = Counter()
    with gzip.open(shared_data / "peer-tests" / "answer_grading_math_cot_100.jsonl.gz") as lines:
        for row in map(json.loads, lines):
            some = row["code"] if not all(row["score"]) else row["code"][:1]
            for text, label in zip(some, row["score"]):
                grade = grader.grade(text, row["gt"])
                agreed.update({"answers": 1, "math_verify": grade.by_math_verify == label, "text": grade.by_text == label})
    assert agreed == {"answers": 110, "math_verify": 109, "text": 109}  # the other: 10000 for 10{,}000, which their grader missed
