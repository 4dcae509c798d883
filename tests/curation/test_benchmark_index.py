"""What a text covers of items: 64 tokens at once, as a plain count of n-grams finds it."""

import random
from itertools import pairwise

import numpy as np

from curation.decontaminate.benchmark_index import BenchmarkIndex
from curation.decontaminate.math_token_hashes import find_hashes
from curation.decontaminate.math_token_kernels import ANY_NUMBER, NUMBER, WORD
from curation.decontaminate.ngram_kernels import posted
from curation.decontaminate.ngram_table import table_of

LENGTH = 8
WORDS = [
    f"{start}{end}" for start in ("bal", "cor", "dun", "fis", "gor", "hem", "jol") for end in ("an", "et", "isk", "olo", "um")
]


def ngrams(tokens: list[int], *, alike: bool) -> list[tuple[int, ...] | None]:
    """Of every place; None for an n-gram with all numbers alike that has no number, or too many."""
    found: list[tuple[int, ...] | None] = []
    for start in range(len(tokens) - LENGTH + 1):
        ngram = tokens[start : start + LENGTH]
        numbers = sum(token & int(NUMBER) for token in ngram)
        one = tuple(int(ANY_NUMBER) if token & int(NUMBER) else token for token in ngram) if alike else tuple(ngram)
        found.append(one if not alike or 0 < numbers <= LENGTH // 2 else None)
    return found


def covered(item: list[int], text: list[int], *, alike: bool) -> set[int]:
    theirs = set(ngrams(text, alike=alike)) - {None}
    starts = [start for start, ngram in enumerate(ngrams(item, alike=alike)) if ngram in theirs]
    return {place for start in starts for place in range(start, start + LENGTH)}


def test_what_is_covered_is_what_a_plain_count_of_ngrams_finds() -> None:
    rng = random.Random(6)
    items = [
        " ".join(rng.choice(WORDS) if rng.random() < 0.8 else str(rng.randrange(9)) for _ in range(rng.randint(12, 200)))
        for _ in range(40)
    ]
    texts = []
    for first, second in pairwise(items):
        parts = (first + " and then " + second).split()
        texts.append(" ".join(str(rng.randrange(9)) if rng.random() < 0.05 else part for part in parts[rng.randrange(20) :]))
    item_tokens, tokens = find_hashes(items), find_hashes(texts)
    rows = BenchmarkIndex(item_tokens, LENGTH).cover(tokens)
    assert len(rows.items) > 60
    for text, number, exact, near, changed, words in zip(*(column.tolist() for column in rows), strict=True):
        item = item_tokens.hashes[item_tokens.offsets[number] : item_tokens.offsets[number + 1]].tolist()
        mine = tokens.hashes[tokens.offsets[text] : tokens.offsets[text + 1]].tolist()
        as_it_is, alike = covered(item, mine, alike=False), covered(item, mine, alike=True)
        assert exact == len(as_it_is)
        assert near == len(as_it_is | alike)
        assert changed == sum(item[place] & int(NUMBER) > 0 for place in alike - as_it_is)
        assert words == sum(item[place] & int(WORD) > 0 for place in as_it_is | alike)
    assert np.unique(rows.documents).tolist() == list(range(len(texts)))


def test_a_look_up_finds_all_places_of_an_ngram_however_many_there_are() -> None:
    rng = np.random.default_rng(5)
    ngrams = rng.integers(1, 1 << 63, 40, dtype=np.uint64)
    number = np.repeat(np.arange(30), np.arange(30) ** 2)  # the last ten are not in the table
    items, places = rng.integers(0, 9, len(number), dtype=np.int32), np.arange(len(number))
    table = table_of(ngrams[number], items, places)
    asked = rng.integers(0, 40, 50)
    found = np.stack(posted(ngrams[asked], table)).T.tolist()
    assert found == [[k, items[i], places[i]] for k, which in enumerate(asked) for i in np.flatnonzero(number == which)]
