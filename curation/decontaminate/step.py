"""Drops documents that hold benchmark items, or cuts the items out of them, and keeps the evidence: which, how much, the words.

What counts as holding an item, and what is only reported as near, says detector.py. Measured against datatrove's
NGramsDecontFilter: `python -m curation.benchmark decontaminate`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.batches import batches
from curation.book import Book
from curation.decontaminate.detector import Detector, Finding, original_spans
from recipes.schema import DecontaminateStage

MAX_EVIDENCE_CHARS = 1_000
MASK = "\n"
MAX_CUTS = 100  # of items out of a document; one that holds more is dropped


class Decontaminate(PipelineStep):
    name = "decontaminate"

    def __init__(self, params: DecontaminateStage, benchmarks: Mapping[str, Path], book: Book):
        super().__init__()
        self.params = params
        self.benchmarks = dict(benchmarks)
        self.book = book
        self._detector: Detector | None = None

    @property
    def detector(self) -> Detector:
        """Built at first use: executors copy steps before they run them."""
        if self._detector is None:
            self._detector = Detector.of(self.benchmarks, self.params)
        return self._detector

    def describe(self) -> dict[str, Any]:
        """What documents are compared with; goes on record."""
        index = self.detector.index
        return {"benchmarks": self.detector.counts, "ngram": index.ngram, "ngrams": index.num_ngrams}

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        detector = self.detector
        for batch in batches(data):
            for doc, findings in zip(batch, detector.find([doc.text for doc in batch]), strict=True):
                removed = [finding for finding in findings if finding.tier == "remove"]
                if findings and not removed:
                    doc.metadata["near_contamination"] = self._evidence(doc.text, findings)
                if not removed or (self.params.on_hit == "mask" and self._mask(doc, removed)):
                    yield doc
                else:
                    doc.metadata["contamination"] = self._evidence(doc.text, removed)
                    self.book.drop(doc, "contaminated", removed[0].part.item.benchmark)

    def _evidence(self, text: str, findings: list[Finding]) -> dict[str, Any]:
        """The first finding, and the longest stretch of the text that it is about."""
        longest = max(findings[0].spans, key=lambda span: span[1] - span[0])
        [(start, end)] = original_spans(text, [longest])
        return findings[0].describe() | {"num_items": len(findings), "matched": text[start:end][:MAX_EVIDENCE_CHARS]}

    def _mask(self, doc: Document, removed: list[Finding]) -> bool:
        """Cuts out of the text what it holds of the best item until no item is found. What was cut is on record in the
        document's metadata, with its place in the text as it was then. False, and the text as it came, if that leaves nothing."""
        text = doc.text
        cuts: list[dict[str, Any]] = []
        while removed and len(cuts) < MAX_CUTS:
            assert removed[0].spans
            for start, end in reversed(original_spans(text, removed[0].spans)):
                cuts.append(removed[0].describe() | {"start": start, "end": end, "matched": text[start:end][:MAX_EVIDENCE_CHARS]})
                text = text[:start] + MASK + text[end:]
            removed = [finding for finding in self.detector.find([text])[0] if finding.tier == "remove"]
        if removed or not any(map(str.isalnum, text)):
            return False
        doc.metadata["masked_contamination"] = cuts
        self.book.count("masked", "characters", n=len(doc.text) - len(text))
        doc.text = text
        return True
