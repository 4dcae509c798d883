"""Drops documents that hold benchmark items, and keeps the evidence: which item, how much of it, and the words.

A document is contaminated by an item if at least `min_coverage` of the item's n-grams are in it. Documents that cover an
item only when all numbers are taken for the same one (the problem with other numbers, or its template) are kept and marked
`near_contamination`. Paraphrases are out of reach of n-grams. A missing or empty benchmark is an error, never a stage that
does nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.benchmarks import BenchmarkIndex, Match
from curation.math_tokens import find_tokens, normalise, without_numbers
from recipes.schema import DecontaminateStage

MAX_EVIDENCE_CHARS = 1_000


class Decontaminate(PipelineStep):
    """Memory: about 400 bytes an n-gram of the benchmarks' items, for the index of a rank."""

    name = "decontaminate"

    def __init__(
        self, params: DecontaminateStage, benchmarks: Mapping[str, Path], drop: Callable[[Document, str, str], None]
    ):
        super().__init__()
        self.params = params
        self.benchmarks = dict(benchmarks)
        self.drop = drop
        self._index: BenchmarkIndex | None = None

    @property
    def index(self) -> BenchmarkIndex:
        """Built at first use: executors copy steps before they run them."""
        if self._index is None:
            if not self.benchmarks:
                raise ValueError(
                    "decontamination has no benchmarks and would do nothing; name at least one benchmark file"
                )
            self._index = BenchmarkIndex(self.benchmarks, self.params.ngram, self.params.min_item_words)
        return self._index

    def describe(self) -> dict[str, Any]:
        """What documents are compared with; goes on record."""
        exact = self.index.exact
        return {"benchmarks": self.index.counts, "ngram": self.params.ngram, "ngrams": len(exact.hashes)}

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        index = self.index
        for doc in data or ():
            tokens = index.tokens.of(doc.text)
            found = self._enough(index.exact.look_up(tokens))
            if found:
                best = found[0]
                doc.metadata["contamination"] = self._evidence(
                    doc, best, index.exact.marks(tokens, best.item), len(found)
                )
                self.drop(doc, "contaminated", index.items[best.item].benchmark)
                continue
            near = self._enough(index.near.look_up(without_numbers(tokens)))
            if near:
                doc.metadata["near_contamination"] = self._name(near[0])
            yield doc

    def _enough(self, matches: list[Match]) -> list[Match]:
        return [match for match in matches if match.coverage >= self.params.min_coverage]

    def _name(self, match: Match) -> dict[str, Any]:
        item = self.index.items[match.item]
        return {"benchmark": item.benchmark, "item": item.name, "coverage": round(match.coverage, 4)}

    def _evidence(self, doc: Document, match: Match, marks: tuple[int, int], num_items: int) -> dict[str, Any]:
        text = normalise(doc.text)
        tokens = find_tokens(text)
        matched = text[tokens[marks[0]][1] : tokens[marks[1] - 1][2]]
        return self._name(match) | {
            "num_ngrams": match.num_ngrams,
            "num_items": num_items,
            "matched": matched[:MAX_EVIDENCE_CHARS],
        }
