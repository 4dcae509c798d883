"""Labels documents by a language model: a score of 0 to 5 for their value to someone who learns mathematics, as in FineMath
and MegaMath-Web-Pro-Max, by a prompt of our own. `examples.jsonl` is what train_classifier reads.

The examples hold the text that was judged, not what stood behind it: a label says nothing about the rest.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.language_model.answers import Answer
from curation.language_model.asker import Asker
from curation.language_model.client import Client, report
from curation.shards import read_shard
from recipes.schema import LabelStage

EXAMPLES = "examples.jsonl"
SCORE, JUDGED_CHARS = "label_score", "label_chars"  # keys of metadata
LAST_LINE = re.compile(r"\W*Score: ([0-5])(?:/5)?\W*")  # \W: models set it in bold type, or end it with a full stop
PROVENANCE = ("url", "source", "dump", "date")  # metadata that examples keep


def read_score(answer: str) -> int | None:
    """The score of an answer's last line; None when it is not exactly what the prompt asks for, or there are two that differ."""
    lines = [line.strip() for line in answer.strip().splitlines()]
    found = [match.group(1) for line in lines if (match := LAST_LINE.fullmatch(line))]
    if not found or len(set(found)) > 1 or not LAST_LINE.fullmatch(lines[-1]):
        return None
    return int(found[0])


def cut(text: str, max_chars: int) -> str:
    """The text's beginning, up to the end of a paragraph; of a line or word when that would leave less than half of it."""
    if len(text) <= max_chars:
        return text
    for end in ("\n\n", "\n", " "):
        place = text.rfind(end, 0, max_chars + len(end))
        if place >= max_chars // 2 and text[:place].strip():
            return text[:place].rstrip()
    return text[:max_chars]


class LabelDocuments(PipelineStep):
    """Writes the score and how much of the text was judged into the metadata; documents without a score are dropped."""

    type = "LABEL"
    name = "language model"

    def __init__(self, params: LabelStage, asker: Asker, book: Book):
        super().__init__()
        self.max_chars = params.max_chars
        self.asker = asker
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        with self.asker.client(rank, world_size) as client:
            for doc, (score, answer) in client.map(lambda doc: self._judge(client, doc), data or ()):
                if score is None:
                    self.book.drop(doc, "label_missing", answer.problem or "no score in the answer")
                    self.book.example("label_missing", doc, answer=answer.text)
                    continue
                doc.metadata[SCORE] = score
                doc.metadata[JUDGED_CHARS] = len(cut(doc.text, self.max_chars))
                self.book.example(f"score_{score}", doc, answer=answer.text)
                yield doc
            report(self.book, client)

    def _judge(self, client: Client, doc: Document) -> tuple[int | None, Answer]:
        """The score, or None, and the last answer."""
        score = None
        for answer in self.asker.tries(client, cut(doc.text, self.max_chars)):
            score = read_score(answer.text)
            if score is not None:
                break
        return score, answer


def write_examples(shards: list[Path], out: Path, *, min_score: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Joins labelled shards, in order, to out/examples.jsonl (text, score, label, id, provenance); counts by score and label."""
    counts: Counter[str] = Counter(positive=0, negative=0)
    scores: Counter[str] = Counter({str(score): 0 for score in range(6)})
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / f".{EXAMPLES}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        for number, shard in enumerate(shards):
            progress(number, len(shards))
            for doc in read_shard(shard):
                score = doc.metadata[SCORE]
                label = int(score >= min_score)
                row = {"text": doc.text[: doc.metadata[JUDGED_CHARS]], "score": score, "label": label, "id": doc.id}
                row |= {key: doc.metadata[key] for key in PROVENANCE if doc.metadata.get(key) is not None}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                scores[str(score)] += 1
                counts["positive" if label else "negative"] += 1
    if not counts.total():
        temporary.unlink()
        raise ValueError(
            "no document has a score: look at dropped/label_missing of the stage before, and at its prompt and model"
        )
    os.replace(temporary, out / EXAMPLES)
    return {"examples": dict(counts), "label_scores": dict(scores)}
