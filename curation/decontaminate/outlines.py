"""Outlines of texts, and an index of benchmark items by theirs: which items a text may hold in another version.

An outline is a text's tokens with all numbers alike; numbers in a row are one, with their signs. (2, -1, 5) and (3, 4) are the
same in it, as they are in two versions of a problem. 4-grams of outlines lead from texts to items: they are left where every
fifth word is another one. Those that many items share lead nowhere. A few in one place lead to an item; one that tells as
much as has to be found counts twice, for a short item's version may have no other four tokens in a row.

What has been found is measured in bits: a token that stands in one problem of 1,000 tells ten bits of which problem this is, one
that stands in half of them one bit. How many problems hold a token is counted in the benchmarks; common_tokens.tsv says it (in
percent) for 1,000 problems more, or the frequent words of a page with 15 items would be rare ones. Words that say what form an
answer shall have are rare one by one, but they come together, in many problems that share nothing else: all of "Express your
answer in simplest radical form" tells 8 bits and not 38. A small benchmark cannot know that: answer_forms.tsv says in how many
problems (in percent, of MATH's 7,500 training problems and 19,800 items of 19 benchmarks) a form stands. It has those that say
"your answer", or end so, in ten problems or more. What names the thing asked for ("Enter the ordered pair") is no form.
"""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.decontaminate.math_token_hashes import Hashes, Offsets, Tokens, find_hashes
from curation.decontaminate.math_token_kernels import ANY_NUMBER
from curation.decontaminate.ngram_kernels import SHORT, ngram_of, ngrams_of, short_ngrams
from curation.decontaminate.ngram_table import MAX_SHARING_ITEMS, Numbers, Truths, num_sharing, numbers_of_texts, table_of
from curation.decontaminate.outline_kernels import TOKENS_PER_SEED, outline, seeded

MIN_SEED_BITS = 8  # "x = 3 +" leads to everything
MIN_BITS = 20  # that have to be found of an outline, times the share of it: one problem of a million has them
MAX_SHARING_FORM = 32  # texts, by an n-gram that is among the rarest of an item nevertheless
COMMON_TOKENS = Path(__file__).with_name("common_tokens.tsv")
ANSWER_FORMS = Path(__file__).with_name("answer_forms.tsv")
IMAGINED_PROBLEMS = 1_000
NUMBER_SHARE = 90  # percent of problems that hold a number
UNITS_PER_BIT = 1_000


class Outlines(NamedTuple):
    """Of several texts in a row, as `Tokens` are; `places` says which token of theirs each is."""

    hashes: Hashes
    places: Numbers
    offsets: Offsets


class Candidates(NamedTuple):
    """Arrays in step: document `documents[i]` may hold item `items[i]`, which would begin at token `begins[i]` of all
    outlines."""

    documents: Offsets
    items: Offsets
    begins: Offsets


def outlines_of(tokens: Tokens) -> Outlines:
    return Outlines(*outline(tokens.hashes, tokens.offsets, _minus()))


class OutlineIndex:
    """`tokens` are the items', of at least SHORT tokens each. `weights` are the tokens', in UNITS_PER_BIT of a bit; how many
    problems hold a token is counted in the items that are `problems`, by default in all: not in solutions, which would make the
    signs of their field seem common."""

    def __init__(self, tokens: Tokens, max_tokens: int, problems: Truths | None = None):
        self.hashes, _, self.offsets = outlines_of(tokens)
        self.lengths = np.diff(self.offsets).astype(np.int32)
        items = np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)
        texts = numbers_of_texts(self.hashes, self.offsets)
        counted = np.ones(len(items), np.bool_) if problems is None else problems[items]
        self.weights = _with_forms(_weights(self.hashes, texts[items], counted), self.hashes, self.offsets)
        sums = np.r_[0, np.cumsum(self.weights, dtype=np.int64)]
        self.totals = np.diff(sums[self.offsets])
        ngrams = short_ngrams(self.hashes, self.offsets)
        whole = np.flatnonzero((ngrams > 0) & (self.lengths <= max_tokens)[items])
        told = sums[SHORT:] - sums[:-SHORT]  # by the n-gram that begins at each token
        whole = whole[told[whole] >= MIN_SEED_BITS * UNITS_PER_BIT]
        seeds = whole[_are_seeds(num_sharing(ngrams[whole], texts[items[whole]]), items[whole], self.lengths)]
        self.seeds = table_of(ngrams[seeds], items[seeds], seeds << 1 | (told[seeds] >= MIN_BITS * UNITS_PER_BIT))

    def candidates(self, outlines: Outlines) -> Candidates:
        return Candidates(*seeded(outlines.hashes, outlines.offsets, self.seeds, self.offsets))


