"""What the model is given: this process' micro-batches, step after step, and held-out sequences."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from megatron.core.datasets.indexed_dataset import IndexedDataset

from pretrain.batch import Batch, make_batch
from pretrain.blend import dataset_folder
from pretrain.ending import Mistake
from pretrain.guards import Guard
from pretrain.parallel import Layout
from recipes.schema import TrainParams
from recipes.stage import Stage

if TYPE_CHECKING:
    from megatron.core.datasets.blended_dataset import BlendedDataset

STEPS_AHEAD = 4  # read before they are asked for: one slow read of a shared file system stalls no step


class Batches:
    """This process' micro-batches of the steps after `step`, read a few steps ahead by a thread."""

    def __init__(
        self, blend: "BlendedDataset", params: TrainParams, layout: Layout, step: int, guard: Guard | None = None
    ) -> None:
        """`guard` knows which batches are left out."""
        self.blend, self.params, self.layout = blend, params, layout
        self.batch_of = guard.batch_of if guard else lambda step: step
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self.reading: deque[Future[list[Batch]]] = deque()
        self.next_read = step + 1
        for _ in range(STEPS_AHEAD):
            self._begin()

    def next(self) -> list[Batch]:
        """Those of the next step. After the last step there are none."""
        batches = self.ahead()
        self.reading.popleft()
        self._begin()
        return batches

    def ahead(self) -> list[Batch]:
        """What `next` will return."""
        return self.reading[0].result()

    def close(self) -> None:
        self.reader.shutdown(wait=True, cancel_futures=True)

    def _begin(self) -> None:
        self.reading.append(self.reader.submit(self._read, self.next_read))
        self.next_read += 1

    def _read(self, step: int) -> list[Batch]:
        return self.read(self.batch_of(step)) if step <= self.params.steps else []

    def read(self, number: int) -> list[Batch]:
        """This process' part of a batch by its number in the order of the data, from 1."""
        size = self.layout.parallelism.micro_batch_size
        first = (number - 1) * self.params.global_batch_size
        batches = []
        for microbatch in range(self.layout.num_microbatches):
            start = first + (microbatch * self.layout.data_size + self.layout.data_rank) * size
            batches.append(self._batch([self.blend[i] for i in range(start, start + size)]))
        return batches

    def _batch(self, samples: list[dict[str, Any]]) -> Batch:
        tokens, labels = (torch.stack([sample[name] for sample in samples]) for name in ("tokens", "labels"))
        batch = make_batch(tokens, labels, [sample["ends"] for sample in samples], self.params)
        if self.layout.device != "cuda":
            return batch
        return Batch._make(None if tensor is None else tensor.pin_memory() for tensor in batch)


class HeldOut:
    """The first sequences of a dataset's validation split, in order, without shuffling or repetition."""

    def __init__(self, stage: Stage, name: str, params: TrainParams) -> None:
        prefix = dataset_folder(stage, name) / "validation"
        indexed = IndexedDataset(str(prefix), multimodal=False, mmap=True)
        self.params, self.length = params, params.sequence_length
        num_tokens = int(np.sum(indexed.sequence_lengths, dtype=np.int64))
        self.num_sequences = min((num_tokens - 1) // self.length, params.validation_sequences)
        if self.num_sequences < 1:
            raise Mistake(
                f"the validation split of dataset {name!r} has {num_tokens} tokens, fewer than sequence_length + 1 = "
                f"{self.length + 1}; raise validation_share on its page"
            )
        self.tokens = np.memmap(prefix.with_suffix(".bin"), dtype=indexed.index.dtype, mode="r")
        self.ends = np.cumsum(indexed.sequence_lengths, dtype=np.int64)

    def batch(self, first: int, last: int) -> Batch:
        """Sequences first .. last-1."""
        text = self.tokens[first * self.length : last * self.length + 1].astype(np.int64)
        tokens, labels = (torch.from_numpy(part).view(-1, self.length) for part in (text[:-1], text[1:]))
        starts = self.length * np.arange(first, last)
        ends = [self.ends[(self.ends > start) & (self.ends <= start + self.length)] - start for start in starts]
        return make_batch(tokens, labels, ends, self.params)
