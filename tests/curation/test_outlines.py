"""Outlines of texts: versions of a problem have the same one; short n-grams lead to items, and what is in order is weighed."""

import random
from itertools import pairwise

import numpy as np
import pytest

from curation.decontaminate.math_token_hashes import find_hashes
from curation.decontaminate.outlines import ANSWER_FORMS, COMMON_TOKENS, UNITS_PER_BIT, OutlineIndex, outlines_of
from curation.decontaminate.token_order import Limits, compare_in_order

ALL = 1 << 40  # more weight than any item has
WORDS = [
    f"{start}{end}"
    for start in ("bal", "cor", "dun", "fis", "gor", "hem", "jol", "kip")
    for end in ("an", "et", "isk", "olo", "um")
]


def test_versions_of_a_problem_have_one_outline() -> None:
    texts = (r"Add $\begin{pmatrix} 2 \\ -1 \\ 5 \end{pmatrix}$ to $-3$.", "Add (4, 7) to 12.", "Add x to 12.")
    outlines = outlines_of(find_hashes(list(texts)))
    one, other, third = (outlines.hashes[a:b].tolist() for a, b in zip(outlines.offsets, outlines.offsets[1:], strict=False))
    assert one == other
    assert one != third
    assert outlines.places[:4].tolist() == [0, 1, 5, 7]


def test_every_common_token_is_one_token() -> None:
    tokens = [line.split("\t")[0] for line in COMMON_TOKENS.read_text(encoding="utf-8").splitlines()]
    assert np.diff(find_hashes(tokens).offsets).tolist() == [1] * len(tokens)
    assert len(set(find_hashes(tokens).hashes.tolist())) == len(tokens)


def test_rare_words_tell_more_than_frequent_ones_and_numbers_nearly_nothing() -> None:
    index = OutlineIndex(find_hashes(["the ostrich is 7 years"]), 400)
    the, ostrich, _, number, _ = (index.weights / UNITS_PER_BIT).tolist()
    assert number < the < 2
    assert 8.9 < ostrich < 9.1  # one problem of 500: itself and one that is imagined, of 1,001


def test_a_form_of_an_answer_tells_no_more_than_how_rare_it_is() -> None:
    items = ["How far is the ostrich? Express your answer in simplest radical form.", "How far is the radical ostrich?"]
    index = OutlineIndex(find_hashes(items), 400)
    one, other = (index.weights[start:end] / UNITS_PER_BIT for start, end in pairwise(index.offsets))
    assert 8.2 < one[5:].sum() < 8.4  # 0.32 % of problems
    assert one[4] == other[5] > 8
    assert other[4] > 8


def test_every_form_of_an_answer_is_a_few_tokens_that_differ_from_the_others_and_has_a_share() -> None:
    rows = [line.split("\t") for line in ANSWER_FORMS.read_text(encoding="utf-8").splitlines()]
    forms = outlines_of(find_hashes([form for form, _ in rows]))
    assert np.diff(forms.offsets).min() >= 3
    assert len({forms.hashes[start:end].tobytes() for start, end in pairwise(forms.offsets)}) == len(rows)
    assert all(0 < float(share) < 5 for _, share in rows)


def test_tokens_in_order_of_long_items_are_what_a_plain_table_finds() -> None:
    rng = random.Random(4)
    item = " ".join(rng.choices([*WORDS, "7", "the", "x"], k=230))
    text = " ".join(rng.choice(WORDS) if rng.random() < 0.2 else part for part in item.split())
    item_tokens, tokens = find_hashes([item]), find_hashes([text])
    index, outlines = OutlineIndex(item_tokens, 400), outlines_of(tokens)
    limits = Limits(0 * index.totals + 1, 0 * index.totals, ALL)
    found = compare_in_order(
        tokens, outlines, index.candidates(outlines), index, (item_tokens.hashes, item_tokens.offsets), limits
    )
    stretch = tokens.hashes[found.begins[0] : found.ends[0]].tolist()
    assert found.same_tokens.tolist() == [heaviest(item_tokens.hashes.tolist(), [1] * 230, stretch)]
    assert 170 < found.same_tokens[0] < 230


def test_what_is_in_order_is_what_a_plain_table_finds() -> None:
    rng = random.Random(3)
    items = [" ".join(rng.choices([*WORDS, "7", "the", "x"], k=rng.randint(8, 40))) for _ in range(30)]
    texts = []
    for original in items:
        parts = [rng.choice(WORDS) if rng.random() < 0.2 else part for part in original.split()]
        texts.append(" ".join(parts))
    item_tokens, tokens = find_hashes(items), find_hashes(texts)
    index, outlines = OutlineIndex(item_tokens, 400), outlines_of(tokens)
    mine = (item_tokens.hashes, item_tokens.offsets)
    limits = Limits(0.3 * index.totals, 0 * index.totals, ALL)
    found = compare_in_order(tokens, outlines, index.candidates(outlines), index, mine, limits)
    assert sum((found.documents == found.items).tolist()) >= 28
    for row in range(len(found.items)):
        item, text = int(found.items[row]), int(found.documents[row])
        places = slice(index.offsets[item], index.offsets[item + 1])
        stretch = [int(token) for token in outlines.hashes[outlines.offsets[text] : outlines.offsets[text + 1]]]
        most = heaviest(index.hashes[places].tolist(), index.weights[places].tolist(), stretch)
        assert found.found[row] == most if item == text else found.found[row] <= most
        assert found.same_tokens[row] <= found.shared_tokens[row] <= item_tokens.offsets[item + 1] - item_tokens.offsets[item]


def heaviest(item: list[int], weights: list[int], stretch: list[int]) -> int:
    table = [[0] * (len(stretch) + 1) for _ in range(len(item) + 1)]
    for i, token in enumerate(item):
        for k, other in enumerate(stretch):
            longest = max(table[i][k + 1], table[i + 1][k])
            table[i + 1][k + 1] = max(longest, table[i][k] + weights[i]) if token == other else longest
    return table[-1][-1]


def test_words_are_counted_until_they_are_enough() -> None:
    words_alone, signs = " ".join(WORDS[:30]), "∑ ∫ ∂ √ ≤ ≥ ≠ ∞ " * 6  # in another order: no bound says beforehand that words are
    item_tokens, text = find_hashes([words_alone + " " + signs]), find_hashes([f"{signs[::-1]}{words_alone} {signs[::-1]}"])
    index, outlines = OutlineIndex(item_tokens, 400), outlines_of(text)
    mine, candidates = (item_tokens.hashes, item_tokens.offsets), index.candidates(outlines)
    total = int(OutlineIndex(find_hashes([words_alone]), 400).totals[0])

    def words(enough: int) -> int:
        limits = Limits(0 * index.totals + 1, 0 * index.totals, enough)
        return int(compare_in_order(text, outlines, candidates, index, mine, limits).words[0])

    assert words(ALL) == total
    one = int(index.weights.max())
    assert words(20 * one) == 20 * one
    assert words(0) == pytest.approx(0.25 * total, abs=one)  # less is hardly a word of the item
