"""The one way by which a special token in a text becomes its id: a page whose paths are written with special tokens names them,
and the stage that writes the paths has put every one of them there (curation/paths/sample.py). In all other texts "<|end|>" is
text.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from curation.tokens.byte_level import Encoded


def mark_ids(tokenizer: Tokenizer, marks: Sequence[str]) -> dict[str, int]:
    """Ids of marks: the tokenizer's own; those that it lacks come behind its vocabulary in their order, as a train page's
    `special_tokens` do."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    plain = [mark for mark in marks if mark in vocabulary and mark not in special]
    if plain:
        raise ValueError(f"special_tokens: {plain[0]!r} is an ordinary token of the tokenizer; choose another one")
    lacking = [mark for mark in marks if mark not in vocabulary]
    behind = {mark: number for number, mark in enumerate(lacking, start=max(vocabulary.values()) + 1)}
    return {mark: behind.get(mark, vocabulary.get(mark, -1)) for mark in marks}


def encode_marked(
    encode: Callable[[list[str]], tuple[Encoded, int]], texts: list[str], ids: Mapping[str, int]
) -> tuple[Encoded, int]:
    """`encode`, with each mark in a text as its id: what stands between marks is encoded by itself, as `tokenizers` does it."""
    marks = re.compile("(" + "|".join(re.escape(mark) for mark in sorted(ids, key=len, reverse=True)) + ")")
    pieces = [marks.split(text) for text in texts]  # texts and marks in turn
    encoded, num_left = encode([piece for split in pieces for piece in split[::2]])
    between = iter(encoded.texts())
    joined: list[np.ndarray] = []
    lengths = []
    for split in pieces:
        parts = [next(between) if place % 2 == 0 else np.array([ids[piece]], np.uint32) for place, piece in enumerate(split)]
        joined += parts
        lengths.append(sum(map(len, parts)))
    return Encoded(np.concatenate([np.zeros(0, np.uint32), *joined]), np.array(lengths, np.int64)), num_left
