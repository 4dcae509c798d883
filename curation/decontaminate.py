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
MAX_OTHER_NUMBERS = 0.2  # share of n-grams


class Decontaminate(PipelineStep):
    """Memory: about 400 bytes an n-gram of the benchmarks' items, for the index of a rank."""

    name = "decontaminate"

    def __init__(self, params: DecontaminateStage, benchmarks: Mapping[str, Path], drop: Callable[[Document, str, str], None]):
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
                raise ValueError("decontamination has no benchmarks and would do nothing; name at least one benchmark file")
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
            near = {match.item: match for match in self._enough(index.near.look_up(without_numbers(tokens)))}
            found = [match for match in self._enough(index.exact.look_up(tokens)) if self._has_its_numbers(match, near)]
            if found:
                best = found[0]
                marks = index.exact.longest_run(tokens, best.item)
                doc.metadata["contamination"] = self._evidence(doc, best, marks, len(found))
                self.drop(doc, "contaminated", index.items[best.item].benchmark)
                continue
            if near:
                doc.metadata["near_contamination"] = self._name(next(iter(near.values())))
            yield doc

    def _has_its_numbers(self, match: Match, near: Mapping[int, Match]) -> bool:
        """False if many more of the item's n-grams are found once all numbers are alike: the same words, other numbers."""
        return match.item not in near or near[match.item].coverage - match.coverage <= MAX_OTHER_NUMBERS

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
