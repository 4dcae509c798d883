"""What the classifier sees of a text, in training and in prediction: one line of lower-case words.

LaTeX commands and operators are words: MegaMath's preprocessing deletes both. Over-long words, punctuation, delimiters and line
breaks go (OctoThinker, appendix: decisive for recall). Compiled passes over the bytes; the same rule as a regular expression
(`normalize_by_regular_expression` in the benchmark) takes longer than the prediction itself.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from curation.classifier.folding import fold_all
from curation.classifier.lines import Lines

DROPPED, LETTER, SIGN = 0, 1, 2
PUNCTUATION = "_!\"#$%&'(),.:;?@[]\\`{}~‘’“”–—…•·«»\u200b\ufeff\ufffd"
NUM_CODES = 0x110000


def normalize(text: str) -> str:
    """A text's line."""
    return normalize_all([text]).decode()[0]


def normalize_all(texts: Sequence[str]) -> Lines:
    from curation.classifier.text_kernel import write_words

    folded = fold_all(texts)
    written = np.empty(2 * len(folded.data) + 1, np.uint8)  # at most a space before every byte
    ends = np.empty(len(texts), np.int64)
    write_words(folded.data, folded.ends, _kinds(), written, ends)
    return Lines(written[: ends[-1] if len(ends) else 0], ends)


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """Of every Unicode code point, whether it belongs to a word, is a word by itself, or is dropped."""
    kinds = np.full(NUM_CODES, SIGN, np.uint8)
    characters = list(map(chr, range(NUM_CODES)))
    kinds[np.fromiter(map(str.isspace, characters), bool, NUM_CODES)] = DROPPED
    kinds[np.fromiter(map(str.isalnum, characters), bool, NUM_CODES)] = LETTER
    kinds[list(map(ord, PUNCTUATION))] = DROPPED
    return kinds
