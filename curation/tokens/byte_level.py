"""Byte-level BPE tokenizers of Hugging Face (Llama 3, Qwen, GPT): what the faster ways of encoding must know of one.

Only tokenizers of that shape are taken; every other one stays with `tokenizers`.
"""

import json
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from curation.tokens.llama3_tokenizer import byte_letters

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # of ByteLevel with use_regex
MAX_ADDED = 100
UNKNOWN_FEATURES = ("byte_fallback", "unk_token", "dropout", "continuing_subword_prefix", "end_of_word_suffix")
# Latin, Greek, Cyrillic, dashes and quotes, arrows and signs of mathematics, Han: composed already, and joined to nothing before
COMPOSED = re.compile("[\x00-\u02ff\u0391-\u03c9\u0400-\u045f\u2010-\u2027\u2190-\u2328\u4e00-\u9fff]*")


class Encoded(NamedTuple):
    """Ids of texts one behind another, and how many of each: -1 and none for a text that its encoder cannot encode."""

    ids: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.int64]

    def first(self, num: int) -> "Encoded":
        lengths = self.lengths[:num]
        return Encoded(self.ids[: lengths.clip(0).sum()], lengths)

    def texts(self) -> list[npt.NDArray[np.uint32]]:
        return np.split(self.ids, np.cumsum(self.lengths.clip(0))[:-1])


def joined(texts: list[npt.NDArray[np.uint32]]) -> Encoded:
    return Encoded(np.concatenate([np.zeros(0, np.uint32), *texts]), np.array(list(map(len, texts)), np.int64))


@dataclass(frozen=True)
class ByteLevel:
    """`pattern` is the expression that cuts texts into words. With `whole_words` a word that is a token is not merged."""

    pattern: str
    vocabulary: dict[str, int]  # by GPT-2's letters of the bytes
    merges: list[tuple[str, str]]
    byte_ids: list[int]
    whole_words: bool


class Preparation:
    """What a byte-level tokenizer does to a text before it cuts it into words."""

    def __init__(self, tokenizer: Tokenizer):
        # tokens that `tokenizers` finds in a text first, special ones not
        self._added = [token.content for token in tokenizer.get_added_tokens_decoder().values() if not token.special]
        if len(self._added) > MAX_ADDED:
            raise ValueError(f"the tokenizer has {len(self._added)} added tokens, too many to look for in every text")
        self._normalizer = tokenizer.normalizer

    def __call__(self, text: str) -> str | None:
        """None for a text that only `tokenizers` can encode."""
        if self._has_added(text):
            return None
        if self._normalizer is None or text.isascii() or COMPOSED.fullmatch(text):
            return text
        composed: str = self._normalizer.normalize_str(text)  # not Python's, which knows other characters
        return None if self._has_added(composed) else composed

    def _has_added(self, text: str) -> bool:
        return any(token in text for token in self._added)


def read_byte_level(tokenizer: Tokenizer) -> ByteLevel:
    """ValueError if it is none, or does more than is known here."""
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    if model["type"] != "BPE" or content["normalizer"] not in (None, {"type": "NFC"}):
        raise ValueError("the tokenizer is not a byte-level BPE, or changes texts before it")
    if any(model.get(feature) for feature in UNKNOWN_FEATURES):
        raise ValueError("the tokenizer's BPE has features that only tokenizers knows")
    vocabulary: dict[str, int] = model["vocab"]
    byte_ids = [vocabulary.get(letter, -1) for letter in byte_letters()]
    if -1 in byte_ids:
        raise ValueError("the tokenizer lacks tokens for single bytes")
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    merges = [(left, right) for left, right in pairs]
    return ByteLevel(_pattern(content["pre_tokenizer"] or {}), vocabulary, merges, byte_ids, bool(model.get("ignore_merges")))


def _pattern(before: dict[str, object]) -> str:
    steps = before.get("pretokenizers", [before])
    assert isinstance(steps, list)
    last = steps[-1] if steps else {}
    if last.get("type") == "ByteLevel" and not last["add_prefix_space"]:
        if len(steps) == 1 and last["use_regex"]:
            return GPT2_PATTERN
        if len(steps) == 2 and not last["use_regex"] and steps[0]["type"] == "Split" and steps[0]["behavior"] == "Isolated":
            expression = steps[0]["pattern"].get("Regex")
            if isinstance(expression, str) and not steps[0]["invert"]:
                return expression
    raise ValueError("the tokenizer cuts texts in a way that only tokenizers knows")
