"""n-grams of tokens and the places in items that have them, as arrays that compiled functions look up in."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_hashes import Hashes, Offsets
from curation.decontaminate.ngram_kernels import posted_slots, three_bits

Numbers = npt.NDArray[np.int32]
Truths = npt.NDArray[np.bool_]

MAX_SHARING_ITEMS = 4  # n-grams in more different items are instructions


class Table(NamedTuple):
    words: Hashes  # of `filter_of`
    words_shift: np.uint64
    slots: npt.NDArray[np.uint64]  # (slots, 2): an n-gram and where it is, side by side: a look-up waits for memory once


def table_of(ngrams: Hashes, items: Numbers, places: Numbers) -> Table:
    """`ngrams[i]` is at token `places[i]` of item `items[i]`."""
    return Table(*filter_of(np.unique(ngrams)), posted_slots(ngrams, items, places))


def filter_of(keys: Hashes) -> tuple[Hashes, np.uint64]:
    """A blocked Bloom filter, small enough for the cache: three bits of one word for each key; and the shift that tells the
    word."""
    bits = max(len(keys).bit_length() + 1, 8) - 3  # one n-gram in 100 gets past it by chance
    shift = np.uint64(64 - bits)
    words = np.zeros(1 << bits, np.uint64)
    np.bitwise_or.at(words, (keys >> shift).astype(np.int64), three_bits(keys))
    return words, shift


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
