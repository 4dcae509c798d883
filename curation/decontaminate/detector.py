"""Which benchmark items a text holds, how much of them, and where.

Two detectors. An item's tokens are covered by n-grams that text and item share, wherever they are: that finds copies, also
reformatted, cut up and reordered ones. And outlines (outlines.py) lead to places that are compared with an item in order: that
finds copies with every fifth word another one, and versions with other numbers, signs and clauses. What is found is `remove` if
enough of an item is there and its numbers are (one, or a fifth, may be another, and those of a missing part may miss); it is
`near` if most of it is there but for the numbers, a smaller piece, or a version of it. Paraphrases are out of reach of both.

A version is told by bits, not by tokens: "x = 3" and "find the value of" are everywhere. Of 1,517 clean pages (PlanetMath, C4)
24 are near an item of 19 benchmarks, and none is removed. Of GSM8K's first 1,000 training problems with their solutions 37 are
near, of 750 of MATH's, whose templates its test items share, 256. Of 63 clean problems none is: forms of answers ("Express your
answer in simplest radical form") tell no more than how rare they are (outlines.py).

8-grams of tokens lose less at every changed word than 13-grams do, and items of eight words have one. Planted questions with
their sentences reordered are removed 0.88, 0.89, 0.85, 0.81 of the time with 6-, 8-, 10- and 13-grams, those in two pieces 0.87,
0.82, 0.76, 0.69; of 4,059 clean pages 8 are removed with 6-grams and 1 with 8-grams. A hit of one n-gram says nothing here: half
of an item has to be found, and 13 tokens of it (GPT-3's n, appendix C) or all.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.benchmark_index import BenchmarkIndex, Covered
from curation.decontaminate.benchmarks import Benchmarks, Part
from curation.decontaminate.math_token_hashes import Offsets, Tokens, find_hashes, original_places
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.ngram_table import Numbers, Truths
from curation.decontaminate.outlines import MIN_BITS, UNITS_PER_BIT, Candidates, OutlineIndex, outlines_of
from curation.decontaminate.token_order import InOrder, Limits, compare_in_order
from recipes.schema import DecontaminateStage

MAX_OTHER_NUMBERS = 0.2  # of an item's numbers; where more of them do not stand, it is another problem
FEW_WORDS = 3  # may be missing, or be all there are: then a formula alone has to be the same, numbers too
FEW_TOKENS = 10  # of an item are reported
MAX_IN_ORDER_TOKENS = 400  # longer items are compared by n-grams alone: the time grows with the square
MIN_WORD_BITS = 16  # that words tell of what is found: formulas of one shape are everywhere, unless most of an item is there
MOST = 0.7
MIN_SOLUTION_SHARE = 0.7  # in order: solutions of all problems of a kind say the same
Tier = Literal["remove", "near"]
Span = tuple[int, int]


class Finding(NamedTuple):
    part: Part
    number: int  # of the part in the index
    tier: Tier
    coverage: float  # share of the part's telling tokens that are in the text as they are
    near_coverage: float  # the same, all numbers alike
    in_order: float  # share of the part's outline that is there in its order, by weight; 0 where coverage decided
    num_tokens: int  # found
    spans: tuple[Span, ...] = ()  # of the first finding of a text: where it is in the normalised bytes

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
    """Memory: about 65 bytes a token of the benchmarks' items, 115 MB for 19 public ones."""

    def __init__(self, benchmarks: Benchmarks):
        self.params: DecontaminateStage = benchmarks.params
        self.parts = benchmarks.parts
        self.counts = benchmarks.counts
        texts: dict[tuple[str, bool], list[int]] = {}  # what several benchmarks have is one item here, and is compared once
        for number, part in enumerate(self.parts):
            texts.setdefault((part.text, part.name == "solutions"), []).append(number)
        self._numbers = np.concatenate(list(texts.values()))  # of parts, item by item
        self._bounds = np.r_[0, np.cumsum([len(numbers) for numbers in texts.values()])]
        tokens = find_hashes([text for text, _ in texts])
        self.index = BenchmarkIndex(tokens, self.params.ngram)
        is_solution = np.array([is_solution for _, is_solution in texts])
        self.outlines = OutlineIndex(tokens, MAX_IN_ORDER_TOKENS, problems=~is_solution)
        self._num_numbers, self._num_words = (
            np.add.reduceat((self.index.hashes & mark) > 0, self.index.offsets[:-1], dtype=np.int32) for mark in (NUMBER, WORD)
        )
        self._max_absent = MAX_OTHER_NUMBERS * self._num_numbers
        wanted = np.where(is_solution, self.params.min_solution_words, self.params.min_words)
        self._enough = np.minimum(wanted, self.index.exact_coverable)  # tokens that must be found
        self._limits = Limits(self._needed_in_order(is_solution), self._enough_in_order(), MIN_WORD_BITS * UNITS_PER_BIT)
        self._count_repetitive()

    def _needed_in_order(self, is_solution: Truths) -> Offsets:
        """Of every item's weight, by near_in_order and by bits; of items that never have so many bits most of it."""
        totals = self.outlines.totals
        shares = np.where(is_solution, max(self.params.near_in_order, MIN_SOLUTION_SHARE), self.params.near_in_order)
        by_bits = np.minimum(np.sqrt(MIN_BITS * UNITS_PER_BIT * totals), MOST * totals)
        needed: Offsets = np.maximum(np.ceil(np.maximum(shares * totals, by_bits)), 1).astype(np.int64)
        return needed

    def _enough_in_order(self) -> Offsets:
        """Tokens of every item that have to be found in order."""
        enough: Offsets = np.maximum(self._enough, np.ceil(self.params.min_in_order * self.index.lengths)).astype(np.int64)
        return enough

    def _count_repetitive(self) -> None:
        """Parts whose n-grams all say nothing (a matrix of zeros) are found nowhere; a benchmark of them alone is an error."""
        for number in self._numbers[np.repeat(self.index.exact_coverable == 0, np.diff(self._bounds))].tolist():
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
        removed, near = self._judge_covered(covered)
        removed[removed] = self._have_numbers(tokens, covered, removed)
        keys = self._keys(covered)
        ordered = self._compare_in_order(tokens, decided=keys[removed])
        removed_in_order, near_in_order = self._judge_ordered(ordered)
        keys_in_order = self._keys(ordered)
        sure = np.concatenate((keys[removed], keys_in_order[removed_in_order]))
        wanted = np.unique(np.concatenate((sure, keys[near], keys_in_order[near_in_order])))
        rows, rows_in_order = _rows_of(wanted, keys), _rows_of(wanted, keys_in_order)
        found: list[list[Finding]] = [[] for _ in texts]
        is_sure = _rows_of(wanted, sure) >= 0
        for document, finding in self._findings(tokens, wanted, is_sure, covered, rows, ordered, rows_in_order):
            found[document].append(finding)
        return found

    def _keys(self, rows: Covered | InOrder) -> npt.NDArray[np.int64]:
        """A number for each pair of document and item."""
        return rows.documents.astype(np.int64) * len(self.parts) + rows.items

    def _compare_in_order(self, tokens: Tokens, decided: npt.NDArray[np.int64]) -> InOrder:
        """All that outlines lead to but for pairs that are decided."""
        outlines = outlines_of(tokens)
        candidates = self.outlines.candidates(outlines)
        undecided = _rows_of(candidates.documents * len(self.parts) + candidates.items, decided) < 0
        candidates = Candidates(*(rows[undecided] for rows in candidates))
        items = (self.index.hashes, self.index.offsets)
        return compare_in_order(tokens, outlines, candidates, self.outlines, items, self._limits)

    def _findings(
        self,
        tokens: Tokens,
        keys: Offsets,
        removed: Truths,
        covered: Covered,
        rows: Offsets,
        ordered: InOrder,
        rows_in_order: Offsets,
    ) -> Iterator[tuple[int, Finding]]:
        """(document, finding), by document, and what is surer first."""
        documents, items = np.divmod(keys, len(self.parts))
        exact, near = (np.append(column, 0)[rows] for column in (covered.exact, covered.near))  # 0 where there is no row
        weights, in_order_tokens = (np.append(column, 0)[rows_in_order] for column in (ordered.found, ordered.shared_tokens))
        coverage = exact / np.maximum(self.index.exact_coverable[items], 1)
        near_coverage = near / self.index.near_coverable[items]
        in_order = weights / np.maximum(self.outlines.totals[items], 1)
        num_tokens = np.maximum(exact, in_order_tokens)
        pairs, numbers = self._parts_of(items)
        ranks = (-num_tokens, -np.maximum(coverage, in_order), ~removed, documents)
        order = np.lexsort((numbers, *(rank[pairs] for rank in ranks)))
        pairs, numbers = pairs[order], numbers[order]
        is_first = np.diff(documents[pairs], prepend=-1) > 0
        firsts = pairs[is_first]
        spans = iter(self._spans(tokens, documents[firsts].tolist(), items[firsts].tolist(), ordered, rows_in_order[firsts]))
        columns = (documents, removed, coverage, near_coverage, in_order, num_tokens)
        in_documents, are_removed, *others = (column[pairs].tolist() for column in columns)
        of_parts = numbers.tolist()
        parts = [self.parts[number] for number in of_parts]
        tiers = ["remove" if is_removed else "near" for is_removed in are_removed]
        where = [next(spans) if first else () for first in is_first.tolist()]
        return zip(in_documents, map(Finding._make, zip(parts, of_parts, tiers, *others, where, strict=True)), strict=True)

    def _parts_of(self, items: Offsets) -> tuple[Offsets, Offsets]:
        """(which of the items, number of the part) of all parts that are these items."""
        num_parts = np.diff(self._bounds)[items]
        which = np.repeat(np.arange(len(items)), num_parts)
        shifts = self._bounds[items + 1] - np.cumsum(num_parts)
        return which, self._numbers[shifts[which] + np.arange(len(which))]

    def _judge_covered(self, covered: Covered) -> tuple[Truths, Truths]:
        """Of every row: is it to be removed, and is it near."""
        params, items = self.params, covered.items
        enough, num_words = self._enough[items], self._num_words[items]

        def has_words(share: float) -> Truths:
            return self._has_words(items, covered.words, share)

        remove = covered.exact >= np.maximum(enough, params.min_coverage * self.index.exact_coverable[items])
        remove &= has_words(params.min_coverage) & (covered.changed <= self._max_absent[items])
        found = np.where(num_words <= FEW_WORDS, covered.exact, covered.near)
        few = np.minimum(enough, FEW_TOKENS)
        near = found >= np.maximum(few, params.near_coverage * self.index.near_coverable[items])
        near &= has_words(params.near_coverage)
        return remove, near

    def _have_numbers(self, tokens: Tokens, covered: Covered, rows: Truths) -> Truths:
        """Of these rows: do the item's numbers stand where the item was found? So many may be missing as are of the item:
        half of it is still the item; all its words with other numbers, or with none, are another one.

        Which numbers stand there instead is not asked. Of 7,500 training problems of MATH 356 are removed, 124 of them with more
        than a fifth of their numbers not in the item: versions of it but for a few words. Not to remove where others stand keeps
        35 of them, and 16 of 200 truncated copies, behind which the numbers of the next problem stand. Both are `near` then; a
        version that is lost costs less than a copy that is kept. Of 20 of them that were read 14 are versions of the item; 6 are
        other problems that share a long form with it ("Enter your answer in the form $(r,\\theta),$ where $r > 0$ ...")."""
        documents, items = covered.documents[rows], covered.items[rows]
        missing = 1 - covered.exact[rows] / self.index.exact_coverable[items]
        allowed = np.maximum(self._max_absent[items] + missing * self._num_numbers[items], 1)  # one may have become an x
        truths: Truths = self.index.num_absent(tokens, documents, items) <= allowed
        return truths

    def _judge_ordered(self, ordered: InOrder) -> tuple[Truths, Truths]:
        """The same of rows that have near_in_order of an item's outline."""
        items = ordered.items
        remove = ordered.same_tokens >= self._limits.tokens[items]
        remove &= self._has_words(items, ordered.word_tokens, self.params.min_in_order) & (ordered.word_tokens > FEW_WORDS)
        remove &= self._num_numbers[items] - ordered.numbers <= self._max_absent[items]
        shares = ordered.found / np.maximum(self.outlines.totals[items], 1)
        word_shares = ordered.words / np.maximum(ordered.all_words, 1)
        near = ordered.found * shares >= MIN_BITS * UNITS_PER_BIT
        near &= (ordered.words >= self._limits.words) | (np.minimum(shares, word_shares) >= MOST)
        return remove, near

    def _has_words(self, items: Numbers | Offsets, found: Numbers | Offsets, share: float) -> Truths:
        num_words = self._num_words[items]
        truths: Truths = num_words - found <= np.maximum(FEW_WORDS, (1 - share) * num_words)
        return truths

    def _spans(
        self, tokens: Tokens, documents: list[int], items: list[int], ordered: InOrder, rows: Offsets
    ) -> Iterator[tuple[Span, ...]]:
        """Where an item is in the normalised bytes of its document: the stretch where it is in order (its row), else its
        n-grams."""
        starts = np.append(tokens.starts[ordered.begins], 0)[rows].tolist()
        ends = np.append(tokens.ends[ordered.ends - 1], 0)[rows].tolist()
        for document, item, row, start, end in zip(documents, items, rows.tolist(), starts, ends, strict=True):
            if row >= 0:
                yield ((start, end),)
                continue
            mine = slice(tokens.offsets[document], tokens.offsets[document + 1])
            firsts, lasts = self.index.stretches_of(tokens.hashes[mine], item).T
            yield tuple(zip(tokens.starts[mine][firsts].tolist(), tokens.ends[mine][lasts].tolist(), strict=True))


def _rows_of(wanted: Offsets, keys: Offsets) -> Offsets:
    """Where each wanted key is among these, which differ; -1 where it is not."""
    order = np.argsort(keys)
    places = np.append(order, -1)[np.searchsorted(keys, wanted, sorter=order)]
    rows: Offsets = np.where(np.append(keys, -1)[places] == wanted, places, -1)
    return rows


def original_spans(text: str, spans: Sequence[Span]) -> list[Span]:
    """Characters of a text that stand at spans of its normalised bytes."""
    places = original_places(text, [byte - is_end for span in spans for is_end, byte in enumerate(span)])
    return [(start, end + 1) for start, end in zip(places[::2], places[1::2], strict=True)]


@lru_cache(maxsize=1)
def _detector(files: tuple[tuple[str, tuple[Path, int]], ...], params: str) -> Detector:
    benchmarks = {name: path for name, (path, _) in files}
    return Detector(Benchmarks(benchmarks, DecontaminateStage.model_validate_json(params)))