def _are_seeds(sharing: Numbers, items: Numbers, lengths: Numbers) -> Truths:
    """n-grams that few texts share, and the rarest of each item: one that follows a form would be found by no n-gram else."""
    order = np.lexsort((sharing, items))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(items[order], items[order])
    rarest = (rank <= lengths[items] // TOKENS_PER_SEED) & (sharing <= MAX_SHARING_FORM)
    truths: Truths = rarest | (sharing <= MAX_SHARING_ITEMS)
    return truths


def _weights(tokens: Hashes, texts: Numbers, counts: Truths) -> Numbers:
    """Of every token of the items: how much it tells, by those that count."""
    known, number = np.unique(tokens, return_inverse=True)
    texts = texts[counts]
    pairs = np.unique(number[counts].astype(np.int64) * (int(texts.max(initial=0)) + 1) + texts)
    num_texts = np.bincount(pairs // (int(texts.max(initial=0)) + 1), minlength=len(known))
    shares = _common_shares()
    imagined = np.array([shares.get(token, 0.1) for token in known.tolist()]) * IMAGINED_PROBLEMS / 100
    bits = np.log2((len(np.unique(texts)) + IMAGINED_PROBLEMS) / (num_texts + imagined))
    weights: npt.NDArray[np.int32] = np.maximum(np.round(bits * UNITS_PER_BIT), 0).astype(np.int32)[number]
    return weights


@cache
def _common_shares() -> dict[int, float]:
    """Percent of problems, by the hash of a token."""
    rows = [line.split("\t") for line in COMMON_TOKENS.read_text(encoding="utf-8").splitlines()]
    hashes = find_hashes([token for token, _ in rows]).hashes.tolist()
    return dict(zip(hashes, (float(share) for _, share in rows), strict=True)) | {int(ANY_NUMBER): NUMBER_SHARE}


def _with_forms(weights: Numbers, tokens: Hashes, offsets: Offsets) -> Numbers:
    """Of every token of the items; those of a form of an answer have together what the form tells, long ones first."""
    weights, are_done = weights.copy(), np.zeros(len(tokens), np.bool_)
    for length, forms in sorted(_answer_forms().items(), reverse=True):
        ngrams = ngrams_of(tokens, offsets, length)
        starts = np.flatnonzero(np.isin(ngrams, list(forms)))
        starts = starts[~are_done[starts[:, None] + np.arange(length)].any(axis=1)]
        places = starts[:, None] + np.arange(length)
        shares = np.array([forms[ngram] for ngram in ngrams[starts].tolist()])
        allowed = np.log2(100 / shares) * UNITS_PER_BIT / np.maximum(weights[places].sum(axis=1), 1)
        weights[places] = np.round(weights[places] * np.minimum(allowed, 1)[:, None])
        are_done[places] = True
    return weights


@cache
def _answer_forms() -> dict[int, dict[int, float]]:
    """Percent of problems by the n-gram of a form, by its length."""
    rows = [line.split("\t") for line in ANSWER_FORMS.read_text(encoding="utf-8").splitlines()]
    outlines = outlines_of(find_hashes([form for form, _ in rows]))
    forms: dict[int, dict[int, float]] = {}
    for (start, end), (_, share) in zip(pairwise(outlines.offsets.tolist()), rows, strict=True):
        ngram = int(ngram_of(outlines.hashes, start, end - start, False))
        forms.setdefault(end - start, {})[ngram] = float(share)
    return forms


@cache
def _minus() -> np.uint64:
    minus: np.uint64 = find_hashes(["-"]).hashes[0]
    return minus
