"""Benchmark items as a table from n-grams of tokens to the places in items that have them, and what a document covers of items.

A token of an item is covered if an n-gram around it is in the document: the order of sentences, words changed here and there and
a part put elsewhere cost little of it. Every n-gram is in the table as it is, and with all numbers alike: what is covered only
so has other numbers. n-grams that many different items share (instructions, answer formats) say nothing of an item, and neither
do those of one or two different tokens (rows of zeros).

A table of 19 public benchmarks holds 2 million n-grams in about 55 MB; a kB of text takes 1 to 6 µs: what most of it waits for
is memory. So one bit says for every four tokens whether any item has them, in half a megabyte that stays in the nearest cache,
and one more for an n-gram of such tokens.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.coverage_kernels import bits_of_places, cover
from curation.decontaminate.math_token_hashes import Hashes, Tokens
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.ngram_kernels import item_ngrams, num_absent, shared_stretches, short_ngrams, with_numbers_alike
from curation.decontaminate.ngram_table import Numbers, are_rare, bits_of, numbers_of_texts, table_of

MIN_TELLING = 0.25  # of an item's tokens in telling n-grams, and so many tokens; an item with less keeps all its n-grams
MIN_TELLING_TOKENS = 13
BITS_PER_SHORT_NGRAM = 8  # at most: every token of every text has one to look up
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
        self._numbers, self._words = (bits_of_places((self.hashes & mark) > 0) for mark in (NUMBER, WORD))
        self.table = table_of(ngrams, items[both], self.offsets[items[both]] + places[both])
        self._short = bits_of(np.unique(short_ngrams(with_numbers_alike(self.hashes), self.offsets)), BITS_PER_SHORT_NGRAM)

    def cover(self, tokens: Tokens) -> Covered:
        """Items of which a text has MIN_SHARE or more."""
        items = (self.offsets, self._numbers, self._words, self._limits)
        rows: Numbers = cover(tokens.hashes, tokens.offsets, self.ngram, self._short, self.table, items)
        return Covered(*rows)

    def stretches_of(self, tokens: Hashes, item: int) -> npt.NDArray[np.int64]:  # (stretches, 2)
        """First and last tokens of where an item is in a text."""
        mine = self.hashes[self.offsets[item] : self.offsets[item + 1]]
        stretches: npt.NDArray[np.int64] = shared_stretches(tokens, mine, self.ngram)
        return stretches

    def num_absent(self, tokens: Tokens, documents: Numbers, items: Numbers) -> Numbers:
        """How many numbers of each item do not stand where its document has it."""
        rows = (documents, items)
        absent: Numbers = num_absent(tokens.hashes, tokens.offsets, (self.hashes, self.offsets), rows, self.ngram)
        return absent

    def _coverable(self, kept: npt.NDArray[np.bool_], items: Numbers, places: Numbers) -> Numbers:
        """How many tokens of each item are in its kept n-grams."""
        starts = self.offsets[items[kept]] + places[kept]
        changes = np.zeros(len(self.hashes) + 1, np.int32)
        np.add.at(changes, starts, 1)
        np.add.at(changes, starts + self.ngram, -1)
        inside = np.cumsum(changes[:-1]) > 0
        return np.add.reduceat(inside, self.offsets[:-1], dtype=np.int32)
