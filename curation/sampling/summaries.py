"""Whether a weaker model reaches the expected answer when it writes a solution from the thinking: a right answer behind thinking
that does not lead there was guessed, or known (o1 reproduction notes: remote supervision)."""

from collections.abc import Iterator

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import EXAMPLE_CHARS, Book
from curation.language_model.client import report
from curation.sampling.asked import Sampler, question_of
from recipes.grading import Grader
from recipes.schema import CheckSummariesStage


class CheckSummaries(PipelineStep):
    type = "SAMPLE"
    name = "summaries"

    def __init__(self, params: CheckSummariesStage, sampler: Sampler, book: Book):
        super().__init__()
        self.params = params
        self.sampler = sampler
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with self.sampler.client(rank, world_size) as client, Grader(self.params.seconds) as grader:
            for doc, answers in self.sampler.ask(client, ((doc, _told(doc)) for doc in data or ())):
                expected = str(doc.metadata["expected_answer"])
                grades = [grader.grade(answer.text, expected) for answer in answers]
                for grade in grades:
                    grade.tell(self.book.count)
                share = sum(grade.is_accepted(self.params.accept) for grade in grades) / len(grades)
                doc.metadata["summaries_right"] = round(share, 4)
                if share >= self.params.min_share:
                    yield doc
                else:
                    self.book.example("summaries/differ", doc, summary=answers[0].text[:EXAMPLE_CHARS], expected=expected)
                    self.book.drop(doc, "check_summaries", "other_answer")
            report(self.book, client)


def _told(doc: Document) -> str:
    thinking = doc.metadata.get("thinking")
    if not thinking or not doc.metadata.get("expected_answer"):
        raise ValueError(
            f"document {doc.id!r} has no thinking with an expected answer in its metadata; put check_summaries behind "
            "keep_verified, or behind a format stage with `keep: [question, thinking]` and an answer column"
        )
    return f"Problem:\n{question_of(doc)}\n\nNotes:\n{thinking}"
