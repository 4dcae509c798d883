"""The order of a dataset's documents in a stage that goes on where the stages before it have stopped: `continue: true`.

Documents that came up less often than others come first, until all have come up as often as the most seen one; then whole epochs.
After a stage that saw 60 % of a dataset, that is the other 40 %, then, when more is asked for, everything once more.
"""

from itertools import count
from typing import NamedTuple

import numpy as np
from megatron.core.datasets import helpers


class Order(NamedTuple):
    """The arrays of a megatron-core GPTDataset, by the names of their files."""

    document_index: np.ndarray  # int32: documents one behind the other, a round after a round
    sample_index: np.ndarray  # (samples + 1, 2): place in document_index and offset in the document where a sample begins
    shuffle_index: np.ndarray  # uint32: the sample that is the i-th


def order(lengths: np.ndarray, seen: np.ndarray, sequence_length: int, num_samples: int, random: np.random.RandomState) -> Order:
    """At least `num_samples` samples. `lengths` (int32) and `seen` are those of all documents: tokens, and how often each came up
    before. Documents are shuffled within a round, samples too; no sample of a round comes before those of the round before it."""
    rounds, ends = [], []
    num_tokens = 0
    for level in count(int(seen.min())):
        documents = np.flatnonzero(seen <= level).astype(np.int32)
        random.shuffle(documents)
        num_tokens += int(lengths[documents].sum(dtype=np.int64))
        rounds.append(documents)
        ends.append(num_tokens)
        if num_tokens > num_samples * sequence_length:  # one more: the last sample's last label
            break
    document_index = np.concatenate(rounds)
    sample_index = helpers.build_sample_idx(lengths.copy(), document_index, sequence_length, 1, num_tokens)
    begins = sequence_length * np.arange(len(sample_index) - 1, dtype=np.int64)
    first = np.searchsorted(ends, begins, side="right")
    last = np.searchsorted(ends, begins + sequence_length - 1, side="right")
    # a sample that begins in one round and ends in the next comes between the two
    shuffle_index = np.lexsort((random.permutation(len(begins)), last, first)).astype(np.uint32)
    return Order(document_index, sample_index, shuffle_index)
