"""Benchmark items as an index from n-grams of tokens to the items that hold them.

An item is covered by a document to the share of the item's distinct n-grams that are in the document. n-grams that many
different items share (instructions, answer formats) say nothing of an item and do not count, if it has others.
"""

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from curation.candidates import Numbers
from curation.math_tokens import MARK, Hashes, TokenHashes, find_tokens, normalise, without_numbers
from curation.shingles import MULTIPLIER, SHIFT

QUESTION_KEYS = ("question", "problem", "prompt", "input", "instruction", "query", "text")
ID_KEYS = ("unique_id", "id", "idx", "index", "uid")
MAX_SHARING_ITEMS = 4  # n-grams in more different items are instructions


@dataclass(frozen=True)
class Item:
    benchmark: str
    name: str  # its own id, else its line
    text: str


def read_items(benchmark: str, path: Path) -> Iterator[Item]:
    """Items of a jsonl file, plain, .gz or .zst. Their questions only: answers and options are short and common."""
    if not path.is_file():
        raise ValueError(f"benchmark {benchmark!r}: there is no file {path}; nothing can be decontaminated against it")
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    else:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    num = 0
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)  # accepts NaN, which real files hold
        except json.JSONDecodeError as error:
            raise ValueError(f"benchmark {benchmark!r}: {path}, line {number} is not JSON ({error}); mend the file") from error
        yield _item(benchmark, path, number, record)
        num += 1
    if not num:
        raise ValueError(f"benchmark {benchmark!r}: {path} is empty; nothing can be decontaminated against it")


def _item(benchmark: str, path: Path, number: int, record: Any) -> Item:
    fields = {key.lower(): value for key, value in record.items()} if isinstance(record, dict) else {}
    questions = [fields[key] for key in QUESTION_KEYS if isinstance(fields.get(key), str) and fields[key].strip()]
    if not questions:
        raise ValueError(
            f"benchmark {benchmark!r}: {path}, line {number} has no question: keys {sorted(fields)}, wanted one of "
            f"{', '.join(QUESTION_KEYS)}; rename the column that holds it"
        )
    body = fields.get("body")  # ASDiv and SVAMP tell the story there
    text = f"{body} {questions[0]}" if isinstance(body, str) else questions[0]
    names = [fields[key] for key in ID_KEYS if isinstance(fields.get(key), str | int)]
    return Item(benchmark, str(names[0]) if names else f"line {number}", text)


@dataclass(frozen=True)
class Match:
    item: int
    coverage: float
    num_ngrams: int  # of the item, in the document


class Index:
    """Sorted n-gram hashes with the items that hold them, behind a bit table that most of a document never gets past."""

    def __init__(self, hashes: Hashes, items: Numbers, num_items: int, lengths: list[int]):
        """`items[i]` holds the n-gram `hashes[i]`; no pair twice."""
        order = np.argsort(hashes, kind="stable")
        self.items = items[order]
        self.hashes, self.starts, self.counts = np.unique(hashes[order], return_index=True, return_counts=True)
        self.totals = np.bincount(items, minlength=num_items)
        self.lengths = lengths
        bits = min(max(len(hashes).bit_length() + 3, 16), 26)  # at most one in 8 strangers gets past it, 64 MiB at most
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self.hashes >> self._shift] = True

    def look_up(self, tokens: Hashes) -> list[Match]:
        """Items that share n-grams with a document, by coverage."""
        places = np.unique(np.concatenate([self._places(grams)[0] for _, grams in ngrams(tokens, self.lengths)]))
        if not len(places):
            return []
        posted = np.concatenate([self.items[self.starts[p] : self.starts[p] + self.counts[p]] for p in places])
        items, hits = (found.tolist() for found in np.unique(posted, return_counts=True))
        matches = [Match(item, hit / int(self.totals[item]), hit) for item, hit in zip(items, hits, strict=True)]
        return sorted(matches, key=lambda match: (-match.coverage, -match.num_ngrams, match.item))

    def longest_run(self, tokens: Hashes, item: int) -> tuple[int, int]:
        """First and last (exclusive) token of the document's longest run that is covered by n-grams of the item."""
        held = np.repeat(np.arange(len(self.hashes)), self.counts)[self.items == item]
        covered = np.zeros(len(tokens) + 1, np.int64)
        for length, grams in ngrams(tokens, self.lengths):
            places, where = self._places(grams)
            for start in where[np.isin(places, held)].tolist():
                covered[start : start + length] = 1
        runs = np.flatnonzero(np.diff(np.r_[0, covered])).reshape(-1, 2)
        first, last = runs[np.argmax(runs[:, 1] - runs[:, 0])].tolist()
        return first, last

    def _places(self, grams: Hashes) -> tuple[Numbers, Numbers]:
        """Which known n-grams are among these, and where."""
        where = np.flatnonzero(self._table[grams >> self._shift])
        places = np.minimum(np.searchsorted(self.hashes, grams[where]), max(len(self.hashes) - 1, 0))
        known = self.hashes[places] == grams[where] if len(where) else np.zeros(0, np.bool_)
        return places[known], where[known]


