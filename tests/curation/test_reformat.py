"""Reformatting solutions step by step, as O1 Journey 2 does: answers and questions must stay, figures and proofs go before."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from curation.filters import FILTERS
from curation.filters.problem_format import PATTERNS
from recipes.manifest import read_manifest
from recipes.schema import ProblemFormatFilter
from tests.chat_server import Reply, completion, serve
from tests.curation.small_page import documents, record_stages, run

SOURCE = re.compile(r"<source>\n(.*)\n</source>", re.DOTALL)
COLUMNS = {"id": "id", "question": "problem", "solution": "solution", "answer": "answer"}
RECORD = {"problem": "What is $2 + 3 \\cdot 4$?", "solution": "We have $3 \\cdot 4 = 12$ and $2 + 12 = 14$.", "answer": "14"}
STEPS = "Step 1: multiply first. $3 \\cdot 4 = 12$.\n\nStep 2: add. $2 + 12 = 14$.\n\nThe answer is $14$."


def reformatted(
    folder: Path, solution: str, *, question: str | None = None, answer: str = "14", **rewrite: Any
) -> tuple[list[dict[str, Any]], Any]:
    """The documents and the counts, when a model writes this solution under the question, or under another one."""

    def reply(body: dict[str, Any]) -> Reply:
        source = SOURCE.search(body["messages"][-1]["content"])
        assert source is not None
        assert "step by step" in body["messages"][-1]["content"]
        return completion(f"{question or source[1].splitlines()[0]}\nAnswer: {solution}")

    with serve(reply) as server:
        spec: dict[str, dict[str, Any]] = {
            "format": {"do": "format", "template": "short_cot", "keep": ["question"]},
            "reformat": {
                "do": "rewrite",
                "prompt": "reformat_steps",
                "same_answer": True,
                "max_length": 4.0,
                "endpoint": {"model": "tiny", "base_url": server.url, "pause_seconds": 0.01},
            }
            | rewrite,
        }
        planned = record_stages(folder, [RECORD | {"answer": answer}], COLUMNS, spec)
        run(planned)
    return documents(planned["reformat"]), read_manifest(planned["reformat"].folder)["counts"]


def test_a_solution_in_steps_that_ends_on_the_same_answer_is_taken(tmp_path: Path) -> None:
    docs, counts = reformatted(tmp_path, STEPS)
    assert docs[0]["text"] == f"Question: {RECORD['problem']}\nAnswer: {STEPS}"
    assert docs[0]["rewrite"] == {"chunks": 1, "rewritten": 1, "rejected": {}}
    assert counts["rewritten"] == {"whole": 1}
    assert counts["grades"] == {"correct": 1}


def test_another_form_of_the_answer_is_the_same_answer(tmp_path: Path) -> None:
    docs, _ = reformatted(tmp_path, STEPS, answer="\\frac{28}{2}")
    assert docs[0]["rewrite"]["rewritten"] == 1


def test_a_solution_that_ends_elsewhere_leaves_the_document_as_it_was(tmp_path: Path) -> None:
    """Faithful word by word: all its numbers are the source's, and yet it answers with another one."""
    docs, counts = reformatted(tmp_path, STEPS.replace("answer is $14$", "answer is $12$"))
    assert docs[0]["text"].startswith(f"Question: {RECORD['problem']}\nAnswer: {RECORD['solution']}")
    assert docs[0]["rewrite"] == {"chunks": 1, "rewritten": 0, "rejected": {"answer_changed": 1}}
    assert counts["documents_rejected"] == {"answer_changed": 1}
    assert counts["rewritten"] == {"kept": 1}


def test_a_changed_answer_drops_the_document_where_the_page_says_so(tmp_path: Path) -> None:
    docs, counts = reformatted(tmp_path, STEPS.replace("answer is $14$", "answer is $12$"), on_reject="drop")
    assert docs == []
    assert counts["details"] == {"rewrite_rejected": {"answer_changed": 1}}


def test_a_question_in_other_words_is_not_taken(tmp_path: Path) -> None:
    docs, counts = reformatted(tmp_path, STEPS, question="Question: Compute $2 + 3 \\cdot 4$.")
    assert docs[0]["text"].startswith(f"Question: {RECORD['problem']}")
    assert counts["documents_rejected"] == {"question_changed": 1}


def test_without_same_answer_only_the_form_is_checked(tmp_path: Path) -> None:
    docs, _ = reformatted(tmp_path, STEPS.replace("answer is $14$", "answer is $12$"), same_answer=False)
    assert docs[0]["text"].endswith("The answer is $12$.")


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("Find the area.\n[asy] draw(unitsquare); [/asy]", "asymptote"),
        ("What is shown? ![Image](https://x/y.png)", "image"),
        ("In the figure below, find $x$.", "image"),
        ("p3. Ten teams play. p4. Find $n$.", "numbering"),
        ("**12.** Find the sum of all primes.", "bold_number"),
        ("\\textbf{7.} Find the sum of all primes.", "bold_number"),
        ("Prove that $\\sqrt2$ is irrational.", "proof"),
        ("Let $n$ be even. Show that $n^2$ is even.", "proof"),
    ],
)
def test_problems_that_are_not_whole_or_ask_for_a_proof_are_dropped_with_the_rule(question: str, rule: str) -> None:
    judged = FILTERS["problem_format"](ProblemFormatFilter())
    assert judged.filter(Document(text="What is 1 + 1?", id="a", metadata={"question": question})) == (False, rule)
    others = tuple(name for name in ProblemFormatFilter().drop if name != rule)
    assert judged.__class__(ProblemFormatFilter(drop=others)).filter(Document(text=question, id="a")) is True


@pytest.mark.parametrize(
    "question",
    [
        "What is the improved approximation of $\\pi$?",
        "Let $\\mathbf{1}$ be the vector of ones, and $\\mathbf{2}$ twice it.",
        "By the lemma that we prove below, $n$ is even. What is $n$?",
        "Ann likes a TV show that lasts 30 minutes. How long do two last?",
        "Show your work: what is $p3$ plus 4.5?",
        "The proof of the pudding costs 3 dollars. What do two cost?",
        "How many points p2.5 units apart are there? **Hint**: few.",
    ],
)
def test_whole_problems_stay(question: str) -> None:
    assert FILTERS["problem_format"](ProblemFormatFilter()).filter(Document(text=question, id="a")) is True


@pytest.mark.parametrize("sign", ["!", "?", "\n", ". ", ",\n", "-", "![", "and ", "and-", "show  ", "\\mathbf{ ", "**1 ", "p1.x"])
def test_runs_of_signs_are_read_in_linear_time(sign: str) -> None:
    question = "x" + sign * 400_000  # an hour if time grew with the square
    assert FILTERS["problem_format"](ProblemFormatFilter()).filter(Document(text=question, id="a")) is True


def test_images_and_proofs_are_found_behind_any_run_of_signs() -> None:
    image = re.compile(r"!\[[^\]\n]*\]")
    proof = re.compile(r"(?:^|[.!?:;,\n]|\band\b|\bthen\b)\W*(?:show|verify)\s+that\b", re.IGNORECASE)
    rng = random.Random(5)
    pieces = [*"![].(*a_", "![", "\n", ", ", " ", "and", "Then", "band", "Show that", "show", "verify  that"]
    found = {"image": 0, "proof": 0}
    for _ in range(20_000):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 9)))
        for rule, plain in (("image", image), ("proof", proof)):
            is_found = plain.search(text) is not None
            assert (PATTERNS[rule].search(text) is not None) == is_found, text
            found[rule] += is_found
    assert min(found.values()) > 500
