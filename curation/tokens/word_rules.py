"""How a byte-level tokenizer cuts a text into words: the expressions that the compiled pass knows, and the classes of characters
that they speak of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

from curation.tokens.byte_level import GPT2_PATTERN
from curation.tokens.llama3_tokenizer import PATTERN as LLAMA3_PATTERN
from curation.tokens.word_kernel import FOREIGN, LETTER, NEWLINE, NUM_BYTES, NUMBER, SPACE

QWEN2_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_PATTERN = QWEN2_PATTERN.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}", r"[^\s\p{L}\p{M}")
NUM_CODE_POINTS, NUM_ASCII = 0x110000, 0x80
SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True)
class WordRule:
    """`max_digits` a word has, 0 where words are GPT-2's; `letters` is the expression of what its words consist of."""

    max_digits: int
    letters: str = r"\p{L}"


WORD_RULES = {
    GPT2_PATTERN: WordRule(0),
    LLAMA3_PATTERN: WordRule(3),  # of GPT-4 too
    QWEN2_PATTERN: WordRule(1),  # of Qwen 2, 2.5 and 3
    QWEN35_PATTERN: WordRule(1, r"[\p{L}\p{M}]"),
}


@lru_cache
def character_classes(rule: WordRule) -> npt.NDArray[np.uint8]:
    """The classes of bytes and of all code points, as `word_end` wants them. `tokenizers` itself is asked: between its Unicode
    and that of Python's libraries lie 17,000 letters today. Takes half a second."""
    points = np.setdiff1d(np.arange(NUM_CODE_POINTS, dtype=np.uint32), SURROGATES, assume_unique=True)
    every = points.tobytes().decode("utf-32-le")
    classes = np.zeros(NUM_CODE_POINTS, np.uint8)
    for expression, number in ((rule.letters, LETTER), (r"\p{N}", NUMBER), (r"\s", SPACE)):
        others = normalizers.Replace(Regex(f"{expression}+"), "").normalize_str(every)
        classes[np.setdiff1d(points, np.frombuffer(others.encode("utf-32-le"), np.uint32), assume_unique=True)] = number
    if rule.max_digits:
        classes[[ord("\r"), ord("\n")]] = NEWLINE  # for GPT-2 they are white space like other
    bytes_ = np.full(NUM_BYTES, FOREIGN, np.uint8)
    bytes_[:NUM_ASCII] = classes[:NUM_ASCII]
    return np.concatenate((bytes_, classes))
