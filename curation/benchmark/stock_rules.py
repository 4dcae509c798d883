"""The decisions of datatrove's Gopher, FineWeb and C4 filters from compiled counts, and those filters themselves."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.filters.c4_filters import POLICY_SUBSTRINGS
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from datatrove.utils.word_tokenizers import WordTokenizer
from numpy.typing import NDArray

from curation.filters.characters import UNICODE_SIZE, classes, lower_case, to_characters

Counts = dict[str, NDArray[np.int64]]
Rules = Iterator[tuple[str, NDArray[np.bool_]]]
SYMBOL = 128


class RegexWords(WordTokenizer):
    """Words and sentences by regular expressions, where spaCy's would cost most of the time."""

    def word_tokenize(self, text: str) -> list[str]:
        return re.findall(r"\w+|[^\w\s]", text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text[start:end] for start, end in self.span_tokenize(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[^.?!]+", text) if match.group().strip()]


def stock_filters(**words: Any) -> dict[str, BaseFilter]:
    """`language=RegexWords()` gives them words by a regular expression, nothing spaCy's."""
    return {
        "gopher_repetition": GopherRepetitionFilter(**words),
        "gopher_quality": GopherQualityFilter(**words),
        "c4": C4QualityFilter(**words),
        "fineweb": FineWebQualityFilter(**words),
    }


def stock_decision(step: BaseFilter, text: str) -> str:
    """The rule that drops a text, "" for none. C4's filter changes its document."""
    answer = step.filter(Document(text=text, id="d"))
    return "" if answer is True else str(answer[1])


def decide(texts: Sequence[str]) -> dict[str, list[str]]:
    """By filter, the rule that drops each text, "" for none."""
    from curation.benchmark.stock_counts import COLUMNS, count
    from curation.benchmark.stock_lines import judge_lines

    characters = to_characters(texts)
    counts = count(characters.points, characters.offsets, _classes(), _ends(), _rows(tuple(STOP_WORDS)))
    lines = judge_lines(
        *(characters.points, characters.offsets, _classes(), lower_case()),
        *(_rows(("lorem ipsum", "javascript", *POLICY_SUBSTRINGS)), _rows(("[edit]", "[citation needed]"))),
    )
    named = dict(zip(COLUMNS, counts.T, strict=True)) | {"num_sentences": lines[:, 0], "fatal": lines[:, 1]}
    judged = {"gopher_repetition": _repetition, "gopher_quality": _quality, "c4": _c4, "fineweb": _fineweb}
    return {name: _first_broken(rules(named), len(texts)) for name, rules in judged.items()}


def _first_broken(rules: Rules, num: int) -> list[str]:
    first = np.full(num, "", dtype=object)
    for name, is_broken in rules:
        first[is_broken & (first == "")] = name
    return [str(name) for name in first]


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = part / np.maximum(whole, 1)
    return shares


def _repetition(c: Counts) -> Rules:
    size = c["num_characters"]
    yield "empty", size == 0
    yield "dup_para_frac", _share(c["duplicate_paragraphs"], c["num_paragraphs"]) > 0.3
    yield "dup_para_char_frac", _share(c["duplicate_paragraph_characters"], size) > 0.2
    yield "dup_line_frac", _share(c["duplicate_runs"], c["num_runs"]) > 0.3
    yield "dup_line_char_frac", _share(c["duplicate_run_characters"], size) > 0.2
    for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
        yield f"top_{n}_gram", _share(c[f"top_{n}"], size) > limit
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        yield f"duplicated_{n}_n_grams", _share(c[f"duplicate_{n}"], size) > limit


def _quality(c: Counts) -> Rules:
    num_words, num_lines = c["num_words"], c["num_lines"]
    mean = _share(c["no_symbol_characters"], c["num_no_symbols"])
    yield "gopher_short_doc", c["num_no_symbols"] < 50
    yield "gopher_long_doc", c["num_no_symbols"] > 100_000
    yield "gopher_below_avg_threshold", mean < 3
    yield "gopher_above_avg_threshold", mean > 10
    yield "gopher_too_many_hashes", _share(c["num_hashes"], num_words) > 0.1
    yield "gopher_too_many_ellipsis", _share(c["num_ellipses"], num_words) > 0.1
    yield "gopher_too_many_bullets", _share(c["num_bullet_lines"], num_lines) > 0.9
    yield "gopher_too_many_end_ellipsis", _share(c["num_ellipsis_lines"], num_lines) > 0.3
    yield "gopher_below_alpha_threshold", _share(c["num_alphabetic"], num_words) < 0.8
    yield "gopher_enough_stop_words", c["num_stop_words"] < 2


def _c4(c: Counts) -> Rules:
    yield "lorem_ipsum", c["fatal"] == 1
    yield "curly_bracket", c["fatal"] == 2
    yield "too_few_sentences", c["num_sentences"] < 5


def _fineweb(c: Counts) -> Rules:
    num_lines = c["num_filled_lines"]
    yield "empty", num_lines == 0
    yield "line_punct_ratio", _share(c["num_ended_lines"], num_lines) < 0.12
    yield "short_line_ratio", _share(c["num_short_lines"], num_lines) > 0.67
    yield "char_dup_ratio", _share(c["duplicate_line_characters"], c["num_characters"] - c["num_newlines"]) > 0.01
    yield "list_ratio", _share(c["num_newlines"], c["num_words"]) > 0.3


@cache
def _classes() -> NDArray[np.uint8]:
    bits = classes().copy()
    bits[[ord(char) for char in PUNCTUATION_SET]] |= SYMBOL
    return bits


@cache
def _ends() -> NDArray[np.uint8]:
    table = np.zeros(UNICODE_SIZE, dtype=np.uint8)
    table[[ord(char) for char in TERMINAL_PUNCTUATION]] = 1
    return table


@cache
def _rows(phrases: tuple[str, ...]) -> NDArray[np.int64]:
    rows = np.zeros((len(phrases), 1 + max(map(len, phrases))), dtype=np.int64)
    for row, phrase in zip(rows, phrases, strict=True):
        row[: 1 + len(phrase)] = [len(phrase), *map(ord, phrase)]
    return rows
