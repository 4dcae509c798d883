"""Judges the samples of each question: the right ones become documents, a better and a worse one a preference pair.

Preference goes as in the o1 reproduction notes: right and in form, right in mixed languages or without the form, wrong. In form
is a whole answer in a box, in the letters that the page allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.filters.scripts import ScriptsFilter
from curation.format import CannotFormat, render
from curation.sampling.asked import question_of
from curation.sampling.recorded import BadSamples, Recorded, read_samples
from recipes import schema
from recipes.final_answer import boxed, plain
from recipes.grading import Grader
from recipes.schema import FormatStage, KeepVerifiedStage

PAIRS = "pairs"
KINDS = ("wrong", "right_only", "right_in_form")  # from the worst to the best


@dataclass(frozen=True)
class Judged:
    text: str
    answer: str
    kind: str


class KeepVerified(PipelineStep):
    type = "SAMPLE"
    name = "verified"

    def __init__(self, params: KeepVerifiedStage, book: Book):
        super().__init__()
        self.params = params
        self.book = book
        self.format = FormatStage(do="format", template=params.template, think_tags=params.think_tags)
        self.scripts = ScriptsFilter(schema.ScriptsFilter(allowed=params.scripts, max_other_share=params.max_other_share))

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        pairs = self.book.folder / PAIRS / f"{rank:05d}.jsonl"
        pairs.parent.mkdir(parents=True, exist_ok=True)
        with Grader(self.params.seconds) as grader, open(pairs, "wb") as file:
            for doc in data or ():
                answers, expected = self._answers(doc), doc.metadata.get("expected_answer")
                if not answers or not expected:
                    self.book.drop(doc, "keep_verified", "no_samples" if expected else "no_expected_answer")
                    continue
                del doc.metadata["samples"]
                judged = [self._judge(answer, str(expected), doc, grader) for answer in answers]
                file.writelines(self._pairs(doc, judged))
                yield from self._keep(doc, judged)

    def _answers(self, doc: Document) -> list[Recorded]:
        """None of them where the samples are none."""
        try:
            return read_samples(doc)
        except BadSamples as problem:
            self.book.count("bad_samples", str(problem))
            return []

    def _judge(self, sample: Recorded, expected: str, doc: Document, grader: Grader) -> Judged:
        text = sample.text.strip()
        grade = grader.grade(text, expected)
        grade.tell(self.book.count)
        if not grade.is_accepted(self.params.accept):
            kind = "wrong"
        else:
            in_one_language = self.scripts.filter(Document(text=text, id=doc.id)) is True
            is_in_form = sample.finish == "stop" and bool(boxed(text)) and in_one_language
            kind = "right_in_form" if is_in_form else "right_only"
        self.book.count("judged", kind)
        return Judged(text, grade.answer, kind)

    def _keep(self, doc: Document, judged: list[Judged]) -> Iterator[Document]:
        """The different verified samples of a question that is hard enough, each a document."""
        num_right = sum(sample.kind != "wrong" for sample in judged)
        rate = num_right / len(judged) if judged else 0.0
        self.book.count("solved", str(len(judged)), str(num_right))
        reason = "unsolved" if not num_right else "too_hard" if rate < self.params.min_solve_rate else ""
        reason = "too_easy" if rate > self.params.max_solve_rate else reason
        kept = self._different([sample for sample in judged if sample.kind == "right_in_form"])
        reason = reason or ("" if kept else "never_in_form")
        if reason:
            self.book.drop(doc, "keep_verified", reason)
            return
        for number, sample in enumerate(kept[: self.params.max_per_question]):
            made = self._document(doc, sample, number, rate)
            if made is not None:
                yield made

    def _different(self, samples: list[Judged]) -> list[Judged]:
        """The first of those with the same answer and the same words."""
        first: dict[tuple[str, str], Judged] = {}
        for sample in samples:
            first.setdefault((plain(sample.answer), " ".join(sample.text.casefold().split())), sample)
        if len(first) < len(samples):
            self.book.count("duplicate_samples", n=len(samples) - len(first))
        return list(first.values())

    def _document(self, doc: Document, sample: Judged, number: int, rate: float) -> Document | None:
        field = "thinking" if self.params.template == "long_cot" else "solution"
        expected = str(doc.metadata["expected_answer"])
        noted = {"thinking": sample.text, "stated_answer": sample.answer, "solve_rate": round(rate, 4), "question_id": doc.id}
        made = Document(text=sample.text, id=f"{doc.id}/{number}", metadata={**doc.metadata, **noted})
        try:
            made.text = render({"question": question_of(doc), field: sample.text, "answer": expected}, self.format)
        except CannotFormat as problem:
            self.book.drop(made, problem.reason, problem.detail)
            return None
        return made

    def _pairs(self, doc: Document, judged: list[Judged]) -> Iterator[bytes]:
        """The widest apart first, as JSON lines with the keys that preference trainers read."""
        ranked = [(better, worse) for better, worse in product(judged, judged) if _rank(better) > _rank(worse)]
        ranked.sort(key=lambda pair: _rank(pair[1]) - _rank(pair[0]))
        for better, worse in ranked[: self.params.pairs_per_question]:
            self.book.count("pairs", f"{better.kind} > {worse.kind}")
            record = {"id": doc.id, "prompt": question_of(doc), "chosen": better.text, "rejected": worse.text}
            yield orjson.dumps(record | {"chosen_kind": better.kind, "rejected_kind": worse.kind}) + b"\n"


def _rank(sample: Judged) -> int:
    return KINDS.index(sample.kind)
