"""n-grams of tokens and the places in items that have them, as arrays that compiled functions look up in."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_hashes import Hashes, Offsets
from curation.decontaminate.ngram_kernels import fill_slots

Numbers = npt.NDArray[np.int32]
Truths = npt.NDArray[np.bool_]

MOST_BITS_PER_KEY, MIN_BITS = 8, 10
MIN_SLOTS, MIN_SLOTS_PER_NGRAM = 256, 1.5
MAX_TOKENS = 2**30  # of all items
MAX_SHARING_ITEMS = 4  # n-grams in more different items are instructions


class Table(NamedTuple):
    bits: Hashes  # 64 a word, and the shift that makes of a hash the number of its bit: whether to look up at all
    shift: np.uint64
    slots: Hashes  # of `fill_slots`: eight bytes an n-gram, in memory that numpy asks huge pages for
    postings: Numbers  # of each n-gram all places in a row: place << 1 | is it the last


def table_of(ngrams: Hashes, places: Offsets, told_by: Hashes) -> Table:
    """`ngrams[i]` begins at token `places[i]` of all items'. The bits are of the n-grams that lead to a look-up."""
    assert places.max(initial=0) < MAX_TOKENS
    order = np.argsort(ngrams, kind="stable")
    known, starts, sizes = np.unique(ngrams[order], return_index=True, return_counts=True)
    is_last = np.zeros(len(order), np.bool_)
    is_last[starts + sizes - 1] = True
    slots = np.zeros(max(1 << int(MIN_SLOTS_PER_NGRAM * len(known)).bit_length(), MIN_SLOTS), np.uint64)
    fill_slots(slots, known, starts)
    return Table(*_bits_of(np.unique(told_by)), slots, (places[order] << 1 | is_last).astype(np.int32))


def _bits_of(keys: Hashes) -> tuple[Hashes, np.uint64]:
    """One bit of four to eight for each key: what is looked up for each token of a text has to fit into the nearest cache."""
    power = max((MOST_BITS_PER_KEY * len(keys)).bit_length() - 1, MIN_BITS)
    shift = np.uint64(64 - power)
    bits = np.unique(keys >> shift)
    words = np.zeros(1 << power - 6, np.uint64)
    np.bitwise_or.at(words, (bits >> np.uint64(6)).astype(np.int64), np.uint64(1) << (bits & np.uint64(63)))
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
