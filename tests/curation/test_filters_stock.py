"""The compiled counts of the benchmark decide as datatrove's own filters do on words by a regular expression."""

import random

import pytest

from curation.benchmark.corpus import Corpus
from curation.benchmark.stock_rules import RegexWords, decide, stock_decision, stock_filters

WORDS = "the be of and a b cat dog word 12 3 # ... . ? ! { } [1] [edit] - • x_y ___ lorem javascript"
PARTS = [
    *WORDS.split(),
    *("Lorem ipsum ", "Use cookies.", "\n", "\n\n", "\r\n", " ", "\x0b", "The end.", '"Yes," he said.', "[citation needed]"),
]


def odd_texts(num: int) -> list[str]:
    rng = random.Random(5)
    sizes = [rng.choice((3, 30, 300)) for _ in range(num)]
    return [rng.choice(("", " ")).join(rng.choices(PARTS[: rng.randint(2, len(PARTS))], k=size)) for size in sizes]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    corpus = Corpus(2, None)
    return ["", "\n", " \n\nx\n", *odd_texts(600), *(corpus.document(number).text for number in range(40))]


@pytest.mark.parametrize("name", stock_filters(language=RegexWords()))
def test_compiled_rules_decide_as_datatrove_does(name, texts):
    step = stock_filters(language=RegexWords())[name]
    decided = decide(texts)[name]
    expected = [stock_decision(step, text) for text in texts]
    assert decided == expected
    assert len(set(expected)) > 2
