"""Rewrites documents by a language model, as MegaMath-Web-Pro-Max does with Llama-3.1-70B-Instruct (OctoThinker, appendix).

A document is cut into chunks, each is asked for on its own, and an answer is taken only when it is faithful
(faithfulness.py). What the models of Web-Pro-Max added or lost is not published; here every rejection is counted by
its reason. Decontamination belongs behind this stage: a model can write a benchmark's problem from memory.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import EXAMPLE_CHARS, Book
from curation.language_model.asker import Asker
from curation.language_model.chunks import Chunk, split, token_starts
from curation.language_model.client import Client, report
from curation.language_model.faithfulness import problem
from recipes.final_answer import final_answer
from recipes.grading import Grader
from recipes.schema import RewriteStage

Piece = tuple[int, Document, Chunk]  # the document's place in the shard: ids may come twice
Outcome = tuple[str, str]  # the text that was written, and the reason not to take it ("" to take it)


class RewriteDocuments(PipelineStep):
    """Replaces texts; metadata say how many chunks a document had, how many were rewritten, and why others were not. `tokenizer`
    is the folder of the one that chunks are measured by."""

    type = "REWRITE"
    name = "language model"

    def __init__(self, params: RewriteStage, asker: Asker, tokenizer: Path | None, book: Book):
        super().__init__()
        self.params = params
        self.asker = asker
        self.tokenizer = tokenizer
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with self.asker.client(rank, world_size) as client, Grader() as grader:
            outcomes = client.map(lambda piece: self._rewrite(client, piece[2].text), self._pieces(data))
            for _, group in groupby(outcomes, key=lambda entry: entry[0][0]):
                pieces = list(group)
                doc = self._join(pieces[0][0][1], [(chunk, *outcome) for (_, _, chunk), outcome in pieces], grader)
                if doc is not None:
                    yield doc
            report(self.book, client)

    def _pieces(self, data: DocumentsPipeline) -> Iterator[Piece]:
        from curation.tokens.tokenizer import DocumentTokenizer

        tokenizer = DocumentTokenizer(self.tokenizer, "tokenizers").tokenizer if self.tokenizer else None
        for number, doc in enumerate(data or ()):
            for chunk in split(doc.text, self.params.max_chunk_tokens, token_starts(doc.text, tokenizer)):
                yield number, doc, chunk

    def _rewrite(self, client: Client, source: str) -> Outcome:
        if not source:
            return "", "empty"
        for answer in self.asker.tries(client, source):
            written = answer.text.strip()
            reason = answer.problem or ("cut_off" if answer.finish == "length" else problem(written, source, self.params))
            if not reason:
                break
        return written, reason

    def _join(self, doc: Document, chunks: list[tuple[Chunk, str, str]], grader: Grader) -> Document | None:
        """The document with its chunks as they are to be; None when it was dropped."""
        rejected: dict[str, int] = {}
        parts, before = [], doc.text
        for chunk, written, reason in chunks:
            self.book.count("chunks", "rewritten" if not reason else f"rejected_{reason}")
            if reason:
                rejected[reason] = rejected.get(reason, 0) + 1
                self.book.example(f"rejected/{reason}", doc, source=chunk.text[:EXAMPLE_CHARS], answer=written[:EXAMPLE_CHARS])
            parts.append(chunk.before + (chunk.text if reason else written) + chunk.behind)
        text = "".join(parts)
        changed = self._changed(doc, text, grader) if len(chunks) > sum(rejected.values()) else ""
        if changed:
            self.book.count("documents_rejected", changed)
            self.book.example(f"rejected/{changed}", doc, source=doc.text[:EXAMPLE_CHARS], answer=text[:EXAMPLE_CHARS])
            rejected, text = {changed: len(chunks)}, doc.text
        reasons = dict(sorted(rejected.items()))
        doc.metadata["rewrite"] = {"chunks": len(chunks), "rewritten": len(chunks) - sum(reasons.values()), "rejected": reasons}
        if reasons and self.params.on_reject == "drop":
            self.book.drop(doc, "rewrite_rejected", max(reasons, key=lambda reason: reasons[reason]))
            return None
        how = "whole" if not reasons else "part" if len(chunks) > sum(reasons.values()) else "kept"
        self.book.count("rewritten", how)
        doc.text = text
        if how != "kept":
            self.book.example("rewritten", doc, before=before[:EXAMPLE_CHARS])
        return doc

    def _changed(self, doc: Document, text: str, grader: Grader) -> str:
        """Why the text as a whole is not taken for the document's, where its answer must stay; "" when it is."""
        if not self.params.same_answer:
            return ""
        question = str(doc.metadata.get("question") or "").strip()
        if question in doc.text and question not in text:
            return "question_changed"
        expected = str(doc.metadata.get("expected_answer") or final_answer(doc.text))
        if not expected:
            return "no_answer_to_keep"
        grade = grader.grade(text, expected)
        grade.tell(self.book.count)
        return "" if grade.is_correct else "answer_changed"