def ngrams(tokens: Hashes, lengths: list[int]) -> Iterator[tuple[int, Hashes]]:
    """(length, hashes of all runs of so many tokens), for ascending lengths: each run's hash goes on from the shorter one's."""
    hashes = np.zeros(len(tokens), np.uint64)
    for length in range(1, max(lengths) + 1):
        hashes = hashes[: max(len(tokens) - length + 1, 0)]
        hashes = (hashes ^ tokens[length - 1 :]) * MULTIPLIER
        hashes ^= hashes >> SHIFT
        if length in lengths:
            yield length, hashes ^ np.uint64(length)


class BenchmarkIndex:
    """Items of all benchmarks, indexed as they are and with all numbers alike."""

    def __init__(self, benchmarks: Mapping[str, Path], ngram: int, min_item_words: int):
        self.tokens = TokenHashes()
        self.items: list[Item] = []
        self.counts: dict[str, dict[str, int]] = {}
        self._hashes: list[Hashes] = []
        for name, path in benchmarks.items():
            self.counts[name] = self._add(name, path, ngram, min_item_words)
        flat, sizes = np.concatenate(self._hashes), np.array([len(hashes) for hashes in self._hashes])
        owner = np.repeat(np.arange(len(sizes)), sizes)
        whole = np.minimum(sizes, ngram)  # an item of fewer tokens is one n-gram
        lengths = np.unique(whole).tolist()
        grams = [_inside(hashes, owner, length, whole == length) for length, hashes in ngrams(flat, lengths)]
        hashes, items = _distinct_pairs(*(np.concatenate(parts) for parts in zip(*grams, strict=True)))
        self.exact = Index(*_without_instructions(hashes, items, self._hashes), len(sizes), lengths)
        is_number = np.r_[0, np.cumsum(flat & MARK)]
        [(_, alike)] = ngrams(without_numbers(flat), [ngram])
        telling = is_number[ngram:] - is_number[: len(alike)] <= ngram // 2  # rows of numbers are in every table
        alike, items = _inside(np.where(telling, alike, 0), owner, ngram, whole == ngram)
        self.near = Index(*_distinct_pairs(alike[alike != 0], items[alike != 0]), len(sizes), [ngram])

    def _add(self, name: str, path: Path, ngram: int, min_item_words: int) -> dict[str, int]:
        counts = {"items": 0, "indexed": 0, "indexed_whole": 0, "unmatched_too_short": 0, "unmatched_plain_words": 0}
        for item in read_items(name, path):
            hashes = self.tokens.of(item.text)
            counts["items"] += 1
            if len(hashes) < min(min_item_words, ngram):
                counts["unmatched_too_short"] += 1
            elif len(hashes) < ngram and not _has_mathematics(item.text):
                counts["unmatched_plain_words"] += 1
            else:
                counts["indexed"] += 1
                counts["indexed_whole"] += len(hashes) < ngram
                self.items.append(item)
                self._hashes.append(hashes)
        if not counts["indexed"]:
            raise ValueError(
                f"benchmark {name!r}: all {counts['items']} items of {path} are too short to be told from other text (fewer than "
                f"min_item_words={min_item_words} words, or fewer than ngram={ngram} without mathematics), so nothing would be "
                "found; lower min_item_words or ngram"
            )
        return counts


def _has_mathematics(text: str) -> bool:
    """Whether a short text is more than common words: "Which of the following are true" is on many pages."""
    return any(not token.isalpha() for token, _, _ in find_tokens(normalise(text)))


def _inside(grams: Hashes, owner: Numbers, length: int, wanted: npt.NDArray[np.bool_]) -> tuple[Hashes, Numbers]:
    """n-grams, with their items, that begin and end in the same wanted item of the concatenated ones."""
    first, last = owner[: len(grams)], owner[length - 1 :]
    inside = (first == last) & wanted[first]
    return grams[inside], first[inside]


def _distinct_pairs(hashes: Hashes, items: Numbers) -> tuple[Hashes, Numbers]:
    order = np.lexsort((items, hashes))
    hashes, items = hashes[order], items[order]
    new = np.r_[True, (hashes[1:] != hashes[:-1]) | (items[1:] != items[:-1])][: len(order)]
    return hashes[new], items[new]


def _without_instructions(hashes: Hashes, items: Numbers, tokens: list[Hashes]) -> tuple[Hashes, Numbers]:
    """Leaves out n-grams that more than MAX_SHARING_ITEMS different items hold. Items that occur twice (MATH-500 is part of
    MATH) count once; an item that has no other n-grams keeps its own."""
    first_of: dict[bytes, int] = {}
    same = np.array([first_of.setdefault(one.tobytes(), number) for number, one in enumerate(tokens)])
    different, counts = np.unique(_distinct_pairs(hashes, same[items])[0], return_counts=True)
    own = ~np.isin(hashes, different[counts > MAX_SHARING_ITEMS])
    has_own = np.bincount(items[own], minlength=len(tokens)) > 0
    kept = own | ~has_own[items]
    return hashes[kept], items[kept]
