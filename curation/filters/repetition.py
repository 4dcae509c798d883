"""Gopher's repetition rules (Rae et al. 2021, table A1), formulas left out of the n-grams.

N-grams of words are hashed and compared with numpy: 345 words cost 0.65 ms, against 1.4 ms of datatrove's
GopherRepetitionFilter on the words of a regular expression; its own word tokenizer, spaCy's, costs several more.
"""

import re
from collections.abc import Sequence

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.formulas import FORMULA, one_line_formulas
from recipes import schema

WORD_OR_FORMULA = re.compile(rf"(?P<formula>{FORMULA.pattern}) | \w+", FORMULA.flags)
PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
SUBSTANCE = re.compile(r"(?:[^\W_][\W_]*){4}")  # four letters or digits: rows of truth tables ("T | T | F") repeat rightly
MIN_TOP_OCCURRENCES = 3  # twice is no repetition: a short solution restates its problem
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers of it never vanish modulo 2**64


class RepetitionFilter(BaseFilter):
    name = "repetition"

    def __init__(self, params: schema.RepetitionFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        limits = {
            "duplicate_lines": self.params.max_duplicate_line_share,
            "duplicate_line_characters": self.params.max_duplicate_line_character_share,
            "duplicate_paragraphs": self.params.max_duplicate_paragraph_share,
            "duplicate_paragraph_characters": self.params.max_duplicate_paragraph_character_share,
            **{f"top_{n}gram": share for n, share in self.params.max_top_ngram_share.items()},
            **{f"duplicate_{n}gram": share for n, share in self.params.max_duplicate_ngram_share.items()},
        }
        measured = measure_repetition(
            doc.text, top=tuple(self.params.max_top_ngram_share), duplicate=tuple(self.params.max_duplicate_ngram_share)
        )
        doc.metadata["repetition"] = measured
        return next(((False, rule) for rule, limit in limits.items() if measured[rule] > limit), True)


def measure_repetition(text: str, *, top: Sequence[int], duplicate: Sequence[int]) -> dict[str, float]:
    """Shares by rule. A line, paragraph or n-gram is a duplicate from its second occurrence on; n-gram shares are
    characters of words over all characters but white space, formulas included."""
    flat = one_line_formulas(text)
    lines = [line.strip() for line in flat.splitlines() if SUBSTANCE.search(line)]
    paragraphs = [part.strip() for part in PARAGRAPH_BREAK.split(flat) if SUBSTANCE.search(part)]
    measured = {}
    measured["duplicate_lines"], measured["duplicate_line_characters"] = _duplicate_shares(lines)
    measured["duplicate_paragraphs"], measured["duplicate_paragraph_characters"] = _duplicate_shares(paragraphs)
    ids, lengths = _words(text)
    num_characters = max(len("".join(text.split())), 1)
    for n in top:
        measured[f"top_{n}gram"] = min(_top_characters(ids, lengths, n) / num_characters, 1.0)
    for n in duplicate:
        measured[f"duplicate_{n}gram"] = _duplicate_characters(ids, lengths, n) / num_characters
    return {rule: round(share, 4) for rule, share in measured.items()}


def _duplicate_shares(parts: list[str]) -> tuple[float, float]:
    """The duplicates' share of the parts, and of their characters."""
    seen: set[str] = set()
    num_duplicates = duplicate_characters = 0
    for part in parts:
        if part in seen:
            num_duplicates += 1
            duplicate_characters += len(part)
        seen.add(part)
    return num_duplicates / max(len(parts), 1), duplicate_characters / max(sum(map(len, parts)), 1)


def _words(text: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A number and a length for every word. Each formula gets a number of its own, so no n-gram across it has a twin."""
    numbers: dict[str, int] = {}
    ids, lengths = [], []
    for position, match in enumerate(WORD_OR_FORMULA.finditer(text)):
        is_formula = match["formula"] is not None
        key = f"{position} formula" if is_formula else match.group().lower()
        ids.append(numbers.setdefault(key, len(numbers) + 1))
        lengths.append(0 if is_formula else len(key))
    return np.array(ids, dtype=np.uint64), np.array(lengths, dtype=np.int64)


def _ngrams(ids: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """A polynomial hash of every n-gram."""
    hashes = np.zeros(max(len(ids) - n + 1, 0), dtype=np.uint64)
    for offset in range(n):
        hashes = hashes * BASE + ids[offset : offset + len(hashes)]
    return hashes


def _top_characters(ids: NDArray[np.uint64], lengths: NDArray[np.int64], n: int) -> int:
    """Characters of the most frequent n-gram times its occurrences; the longest of equals, 0 if it is rare."""
    _, first, counts = np.unique(_ngrams(ids, n), return_index=True, return_counts=True)
    if not len(counts) or counts.max() < MIN_TOP_OCCURRENCES:
        return 0
    most = first[counts == counts.max()]
    longest = max(int(lengths[start : start + n].sum()) for start in most)
    return longest * int(counts.max())


def _duplicate_characters(ids: NDArray[np.uint64], lengths: NDArray[np.int64], n: int) -> int:
    """Characters of the words that lie in an n-gram which occurred before; none is counted twice."""
    hashes = _ngrams(ids, n)
    _, first = np.unique(hashes, return_index=True)
    is_repeat = np.ones(len(hashes), dtype=bool)
    is_repeat[first] = False
    edges = np.zeros(len(ids) + 1, dtype=np.int64)
    starts = np.flatnonzero(is_repeat)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + n, -1)
    return int(lengths[np.cumsum(edges)[:-1] > 0].sum())
