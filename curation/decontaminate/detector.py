"""Which benchmark items a text holds, how much of them, and where.

Two detectors. An item's tokens are covered by n-grams that text and item share, wherever they are: that finds copies, also
reformatted, cut up and reordered ones. What shares a quarter of an item is compared with it in order (longest common
subsequence): that finds copies with words changed here and there. An item of which no n-gram is left (every eighth word is
another one) is not found. What is found is `remove` if enough of an item is there and its numbers are; it is `near` if most of
it is there but for the numbers, or a smaller piece. Paraphrases are out of reach of both.

8-grams of tokens lose less at every changed word than 13-grams do, and items of eight words have one. Planted questions with
their sentences reordered are removed 0.88, 0.89, 0.85, 0.81 of the time with 6-, 8-, 10- and 13-grams, those in two pieces 0.87,
0.82, 0.76, 0.69; of 4,059 clean pages 8 are removed with 6-grams and 1 with 8-grams. A hit of one n-gram says nothing here: half
of an item has to be found, and 13 tokens of it (GPT-3's n, appendix C) or all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curation.decontaminate.benchmark_index import BenchmarkIndex, Covered, Numbers
from curation.decontaminate.benchmarks import Benchmarks, Part
from curation.decontaminate.math_token_hashes import Tokens, find_hashes, original_places
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.token_order import compare_in_order
from recipes.schema import DecontaminateStage

Truths = npt.NDArray[np.bool_]

MAX_OTHER_NUMBERS = 0.2  # of an item's numbers; with more of them changed it is another problem
FEW_WORDS = 3  # may be missing, or be all there are: then a formula alone has to be the same, numbers too
FEW_TOKENS = 10  # of an item are reported
MAX_IN_ORDER_TOKENS = 400  # longer items are compared by n-grams alone: the time grows with the square
Tier = Literal["remove", "near"]
Span = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    part: Part
    number: int  # of the part in the index
    tier: Tier
    coverage: float  # share of the part's telling tokens that are in the text as they are
    near_coverage: float  # the same, all numbers alike
    in_order: float  # share of the part's tokens in the longest common subsequence; 0 where coverage decided
    num_tokens: int  # found
    spans: tuple[Span, ...] = ()  # of the first finding of a text: where it is in the normalised bytes

    def rank(self) -> tuple[Any, ...]:
        """Smaller for what is surer."""
        return self.tier == "near", -max(self.coverage, self.in_order), -self.num_tokens, self.number

    def describe(self) -> dict[str, Any]:
        return {
            "benchmark": self.part.item.benchmark,
            "item": self.part.item.name,
            "part": self.part.name,
            "coverage": round(self.coverage, 4),
            "near_coverage": round(self.near_coverage, 4),
            "in_order": round(self.in_order, 4),
            "num_tokens": self.num_tokens,
        }


class Detector:
    """Memory: about 60 bytes a token of the benchmarks' items."""

    def __init__(self, benchmarks: Benchmarks):
        self.params: DecontaminateStage = benchmarks.params
        self.parts = benchmarks.parts
        self.counts = benchmarks.counts
        self.index = BenchmarkIndex(find_hashes([part.text for part in self.parts]), self.params.ngram)
        self._num_numbers, self._num_words = (
            np.add.reduceat((self.index.hashes & mark) > 0, self.index.offsets[:-1], dtype=np.int32) for mark in (NUMBER, WORD)
        )
        is_solution = np.array([part.name == "solutions" for part in self.parts])
        wanted = np.where(is_solution, self.params.min_solution_words, self.params.min_words)
        self._enough = np.minimum(wanted, self.index.exact_coverable)  # tokens that must be found
        self._count_repetitive()

    def _count_repetitive(self) -> None:
        """Parts whose n-grams all say nothing (a matrix of zeros) are found nowhere; a benchmark of them alone is an error."""
        for number in np.flatnonzero(self.index.exact_coverable == 0).tolist():
            self.counts[self.parts[number].item.benchmark]["repetitive"] += 1
        for name, counts in self.counts.items():
            if counts["repetitive"] == sum(part.item.benchmark == name for part in self.parts):
                raise ValueError(
                    f"benchmark {name!r}: all n-grams of its items repeat one or two tokens, so nothing would be found; check "
                    "that its file holds questions"
                )

    @classmethod
    def of(cls, files: Mapping[str, Path], params: DecontaminateStage) -> "Detector":
        """Building takes seconds for a score of benchmarks: a process that does several ranks builds once, unless a file has
        changed."""
        states = [(path, path.stat().st_mtime_ns) if path.is_file() else (path, 0) for path in files.values()]
        return _detector(tuple(zip(files, states, strict=True)), params.model_dump_json())

    def find(self, texts: list[str]) -> list[list[Finding]]:
        """What each text holds, items to remove first, then by coverage."""
        tokens = find_hashes(texts)
        covered = self.index.cover(tokens)
        remove, near, in_order = self._judge(tokens, covered)
        found: list[list[Finding]] = [[] for _ in texts]
        for row in np.flatnonzero(remove | near).tolist():
            number = int(covered.items[row])
            exact, length = int(covered.exact[row]), int(self.index.lengths[number])
            finding = Finding(
                part=self.parts[number],
                number=number,
                tier="remove" if remove[row] else "near",
                coverage=exact / max(int(self.index.exact_coverable[number]), 1),
                near_coverage=int(covered.near[row]) / int(self.index.near_coverable[number]),
                in_order=int(in_order[row]) / length,
                num_tokens=max(exact, int(in_order[row])),
            )
            found[int(covered.documents[row])].append(finding)
        for document, findings in enumerate(found):
            if findings:
                findings.sort(key=Finding.rank)
                findings[0] = replace(findings[0], spans=self._spans(tokens, document, findings[0].number))
        return found

    def _judge(self, tokens: Tokens, covered: Covered) -> tuple[Truths, Truths, Numbers]:
        """Of every row: is it to be removed, is it near, and how many tokens are in order."""
        params, items = self.params, covered.items
        length, enough, num_words = self.index.lengths[items], self._enough[items], self._num_words[items]
        few = np.minimum(enough, FEW_TOKENS)
        max_changed = MAX_OTHER_NUMBERS * self._num_numbers[items]

        def has_words(found: Numbers, share: float) -> Truths:
            truths: Truths = num_words - found <= np.maximum(FEW_WORDS, (1 - share) * num_words)
            return truths

        remove = covered.exact >= np.maximum(enough, params.min_coverage * self.index.exact_coverable[items])
        remove &= has_words(covered.words, params.min_coverage) & (covered.changed <= max_changed)
        unsure = ~remove & (length <= MAX_IN_ORDER_TOKENS)
        order = compare_in_order(tokens, self.index.hashes, self.index.offsets, covered, unsure, params.near_in_order)
        in_order = order.same >= np.maximum(enough, params.min_in_order * length)
        in_order &= has_words(order.words, params.min_in_order) & (order.words > FEW_WORDS)
        remove |= in_order & (order.alike - order.same <= max_changed)
        is_formula = num_words <= FEW_WORDS
        found, alike = np.where(is_formula, covered.exact, covered.near), np.where(is_formula, order.same, order.alike)
        near = found >= np.maximum(few, params.near_coverage * self.index.near_coverable[items])
        near &= has_words(covered.words, params.near_coverage)
        near |= (alike >= np.maximum(few, params.near_in_order * length)) & has_words(order.words, params.near_in_order)
        return remove, near & ~remove, np.where(remove, order.same, alike)

    def _spans(self, tokens: Tokens, document: int, item: int) -> tuple[Span, ...]:
        """Where an item is in the normalised bytes of a document."""
        mine = slice(tokens.offsets[document], tokens.offsets[document + 1])
        starts, ends = tokens.starts[mine], tokens.ends[mine]
        stretches = self.index.stretches_of(tokens.hashes[mine], item).tolist()
        return tuple((int(starts[first]), int(ends[last])) for first, last in stretches)


def original_spans(text: str, spans: Sequence[Span]) -> list[Span]:
    """Characters of a text that stand at spans of its normalised bytes."""
    places = original_places(text, [byte - is_end for span in spans for is_end, byte in enumerate(span)])
    return [(start, end + 1) for start, end in zip(places[::2], places[1::2], strict=True)]


@lru_cache(maxsize=1)
def _detector(files: tuple[tuple[str, tuple[Path, int]], ...], params: str) -> Detector:
    benchmarks = {name: path for name, (path, _) in files}
    return Detector(Benchmarks(benchmarks, DecontaminateStage.model_validate_json(params)))
