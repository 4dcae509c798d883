"""Chunks for a language model: within the limit, at paragraphs, never inside formulas or code."""

import random

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from curation.language_model.chunks import CHARACTERS_PER_TOKEN, split, token_starts

PROOF = "Let $a$ be given.\nThen $$a +\nb = c.$$ Now\n\n\\begin{align}\nx &= 1\n\ny &= 2\n\\end{align}\n\nis plain."
CODE = "Run it:\n\n```python\nfor i in range(3):\n\n    print(i)\n```\n\nand see.\n\n    indented = 1\n\n    code = 2\n\nThe end."


def texts(text: str, max_chars: int) -> list[str]:
    chunks = split(text, max_chars, range(len(text)))
    assert "".join(chunk.before + chunk.text + chunk.behind for chunk in chunks) == text
    return [chunk.text for chunk in chunks]


def test_a_short_text_is_one_chunk() -> None:
    assert texts("One.\n\nTwo.\n", 100) == ["One.\n\nTwo."]
    assert texts("", 100) == [""]


def test_chunks_end_at_paragraphs_and_are_as_long_as_may_be() -> None:
    assert texts("aaa.\n\nbbb.\n\nccc.\n\nddd.", 9) == ["aaa.", "bbb.", "ccc.", "ddd."]
    assert texts("aaa.\n\nbbb.\n\nccc.\n\nddd.", 12) == ["aaa.\n\nbbb.", "ccc.\n\nddd."]


def test_a_tokenizer_on_the_page_measures_chunks_by_its_tokens() -> None:
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text = "One two three.\n\nIncomprehensibilities four.\n\nFive six seven. Eight."
    chunks = [chunk.text for chunk in split(text, 5, token_starts(text, words))]
    assert chunks == ["One two three.\n\nIncomprehensibilities four.", "Five six seven. Eight."]
    assert [chunk.text for chunk in split(text, 3, token_starts(text, words))][-2:] == ["Five six seven.", "Eight."]


def test_without_a_tokenizer_four_characters_are_a_token() -> None:
    text = "aaa.\n\nbbb.\n\nccc.\n\nddd."
    assert CHARACTERS_PER_TOKEN == 4
    assert [chunk.text for chunk in split(text, 3, token_starts(text, None))] == ["aaa.\n\nbbb.", "ccc.\n\nddd."]


def test_long_paragraphs_are_cut_at_lines_and_long_lines_at_sentences() -> None:
    assert texts("One line\nand another\nand one more", 22) == ["One line\nand another", "and one more"]
    assert texts("A sentence. Another one! Is it? Yes.", 15) == ["A sentence.", "Another one!", "Is it? Yes."]


def test_a_word_without_end_is_one_chunk() -> None:
    assert texts("x" * 50 + "\n\nyes", 10) == ["x" * 50, "yes"]


@pytest.mark.parametrize("limit", range(1, 60))
def test_formulas_are_never_cut(limit: int) -> None:
    for formula in ("$a$", "$$a +\nb = c.$$"):
        assert sum(formula in chunk for chunk in texts(PROOF, limit)) == 1


@pytest.mark.parametrize("limit", range(1, 60))
def test_code_is_never_cut_and_keeps_its_indentation(limit: int) -> None:
    chunks = texts(CODE, limit)
    assert sum("```python\nfor i in range(3):\n\n    print(i)\n```" in chunk for chunk in chunks) == 1
    assert sum("    indented = 1\n\n    code = 2" in chunk for chunk in chunks) == 1


def test_any_text_is_given_back_and_no_chunk_is_longer_than_it_must_be() -> None:
    words = ["a", "b c. ", "\n\n", "\n", "    x", " $", "$$", "\\[", "\\]", "```\n", "1. ", "\t", " \n \n", "."]
    for seed in range(300):
        draw = random.Random(seed)
        texts("".join(draw.choice(words) for _ in range(draw.randrange(80))), draw.randrange(1, 30))


def test_stray_delimiters_cost_linear_time() -> None:
    for stray in ("$ ", "\\[ ", "```\n", "\\begin{align} ", "    x\n", "$$ "):
        assert len("".join(texts(stray * 50_000, 1_000))) > 0
