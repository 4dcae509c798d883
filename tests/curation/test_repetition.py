import random

import pytest
from datatrove.data import Document

from curation.filters.batch import Batch
from curation.filters.repetition import RepetitionFilter
from recipes import schema


def document(text: str) -> Document:
    return Document(text=text, id="d")


def decide(doc: Document, **params: object) -> bool | tuple[bool, str]:
    return RepetitionFilter(schema.RepetitionFilter.model_validate(params)).filter(doc)


def measure_repetition(text: str) -> dict[str, float]:
    step = RepetitionFilter(schema.RepetitionFilter())
    measured = step.measure(Batch([document(text)]))
    return {name.removeprefix("repetition."): float(values[0]) for name, values in measured.items()}


def random_words(num: int, seed: int = 0) -> list[str]:
    letters = random.Random(seed)
    return ["".join(letters.choices("abcdefghijklmnop", k=6)) for _ in range(num)]


def advertised(slogan: str, num: int, every: int = 1) -> str:
    """A slogan between random words, behind every so many of them."""
    words = random_words(num * every)
    return " ".join(f"{word} {slogan}" if i % every == 0 else word for i, word in enumerate(words))


def repeated(num: int, again: int) -> str:
    return " ".join(random_words(num) + random_words(num)[:again])


NO_NGRAMS: dict[str, object] = {"max_top_ngram_share": {}, "max_duplicate_ngram_share": {}}
WIDE = {"max_duplicate_line_share": 1, "max_duplicate_line_character_share": 1}
PARAGRAPHS = [" \n".join(random_words(9, seed)) for seed in range(8)]
BLOCK = "\n".join(random_words(8, 5))
RULES = {  # dropped, kept, what must be set for the rule to be the first to decide
    "duplicate_lines": ("\n".join(random_words(60) + ["menu"] * 40), "\n".join(random_words(60) + ["menu"] * 20), NO_NGRAMS),
    "duplicate_line_characters": (
        "\n".join(random_words(20) + ["a long line about nothing at all"] * 5),
        "\n".join(random_words(20) + ["a long line about nothing at all"] * 2),
        {},
    ),
    "duplicate_paragraphs": (
        "\n\n".join(PARAGRAPHS + ["read more\nlog in"] * 6),
        "\n\n".join(PARAGRAPHS + ["read more\nlog in"] * 3),
        WIDE,
    ),
    "duplicate_paragraph_characters": (
        "\n\n".join([*random_words(20), *[BLOCK] * 4]),
        "\n\n".join([*random_words(80), *[BLOCK] * 2]),
        WIDE,
    ),
    **{
        f"top_{n}gram": (advertised(slogan, 20), advertised(slogan, 20, every=12), {"max_top_ngram_share": {n: 0.2}})
        for n, slogan in ((2, "cheap homework"), (3, "do my homework"), (4, "please do my homework"))
    },
    **{f"duplicate_{n}gram": (repeated(40, 30), repeated(60, 15), {"max_duplicate_ngram_share": {n: 0.3}}) for n in range(5, 11)},
}


@pytest.mark.parametrize("rule", RULES)
def test_each_repetition_rule_drops_its_page_and_keeps_one_that_repeats_less(rule):
    dropped, kept, params = document(RULES[rule][0]), document(RULES[rule][1]), RULES[rule][2]
    assert decide(dropped, **params) == (False, rule)
    assert decide(kept, **params) is True
    assert dropped.metadata["repetition"][rule] > kept.metadata["repetition"][rule] > 0


def test_every_rule_of_the_filter_is_tried_here():
    assert [f"repetition.{rule}" for rule in RULES] == list(RepetitionFilter.columns)


def test_a_formula_between_words_is_never_a_repeated_ngram():
    words = random_words(80)
    sentences = [f"{words[i]} {words[i + 1]} $x + y = z$ {words[i + 2]} {words[i + 3]} $a = b$" for i in range(0, 80, 4)]
    measured = measure_repetition(" ".join(sentences))
    assert measured == dict.fromkeys(measured, 0.0)


def test_shares_agree_with_a_count_by_hand():
    # 17 words of 2 letters; the second "aa bb cc dd ee" is a repeated 5-gram: 10 of 34 characters
    measured = measure_repetition("aa bb cc dd ee ff aa bb cc dd ee gg hh ii jj kk ll")
    assert measured.pop("duplicate_5gram") == 0.2941
    assert measured == dict.fromkeys(measured, 0.0)  # twice is no repetition: top_2gram is 0


def test_overlapping_repeats_are_counted_once():
    measured = measure_repetition("ab " * 10)
    assert measured["duplicate_5gram"] == 0.9  # all words but the first
    assert measured["top_2gram"] == 1.0  # "ab ab" nine times


def test_a_displayed_formula_is_one_line():
    doc = document("\n".join(f"\\[\n\\begin{{aligned}}\nx &= {i}\n\\end{{aligned}}\n\\]" for i in range(10)))
    decide(doc)
    assert doc.metadata["repetition"]["duplicate_lines"] == 0


def test_rows_of_truth_tables_are_no_repeated_lines():
    doc = document(" ".join(random_words(70)) + "\n" + "T | T | F\nF | T | F\n" * 6)
    assert decide(doc) is True
    assert doc.metadata["repetition"]["duplicate_lines"] == 0
