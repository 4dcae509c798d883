"""Grades what a record's reasoning ends on by the record's own answer. The stage behind a format stage that left both.

The page says whose word counts: one grader's, that of both, or of either (`accept`). What both said is in every document's
metadata, and counted: wrong, disputed, timed out. Costs a hundredth of a second an answer, nearly all of it SymPy's.
"""

from collections.abc import Iterator

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from recipes.grading import Grade, Grader
from recipes.schema import CheckAnswersStage

SHOWN_CHARS = 80  # of an answer in a manifest


class CheckAnswers(PipelineStep):
    name = "check_answers"

    def __init__(self, params: CheckAnswersStage, book: Book):
        super().__init__()
        self.params = params
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with Grader(self.params.seconds) as grader:
            for doc in data or ():
                expected = doc.metadata.get("expected_answer")
                if not expected:
                    self.book.count("grades", "no_expected_answer")
                    is_kept, why = self.params.on_no_answer == "keep", "no_expected_answer"
                else:
                    is_kept, why = self._judge(doc, grader.compare(str(doc.metadata.get("stated_answer", "")), str(expected)))
                if is_kept:
                    yield doc
                else:
                    self.book.drop(doc, "check_answers", why)

    def _judge(self, doc: Document, grade: Grade) -> tuple[bool, str]:
        grade.tell(self.book.count)
        doc.metadata["graded"] = {"math_verify": grade.by_math_verify, "text": grade.by_text, "trouble": grade.trouble}
        if grade.is_disputed or grade.trouble:
            kind = grade.trouble or "disputed"
            pair = {"stated": grade.answer[:SHOWN_CHARS], "expected": str(doc.metadata["expected_answer"])[:SHOWN_CHARS]}
            self.book.example(f"grades/{kind}", doc, **pair)
        is_right = grade.is_accepted(self.params.accept)
        self.book.count("accepted" if is_right else "not_accepted")
        return is_right or self.params.on_wrong == "keep", grade.trouble or "wrong"
