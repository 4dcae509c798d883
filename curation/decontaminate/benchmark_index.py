"""Benchmark items as a table from n-grams of tokens to the places in items that have them, and what a document covers of items.

A token of an item is covered if an n-gram around it is in the document: the order of sentences, words changed here and there and
a part put elsewhere cost little of it. Every n-gram is in the table as it is, and with all numbers alike: what is covered only
so has other numbers. n-grams that many different items share (instructions, answer formats) say nothing of an item, and neither
do those of one or two different tokens (rows of zeros).

A table of 19 public benchmarks holds 2 million n-grams in about 45 MB; a kB of text takes 2 to 10 µs: what most of it waits for
is memory. So one bit says for every four tokens whether any item has them, in half a megabyte that stays in the nearest cache.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_hashes import Hashes, Tokens
from curation.decontaminate.math_token_kernels import MARKS
from curation.decontaminate.ngram_kernels import SHORT, cover, item_ngrams, num_absent, shared_stretches, short_ngrams
from curation.decontaminate.ngram_table import Numbers, are_rare, numbers_of_texts, table_of

MIN_TELLING = 0.25  # of an item's tokens in telling n-grams, and so many tokens; an item with less keeps all its n-grams
MIN_TELLING_TOKENS = 13
MIN_SHARE = 0.25  # of an item's tokens: what covers less is not reported by `cover`


class Covered(NamedTuple):
    """Arrays in step: document `documents[i]` has so many tokens of item `items[i]`, in the order of documents."""

    documents: Numbers
    items: Numbers
    exact: Numbers  # tokens covered as they are
    near: Numbers  # tokens covered if all numbers are alike
    changed: Numbers  # numbers that are covered only so
    words: Numbers  # covered at all


class BenchmarkIndex:
    """`tokens` are the items', of at least `ngram` tokens each."""

    def __init__(self, tokens: Tokens, ngram: int):
        self.ngram = ngram
        self.hashes, self.offsets = tokens.hashes, tokens.offsets
        self.lengths = np.diff(self.offsets)
        assert len(self.lengths)
        assert self.lengths.min() >= ngram
        exact, near, items, places = item_ngrams(self.hashes, self.offsets, ngram)
        text = numbers_of_texts(self.hashes, self.offsets)[items]
        own = exact != 0
        telling = own & are_rare(exact, text)
        has_enough = self._coverable(telling, items, places) >= np.maximum(MIN_TELLING * self.lengths, MIN_TELLING_TOKENS)
        telling |= own & ~has_enough[items]
        telling_near = (near != 0) & are_rare(near, text)
        self.exact_coverable = self._coverable(telling, items, places)
        self.near_coverable = self._coverable(telling | telling_near, items, places)
        kept = np.flatnonzero(telling), np.flatnonzero(telling_near)
        both = np.concatenate(kept)
        ngrams = np.concatenate((exact[kept[0]], near[kept[1]]))
        self.num_ngrams = len(np.unique(ngrams))
        self._limits = np.ceil(MIN_SHARE * np.maximum(self.near_coverable, 1)).astype(np.int32)
        self._items = np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)  # of every token
        self._marks = (self.hashes & MARKS).astype(np.uint8)
        short = short_ngrams(self.hashes, self.offsets, SHORT, True)
        self.table = table_of(ngrams, self.offsets[items[both]] + places[both], short)

    def cover(self, tokens: Tokens) -> Covered:
        """Items of which a text has MIN_SHARE or more."""
        items = (self._marks, self.offsets, self._items)
        rows: Numbers = cover(tokens.hashes, tokens.offsets, items, self.ngram, self.table, self._limits)
        return Covered(*rows)

    def stretches_of(self, tokens: Hashes, item: int) -> npt.NDArray[np.int64]:  # (stretches, 2)
        """First and last tokens of where an item is in a text."""
        mine = self.hashes[self.offsets[item] : self.offsets[item + 1]]
        stretches: npt.NDArray[np.int64] = shared_stretches(tokens, mine, self.ngram)
        return stretches

    def num_absent(self, tokens: Hashes, item: int) -> int:
        """How many numbers of an item do not stand where a text has it."""
        mine = self.hashes[self.offsets[item] : self.offsets[item + 1]]
        return int(num_absent(tokens, self.stretches_of(tokens, item), self.ngram, mine))

    def _coverable(self, kept: npt.NDArray[np.bool_], items: Numbers, places: Numbers) -> Numbers:
        """How many tokens of each item are in its kept n-grams."""
        starts = self.offsets[items[kept]] + places[kept]
        changes = np.zeros(len(self.hashes) + 1, np.int32)
        np.add.at(changes, starts, 1)
        np.add.at(changes, starts + self.ngram, -1)
        inside = np.cumsum(changes[:-1]) > 0
        return np.add.reduceat(inside, self.offsets[:-1], dtype=np.int32)
