import random

import pytest
from datatrove.data import Document

from curation.filters.repetition import RepetitionFilter, measure_repetition
from recipes import schema


def document(text: str) -> Document:
    return Document(text=text, id="d")


def decide(doc: Document, **params: object) -> bool | tuple[bool, str]:
    return RepetitionFilter(schema.RepetitionFilter.model_validate(params)).filter(doc)


def random_words(num: int, seed: int = 0) -> list[str]:
    letters = random.Random(seed)
    return ["".join(letters.choices("abcdefghijklmnop", k=6)) for _ in range(num)]


REPETITION_RULES = {
    "duplicate_lines": "\n".join(random_words(60) + ["menu"] * 40),
    "duplicate_line_characters": "\n".join(random_words(20) + ["a long line about nothing at all"] * 5),
    "duplicate_paragraphs": "\n\n".join(" \n".join(random_words(9, seed)) for seed in range(8)) + "\n\nread more\nlog in" * 6,
    "duplicate_paragraph_characters": "\n\n".join([*random_words(20), *["\n".join(random_words(8, 5))] * 4]),
    "top_2gram": " ".join(f"{word} cheap homework" for word in random_words(20)),
    "top_3gram": " ".join(
        f"{word} {other} do my homework" for word, other in zip(random_words(20), random_words(20, 7), strict=True)
    ),
    "duplicate_5gram": " ".join(random_words(40) + random_words(12)),
    "duplicate_10gram": " ".join(random_words(88) + random_words(11)),
}
WIDE = {"max_duplicate_line_share": 1, "max_duplicate_line_character_share": 1}
LOOSER = {  # what must be widened for a rule to be the first that drops its page
    "duplicate_paragraphs": WIDE,
    "duplicate_paragraph_characters": WIDE,
    "top_3gram": {"max_top_ngram_share": {2: 1.0, 3: 0.18}},
}


@pytest.mark.parametrize("rule", REPETITION_RULES)
def test_each_repetition_rule_drops_its_page(rule):
    doc = document(REPETITION_RULES[rule])
    assert decide(doc, **LOOSER.get(rule, {})) == (False, rule)
    assert doc.metadata["repetition"][rule] > 0.1


def test_a_formula_between_words_is_never_a_repeated_ngram():
    words = random_words(80)
    sentences = [f"{words[i]} {words[i + 1]} $x + y = z$ {words[i + 2]} {words[i + 3]} $a = b$" for i in range(0, 80, 4)]
    measured = measure_repetition(" ".join(sentences), top=(2, 3), duplicate=(5,))
    assert measured == dict.fromkeys(measured, 0.0)


def test_shares_agree_with_a_count_by_hand():
    # 12 words of 2 letters; the second "aa bb cc" lies in a repeated trigram: 6 of 24 characters
    text = "aa bb cc dd ee aa bb cc ff gg hh ii"
    assert measure_repetition(text, top=(2,), duplicate=(3, 4)) == {
        "duplicate_lines": 0.0,
        "duplicate_line_characters": 0.0,
        "duplicate_paragraphs": 0.0,
        "duplicate_paragraph_characters": 0.0,
        "top_2gram": 0.0,  # twice is no repetition
        "duplicate_3gram": 0.25,
        "duplicate_4gram": 0.0,
    }


def test_overlapping_repeats_are_counted_once():
    assert measure_repetition("ab " * 10, top=(2,), duplicate=(3,))["duplicate_3gram"] == 0.9


def test_a_displayed_formula_is_one_line():
    doc = document("\n".join(f"\\[\n\\begin{{aligned}}\nx &= {i}\n\\end{{aligned}}\n\\]" for i in range(10)))
    decide(doc)
    assert doc.metadata["repetition"]["duplicate_lines"] == 0


def test_rows_of_truth_tables_are_no_repeated_lines():
    doc = document(" ".join(random_words(70)) + "\n" + "T | T | F\nF | T | F\n" * 6)
    assert decide(doc) is True
    assert doc.metadata["repetition"]["duplicate_lines"] == 0
