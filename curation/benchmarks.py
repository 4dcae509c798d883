"""Benchmark items as an index from n-grams of tokens to the items that hold them.

An item is covered by a document to the share of the item's distinct n-grams that are in the document. n-grams that many
different items share (instructions, answer formats) say nothing of an item and do not count, if it has others.
"""

import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from curation.candidates import Numbers
from curation.math_tokens import MARK, Hashes, TokenHashes, without_numbers
from curation.shingles import fold

QUESTION_KEYS = ("question", "problem", "prompt", "input", "instruction", "query", "text")
ID_KEYS = ("unique_id", "id", "idx", "index", "uid")
MAX_SHARING_ITEMS = 4  # n-grams in more different items are instructions
BITS = 64


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
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(
                f"benchmark {benchmark!r}: {path}, line {number} is not JSON ({error}); mend the file"
            ) from error
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

    def __init__(self, grams: Iterable[Hashes], lengths: list[int]):
        per_item = [np.unique(gram) for gram in grams]
        items = np.repeat(np.arange(len(per_item)), [len(gram) for gram in per_item])
        hashes = np.concatenate(per_item) if per_item else np.zeros(0, np.uint64)
        order = np.argsort(hashes, kind="stable")
        self.items: Numbers = items[order]
        self.hashes, self.starts, self.counts = np.unique(hashes[order], return_index=True, return_counts=True)
        self.totals = np.bincount(items, minlength=len(per_item))
        self.lengths = lengths
        bits = min(
            max(len(hashes).bit_length() + 4, 16), 26
        )  # at most one in 16 strangers gets past it, 64 MiB at most
        self._shift = np.uint64(BITS - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self.hashes >> self._shift] = True

    def look_up(self, tokens: Hashes) -> list[Match]:
        """Items that share n-grams with a document, by coverage."""
        found = []
        for length in self.lengths:
            grams = ngrams(tokens, length)
            grams = grams[self._table[grams >> self._shift]]
            if len(grams):
                place = np.minimum(np.searchsorted(self.hashes, grams), len(self.hashes) - 1)
                found.append(place[self.hashes[place] == grams])
        places = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
        if not len(places):
            return []
        posted = np.concatenate([self.items[self.starts[p] : self.starts[p] + self.counts[p]] for p in places])
        items, hits = np.unique(posted, return_counts=True)
        matches = [
            Match(item, hit / self.totals[item], hit) for item, hit in zip(items.tolist(), hits.tolist(), strict=True)
        ]
        return sorted(matches, key=lambda match: (-match.coverage, -match.num_ngrams, match.item))

    def marks(self, tokens: Hashes, item: int) -> tuple[int, int]:
        """First and last (exclusive) token of the document's longest run that is covered by n-grams of the item."""
        covered = np.zeros(len(tokens) + 1, np.int64)
        mine = np.unique(self.hashes[np.repeat(np.arange(len(self.hashes)), self.counts)[self.items == item]])
        for length in self.lengths:
            for start in np.flatnonzero(np.isin(ngrams(tokens, length), mine)).tolist():
                covered[start : start + length] = 1
        edges = np.flatnonzero(np.diff(np.r_[0, covered]))
        runs = edges.reshape(-1, 2)
        best = int(np.argmax(runs[:, 1] - runs[:, 0]))
        return int(runs[best, 0]), int(runs[best, 1])


def ngrams(tokens: Hashes, length: int) -> Hashes:
    """Hashes of all runs of `length` tokens."""
    if len(tokens) < length:
        return np.zeros(0, np.uint64)
    hashes: Hashes = fold(np.lib.stride_tricks.sliding_window_view(tokens, len(tokens) - length + 1)) ^ np.uint64(
        length
    )
    return hashes


class BenchmarkIndex:
    """Items of all benchmarks, indexed as they are and with all numbers alike."""

    def __init__(self, benchmarks: Mapping[str, Path], ngram: int, min_item_words: int):
        self.tokens = TokenHashes()
        self.items: list[Item] = []
        self.counts: dict[str, dict[str, int]] = {}
        tokens = []
        for name, path in benchmarks.items():
            counts = {"items": 0, "indexed": 0, "indexed_whole": 0, "unmatched_too_short": 0}
            for item in read_items(name, path):
                hashes = self.tokens.of(item.text)
                counts["items"] += 1
                if len(hashes) < min(min_item_words, ngram):
                    counts["unmatched_too_short"] += 1
                    continue
                counts["indexed"] += 1
                counts["indexed_whole"] += len(hashes) < ngram
                self.items.append(item)
                tokens.append(hashes)
            if not counts["indexed"]:
                raise ValueError(
                    f"benchmark {name!r}: all {counts['items']} items of {path} have fewer than min_item_words={min_item_words} "
                    "words, so nothing would be found; lower min_item_words"
                )
            self.counts[name] = counts
        lengths = sorted({min(len(hashes), ngram) for hashes in tokens})
        grams = _without_instructions([ngrams(hashes, min(len(hashes), ngram)) for hashes in tokens], tokens)
        self.exact = Index(grams, lengths)
        self.near = Index([_telling(hashes, ngram) for hashes in tokens], [ngram])


def _without_instructions(grams: list[Hashes], tokens: list[Hashes]) -> list[Hashes]:
    """Leaves out n-grams that more than MAX_SHARING_ITEMS different items hold. Items that occur twice (MATH-500 is part of
    MATH) count once."""
    different = {hashes.tobytes(): np.unique(gram) for hashes, gram in zip(tokens, grams, strict=True)}
    hashes, counts = np.unique(np.concatenate(list(different.values())), return_counts=True)
    shared = hashes[counts > MAX_SHARING_ITEMS]
    own = [gram[~np.isin(gram, shared)] for gram in grams]
    return [mine if len(mine) else gram for mine, gram in zip(own, grams, strict=True)]


def _telling(hashes: Hashes, ngram: int) -> Hashes:
    """n-grams with all numbers alike; rows of mostly numbers are in every table and prove nothing."""
    if len(hashes) < ngram:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(hashes & MARK, ngram)
    return ngrams(without_numbers(hashes), ngram)[windows.sum(axis=1) <= ngram // 2]
