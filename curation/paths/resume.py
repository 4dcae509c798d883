"""Truncate and resume: a trace is cut off at a drawn place, and a language model goes on without knowing the answer. Where it
ends wrong it is told the answer and finds back from its own mistake: a way back as it really comes about, and not from an open
book (Steiner). What it wrote is taken only when it names the step that it goes back to, comes to the right answer, and says in
none of the ways of told_answers.txt that it was told: who betrays it otherwise is not found out.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import EXAMPLE_CHARS, Book
from curation.filters.word_lists import items
from curation.language_model.answers import Answer
from curation.language_model.chat import Question
from curation.language_model.client import Client, report
from curation.language_model.prompt import fill, read_prompt
from curation.paths.formula import tokens_of
from curation.paths.samples import written_samples
from curation.paths.segments import spoken, steps_of, thinking
from curation.sampling.asked import question_of
from curation.sampling.recorded import BadSamples
from recipes.final_answer import boxed, last_number, same_by_text, stated
from recipes.grading import Grade, Grader
from recipes.schema import ResumeTracesStage

TOLD_ANSWERS = Path(__file__).with_name("told_answers.txt")
CONCLUSION = re.compile(r"\b(?:so|thus|therefore|hence|consequently),? the (?:right|correct) answer is\b")  # anybody says that
BACK = re.compile(r"\s*[*_#>\s]*back to step\s+(\d{1,4})[.:*_\s]*?(?:\n|$)", re.I)


@dataclass(frozen=True)
class Prompts:
    """`answers` is where they are kept."""

    resume: Path
    back: Path
    answers: Path
    seed: int


@dataclass
class Resumed:
    """What came of one document: samples to add, and what to count of each try."""

    samples: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)  # outcome and text


class ResumeTraces(PipelineStep):
    type = "PATHS"
    name = "resume"

    def __init__(self, params: ResumeTracesStage, prompts: Prompts, book: Book):
        super().__init__()
        self.params = params
        self.prompts = prompts
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        client = Client(self.params.endpoint, self.prompts.answers, rank, world_size)
        with client, Grader(self.params.seconds) as grader:
            tries = _Tries(self.params, self.prompts, client, grader)
            for (doc, _), resumed in client.map(lambda item: tries.resume(*item), self._traces(data)):
                for outcome in resumed.outcomes or ["nothing_to_cut"]:
                    self.book.count("resumed", outcome)
                for grade in resumed.grades:
                    grade.tell(self.book.count)
                for outcome, text in resumed.rejected:
                    self.book.example(f"resumed/{outcome}", doc, answer=text[:EXAMPLE_CHARS])
                doc.metadata["samples"] = [*doc.metadata["samples"], *resumed.samples]
                yield doc
            report(self.book, client)

    def _traces(self, data: DocumentsPipeline) -> Iterator[tuple[Document, list[list[str]]]]:
        """Documents with the steps of each of their traces that can be cut: before its last one, and before the answer."""
        for doc in data or ():
            if not doc.metadata.get("expected_answer"):
                self.book.drop(doc, "resume_traces", "no_expected_answer")
                continue
            try:
                samples = written_samples(doc)
            except BadSamples as problem:
                self.book.count("bad_samples", str(problem))
                self.book.drop(doc, "resume_traces", "bad_samples")
                continue
            traces = [steps_of(thinking(sample.text), self.params.max_step_chars) for sample in samples if sample.turn is None]
            hidden = [_before_answer(steps, question_of(doc), str(doc.metadata["expected_answer"])) for steps in traces]
            yield doc, [steps for steps in hidden if len(steps) > 1]


class _Tries:
    """May be used from any thread."""

    def __init__(self, params: ResumeTracesStage, prompts: Prompts, client: Client, grader: Grader):
        self.params = params
        self.seed = prompts.seed
        self.resume_prompt, self.back_prompt = read_prompt(prompts.resume), read_prompt(prompts.back)
        self.client = client
        self.grader = grader

    def resume(self, doc: Document, traces: list[list[str]]) -> Resumed:
        """Try i of a question is the same however many there are: more tries ask for the further ones alone."""
        made = Resumed()
        for number in range(self.params.resumes if traces else 0):
            rng = random.Random(f"{self.seed}/{doc.id}/{number}")
            steps = traces[rng.randrange(len(traces))]
            made.outcomes.append(self._try(doc, steps[: rng.randrange(1, len(steps))], number, made))
        return made

    def _try(self, doc: Document, begun: list[str], number: int, made: Resumed) -> str:
        """What came of one cut; a sample that can be used is added to `made`."""
        question, expected = question_of(doc), str(doc.metadata["expected_answer"])
        answer = self._ask(self.resume_prompt, f"Problem:\n{question}\n\nSolution so far:\n{_lines(begun)}", number)
        reason, steps, grade = self._read(answer, expected, made)
        if reason:
            return reason
        walked = [*begun, *steps]
        if grade.is_accepted(self.params.accept):
            made.samples.append({"text": _lines(walked), "finish": answer.finish, "tokens": answer.output_tokens})
            return "right"
        told = "\n".join(f"{place}. {step}" for place, step in enumerate(walked, start=1))
        asked = f"Problem:\n{question}\n\nSteps:\n{told}\n\nRight answer: {expected}"
        return self._find_back(asked, walked, expected, number, made)

    def _find_back(self, asked: str, walked: list[str], expected: str, number: int, made: Resumed) -> str:
        """The way back from a wrong end; without one, what was walked is a wrong trace like others."""
        answer = self._ask(self.back_prompt, asked, number)
        reason, _, grade = self._read(answer, expected, made)
        said = spoken(answer.text)
        place = BACK.match(said)
        back = steps_of(said[place.end() :], self.params.max_step_chars) if place else []
        to = int(place[1]) if place else len(walked)
        reason = reason or ("to_nowhere" if not back or to >= len(walked) else "")
        reason = reason or ("" if grade.is_accepted(self.params.accept) else "still_wrong")
        reason = reason or ("says_it_was_told" if _betrays(said) else "")
        if reason:
            made.rejected.append((reason, said))
            made.samples.append({"text": _lines(walked), "finish": "stop", "tokens": 0})
            return f"back_{reason}"
        turn = [len(_lines(walked)), len(_lines(walked[:to]))]
        made.samples.append({"text": _lines([*walked, *back]), "finish": "stop", "tokens": answer.output_tokens, "turn": turn})
        return "found_back"

    def _ask(self, prompt: str, text: str, number: int) -> Answer:
        messages = (("user", fill(prompt, text)),)
        question = Question(messages, self.params.max_answer_tokens, self.seed + number, self.params.temperature)
        return self.client.ask(question)

    def _read(self, answer: Answer, expected: str, made: Resumed) -> tuple[str, list[str], Grade]:
        """Why an answer cannot be used at all ("" when it can), its steps, and its grade."""
        said = spoken(answer.text)
        grade = self.grader.grade(said, expected)
        steps = steps_of(said, self.params.max_step_chars)
        reason = answer.problem or ("cut_off" if answer.finish != "stop" else "" if steps else "empty")
        if not reason:
            made.grades.append(grade)
        return reason, steps, grade


def _lines(steps: list[str]) -> str:
    return "\n".join(steps)


def _before_answer(steps: list[str], question: str, expected: str) -> list[str]:
    """Up to the first step that has the answer in it. A question may name what turns out to be its answer: then that it is the
    answer must be said."""
    answer = tokens_of(expected)
    is_named = _contains(tokens_of(question), answer)
    for place, step in enumerate(steps):
        said = [boxed(step), stated(step), *([] if is_named else [last_number(step)])]
        if any(same_by_text(one, expected) for one in said) or (not is_named and _contains(tokens_of(step), answer)):
            return steps[: place + 1]
    return steps


def _contains(tokens: list[str], part: list[str]) -> bool:
    return bool(part) and any(tokens[at : at + len(part)] == part for at in range(len(tokens) - len(part) + 1))


def _betrays(text: str) -> bool:
    """Whether one of the known patterns is in it. A conclusion ("so the right answer is …") betrays nothing."""
    said = CONCLUSION.sub("", " ".join(text.casefold().split()))
    return any(pattern.search(said) for pattern in _told_answers())


@cache
def _told_answers() -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, items(TOLD_ANSWERS.read_text(encoding="utf-8").splitlines())))
