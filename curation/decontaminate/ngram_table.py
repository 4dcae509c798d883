"""n-grams of tokens and the places in items that have them, as arrays that compiled functions look up in."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_hashes import Hashes, Offsets
from curation.decontaminate.ngram_kernels import ITEM_SHIFT, fill_slots

Numbers = npt.NDArray[np.int32]
Truths = npt.NDArray[np.bool_]

BITS_PER_NGRAM = 16  # at most: half of what look-ups cost is of n-grams that are not known
MIN_BITS = 10
MIN_SLOTS, MIN_SLOTS_PER_NGRAM = 256, 2
MAX_TOKENS = 2 ** (ITEM_SHIFT - 1)  # of all items
MAX_SHARING_ITEMS = 4  # n-grams in more different items are instructions


class Bits(NamedTuple):
    """Whether a hash may be known, in one look at little memory: 64 bits a word."""

    words: Hashes
    shift: np.uint64  # makes of a hash the number of its bit


class Table(NamedTuple):
    bits: Bits
    slots: Hashes  # of `fill_slots`: eight bytes an n-gram, in memory that numpy asks huge pages for
    postings: Offsets  # of each n-gram all places in a row: item << ITEM_SHIFT | place << 1 | is it the last


def table_of(ngrams: Hashes, items: Numbers, places: Offsets) -> Table:
    """`ngrams[i]` is item `items[i]`'s and begins at token `places[i]` of all items'."""
    assert places.max(initial=0) < MAX_TOKENS
    order = np.argsort(ngrams, kind="stable")
    known, starts, sizes = np.unique(ngrams[order], return_index=True, return_counts=True)
    is_last = np.zeros(len(order), np.bool_)
    is_last[starts + sizes - 1] = True
    slots = np.zeros(max(1 << int(MIN_SLOTS_PER_NGRAM * len(known)).bit_length(), MIN_SLOTS), np.uint64)
    fill_slots(slots, known, starts)
    postings = items[order].astype(np.int64) << ITEM_SHIFT | places[order] << 1 | is_last
    return Table(bits_of(known, BITS_PER_NGRAM), slots, postings)


def bits_of(hashes: Hashes, bits_per_key: int) -> Bits:
    """Of different hashes, with so many bits for each, half of it at least."""
    power = max((bits_per_key * len(hashes)).bit_length() - 1, MIN_BITS)
    shift = np.uint64(64 - power)
    bits = np.unique(hashes >> shift)
    words = np.zeros(1 << power - 6, np.uint64)
    np.bitwise_or.at(words, (bits >> np.uint64(6)).astype(np.int64), np.uint64(1) << (bits & np.uint64(63)))
    return Bits(words, shift)


def are_rare(ngrams: Hashes, texts: Numbers) -> Truths:
    """Whether at most MAX_SHARING_ITEMS different texts hold each n-gram."""
    rare: Truths = num_sharing(ngrams, texts) <= MAX_SHARING_ITEMS
    return rare


def num_sharing(ngrams: Hashes, texts: Numbers) -> Numbers:
    """How many different texts hold each n-gram."""
    order = np.lexsort((texts, ngrams))
    ngrams, texts = ngrams[order], texts[order]
    is_new_ngram = np.r_[True, ngrams[1:] != ngrams[:-1]]
    is_new_pair = is_new_ngram | np.r_[True, texts[1:] != texts[:-1]]
    number = np.cumsum(is_new_ngram) - 1
    found = np.empty(len(order), np.int32)
    found[order] = np.bincount(number, weights=is_new_pair)[number]
    return found


def numbers_of_texts(tokens: Hashes, offsets: Offsets) -> Numbers:
    """The same number for items with the same tokens: MATH-500 is part of MATH, and its items are no instructions."""
    first_of: dict[bytes, int] = {}
    texts = (tokens[start:end].tobytes() for start, end in pairwise(offsets.tolist()))
    return np.array([first_of.setdefault(text, number) for number, text in enumerate(texts)], np.int32)
