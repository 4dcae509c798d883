"""What of benchmarks' items documents are compared with.

An item is its question. One that is too short to be told from other text is taken together with its options, else with its
answer, or its solution where that is all there is; an answer alone never contaminates. A worked solution of some length
contaminates alone. Items that stay too short are counted, and a benchmark of which nothing could be found is an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.decontaminate.items import Item, read_items
from curation.decontaminate.math_token_hashes import find_hashes
from curation.decontaminate.math_tokens import find_tokens, normalise
from recipes.schema import DecontaminateStage

COUNTS = ("items", "questions", "with_options", "with_answer", "solutions", "too_short", "repetitive")
LETTERS = "ABCDEFGHIJ"
LETTERED = re.compile(r"\W*[A-Ja-j]\W")


@dataclass(frozen=True)
class Part:
    """A text of an item that is looked for: its question, with options or answer, or its solution."""

    item: Item
    name: str
    text: str


class Benchmarks:
    """The items of all files of a page, and `counts` of what became of them by benchmark."""

    def __init__(self, files: Mapping[str, Path], params: DecontaminateStage):
        if not files:
            raise ValueError("decontamination has no benchmarks and would do nothing; name at least one benchmark file")
        self.params = params
        self.parts: list[Part] = []
        self.counts: dict[str, dict[str, int]] = {}
        self._num_tokens: dict[str, int] = {}
        for name, path in files.items():
            self._add(name, path)

    def _add(self, name: str, path: Path) -> None:
        counts = dict.fromkeys(COUNTS, 0)
        items = list(read_items(name, path))
        self._count_tokens([text for item in items for text in (*self._questions(item).values(), item.solution)])
        for item in items:
            counts["items"] += 1
            question = self._question(item)
            counts[question.name if question else "too_short"] += 1
            solution = self._solution(item)
            counts["solutions"] += solution is not None
            labelled = self._labelled(question) if question else None
            self.parts += [part for part in (question, labelled, solution) if part]
        self.counts[name] = counts
        if counts["too_short"] == counts["items"] and not counts["solutions"]:
            raise ValueError(
                f"benchmark {name!r}: all {counts['items']} items of {path} are too short to be told from other text (fewer than "
                f"ngram={self.params.ngram} words, or fewer than min_words={self.params.min_words} without mathematics), so "
                "nothing would be found; lower ngram or min_words"
            )

    def _count_tokens(self, texts: list[str]) -> None:
        """All at once: a call for each takes longer than what it does."""
        self._num_tokens |= dict(zip(texts, np.diff(find_hashes(texts).offsets).tolist(), strict=True))

    def _question(self, item: Item) -> Part | None:
        texts = self._questions(item)
        return next((Part(item, name, text) for name, text in texts.items() if self._can_be_told(text)), None)

    def _questions(self, item: Item) -> dict[str, str]:
        """Texts that stand for the question, by the name of what they are; the first that can be told from others is taken."""
        texts = {"questions": item.question}
        if "options" in self.params.parts and item.options:
            texts["with_options"] = f"{item.question}\n{item.options}"
        if "answer" in self.params.parts and (answer := item.answer or item.solution):
            texts["with_answer"] = f"{item.question}\n{answer}"
        return texts

    def _labelled(self, question: Part) -> Part | None:
        """A short question's options once more with letters before them, as tests print them: these are words too."""
        options = question.item.options.split("\n")
        if question.name != "with_options" or len(options) > len(LETTERS) or LETTERED.match(options[0]):
            return None
        lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
        return Part(question.item, question.name, "\n".join([question.item.question, *lines]))

    def _can_be_told(self, text: str) -> bool:
        """Whether a text is more than a few common words: "Which of the following are true" is on many pages."""
        length = self._num_tokens[text]
        has_mathematics = length < self.params.min_words and any(not t.isalpha() for t, _, _ in find_tokens(normalise(text)))
        return length >= self.params.ngram and (length >= self.params.min_words or has_mathematics)

    def _solution(self, item: Item) -> Part | None:
        is_wanted = "solution" in self.params.parts and item.solution
        is_long = is_wanted and self._num_tokens[item.solution] >= self.params.min_solution_words
        return Part(item, "solutions", item.solution) if is_long else None
