"""Asks for several answers to each question and keeps them beside it, right or wrong: what is asked costs, what is judged does
not, and is judged anew as often as a page changes its mind (verified.py)."""

from collections.abc import Iterator

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.language_model.client import report
from curation.sampling.asked import Sampler, question_of
from recipes.schema import SampleAnswersStage


class SampleAnswers(PipelineStep):
    type = "SAMPLE"
    name = "answers"

    def __init__(self, params: SampleAnswersStage, sampler: Sampler, book: Book):
        super().__init__()
        self.params = params
        self.sampler = sampler
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with self.sampler.client(rank, world_size) as client:
            for doc, answers in self.sampler.ask(client, ((doc, question_of(doc)) for doc in self._hard(data))):
                doc.metadata["samples"] = [
                    {"text": answer.text.strip(), "finish": answer.problem or answer.finish, "tokens": answer.output_tokens}
                    for answer in answers
                ]
                for answer in answers:
                    self.book.count("samples", answer.problem or answer.finish)
                yield doc
            report(self.book, client)

    def _hard(self, data: DocumentsPipeline) -> Iterator[Document]:
        """Questions with an answer to check by that are difficult enough."""
        for doc in data or ():
            if not doc.metadata.get("expected_answer"):
                self.book.drop(doc, "sample_answers", "no_expected_answer")
            elif self.params.difficulty is not None and not self._is_hard(doc.metadata.get(self.params.difficulty)):
                self.book.drop(doc, "sample_answers", "too_easy")
            else:
                yield doc

    def _is_hard(self, difficulty: object) -> bool:
        """A level may stand in words: "Level 5"."""
        assert self.params.min_difficulty is not None
        number = str(difficulty).split()[-1] if difficulty is not None else ""
        try:
            return float(number) >= self.params.min_difficulty
        except ValueError:
            return False
