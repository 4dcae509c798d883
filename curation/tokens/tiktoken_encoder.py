"""Encoding by tiktoken: for byte-level tokenizers that cut texts by an expression the compiled pass does not know."""

from itertools import pairwise

import numpy as np
import tiktoken

from curation.tokens.byte_level import ByteLevel, Encoded, joined
from curation.tokens.llama3_tokenizer import byte_letters


class TiktokenEncoder:
    """ValueError if the merges are not in the order of their ids."""

    name = "tiktoken"

    def __init__(self, model: ByteLevel):
        self._encoding = tiktoken.Encoding("fast", pat_str=model.pattern, mergeable_ranks=_ranks(model), special_tokens={})

    def encode(self, texts: list[str]) -> Encoded:
        # encode_to_numpy looks for special tokens first, even for none of them: half as slow again
        return joined([np.array(self._encoding.encode_ordinary(text), np.uint32) for text in texts])


def _ranks(model: ByteLevel) -> dict[bytes, int]:
    """Bytes of each token to its id. tiktoken merges by id where `tokenizers` merges by the order of its list: the order of the
    tokens that merges make must be the order of their ids."""
    made = [model.vocabulary.get("".join(merge), -1) for merge in model.merges]
    if any(one > other for one, other in pairwise(made)):
        raise ValueError("the tokenizer's merges are not in the order of its ids")
    reachable = {*model.byte_ids, *made}
    bytes_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    tokens = ((token, number) for token, number in model.vocabulary.items() if number in reachable)
    return {bytes(bytes_of[letter] for letter in token): number for token, number in tokens}
