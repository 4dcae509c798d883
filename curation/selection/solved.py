"""Drops questions that a model solves, s1's measure of difficulty: Qwen2.5-7B and 32B were asked once each, Claude 3.5 Sonnet
graded.

The attempts come from a server, or from a field of the documents. They are graded by math-verify, or by a model that reads them
beside the expected answer. What cannot be graded is counted and stays.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.language_model.chat import Question
from curation.language_model.client import Client, report
from curation.language_model.prompt import fill, read_prompt
from curation.sampling.asked import question_of
from recipes.final_answer import boxed
from recipes.grading import Grader
from recipes.schema import DropSolvedStage, Endpoint

VERDICT = re.compile(r"\W*Correct: (yes|no)\W*", re.I)
JUDGE_TRIES, JUDGE_TOKENS = 3, 1_000
SHOWN_CHARS = 600  # of an attempt among the examples


@dataclass(frozen=True)
class Outcome:
    """`is_right` is None where nothing could be graded; `why` says so. `attempt` is the last one."""

    is_right: bool | None
    why: str
    attempt: str = ""


@dataclass(frozen=True)
class Asked:
    """A server with its prompt and its answers' folder."""

    prompt: Path
    answers: Path


class DropSolved(PipelineStep):
    type = "SELECT"
    name = "solved"

    def __init__(self, params: DropSolvedStage, solver: Asked | None, judge: Asked | None, seed: int, book: Book):
        super().__init__()
        self.params = params
        self.solver = solver
        self.judge = judge
        self.seed = seed
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with ExitStack() as stack:
            solver = self._open(stack, self.params.solver, self.solver, rank, world_size)
            judge = self._open(stack, self.params.judge, self.judge, rank, world_size)
            judging = Judging(judge, stack.enter_context(Grader()), self._prompt(self.judge), self.seed)
            for doc, outcome in self._outcomes(solver, judging, data):
                if self._is_kept(doc, outcome):
                    yield doc
            report(self.book, *(client for client in (solver, judge) if client is not None))

    @staticmethod
    def _open(stack: ExitStack, endpoint: Endpoint | None, asked: Asked | None, rank: int, num_ranks: int) -> Client | None:
        if endpoint is None or asked is None:
            return None
        return stack.enter_context(Client(endpoint, asked.answers, rank, num_ranks))

    @staticmethod
    def _prompt(asked: Asked | None) -> str:
        return read_prompt(asked.prompt) if asked else ""

    def _outcomes(self, solver: Client | None, judging: "Judging", data: DocumentsPipeline) -> Iterator[tuple[Document, Outcome]]:
        """In the order of the documents; many at a time where a server is asked."""
        prompt = self._prompt(self.solver)

        def outcome(doc: Document) -> Outcome:
            return self._grade(doc, self._given(doc) if solver is None else self._asked(solver, prompt, doc), judging)

        client = solver or judging.judge
        return client.map(outcome, data or ()) if client else ((doc, outcome(doc)) for doc in data or ())

    def _given(self, doc: Document) -> Iterator[str]:
        assert self.params.attempt is not None
        given = doc.metadata.get(self.params.attempt)
        yield from (str(text) for text in (given if isinstance(given, list) else [given]) if text)

    def _asked(self, client: Client, prompt: str, doc: Document) -> Iterator[str]:
        asked = fill(prompt, question_of(doc))
        question = Question((("user", asked),), max_tokens=self.params.max_answer_tokens, seed=self.seed)
        yield from (answer.text for answer in client.tries(question, self.params.samples) if not answer.problem)

    def _grade(self, doc: Document, attempts: Iterator[str], judging: "Judging") -> Outcome:
        """By the first attempt that is right, else by the last one."""
        expected = str(doc.metadata.get("expected_answer") or "")
        if not expected:
            return Outcome(None, "no_expected_answer")
        outcome = Outcome(None, "no_attempt")
        for attempt in attempts:
            is_right = judging.judge_attempt(doc, attempt, expected)
            outcome = Outcome(is_right, "no_verdict" if is_right is None else "", attempt)
            if is_right:
                break
        return outcome

    def _is_kept(self, doc: Document, outcome: Outcome) -> bool:
        """A question that got no attempt was not solved; one without a grade may have been."""
        kind = {True: "solved", False: "unsolved", None: outcome.why}[outcome.is_right]
        self.book.count("solving", kind)
        self.book.example(f"solving/{kind}", doc, attempt=outcome.attempt[:SHOWN_CHARS])
        if outcome.is_right:
            self.book.drop(doc, "solved", self.params.solver.model if self.params.solver else str(self.params.attempt))
        return not outcome.is_right


@dataclass(frozen=True)
class Judging:
    """Whether an attempt is right: by the judge where there is one, else by math-verify. May be used from any thread."""

    judge: Client | None
    grader: Grader
    prompt: str
    seed: int

    def judge_attempt(self, doc: Document, attempt: str, expected: str) -> bool | None:
        if self.judge is None:
            return self.grader.grade(attempt, boxed(expected) or expected).is_correct
        told = f"Problem:\n{question_of(doc)}\n\nExpected answer:\n{expected}\n\nAttempt:\n{attempt}"
        question = Question((("user", fill(self.prompt, told)),), max_tokens=JUDGE_TOKENS, seed=self.seed)
        verdicts = (read_verdict(answer.text) for answer in self.judge.tries(question, JUDGE_TRIES))
        return next((verdict for verdict in verdicts if verdict is not None), None)


def read_verdict(answer: str) -> bool | None:
    """What an answer's last line says; None when it is not what the prompt asks for."""
    lines = answer.strip().splitlines()
    found = VERDICT.fullmatch(lines[-1].strip()) if lines else None
    return None if found is None else found[1].lower() == "yes"
