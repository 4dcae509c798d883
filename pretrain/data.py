"""The blend: which sample of which dataset is the i-th of this stage, decided once and kept in the stage's `index/`.

Megatron's BlendedMegatronDatasetBuilder decides. Its order depends on how many samples are asked for (a longer run reorders what
was already seen), so the size is fixed by the recipe: (steps + what guards may leave out) x global_batch_size; a longer run is a
further stage. Shares are of fixed-length samples, hence of tokens; any prefix is within one sample of them. Samples go to steps
by their number alone: the number of processes changes who computes a sample, never when.
"""

import hashlib
import json
import logging
import os
import shutil
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from megatron.core.datasets.blended_dataset import BlendedDataset
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset

from pretrain import ledger, unseen
from pretrain.batch import Batch, make_batch
from pretrain.guards import Guard
from pretrain.parallel import Layout
from pretrain.tokens import Vocabulary
from recipes.schema import TrainParams
from recipes.stage import Stage

INDEX = "index"
BLEND = "blend.json"  # last file of the index: which file is what, for ledger.py
TRAIN_SPLIT = "1,0,0"  # every document of a dataset's train.bin; validation documents are in a file of their own
STEPS_AHEAD = 4  # read before they are asked for: one slow read of a shared file system stalls no step


@dataclass
class BlendConfig(GPTDatasetConfig):
    """Knows where each named dataset lies, so that the index holds names and no paths, and a results' root can be moved."""

    prefixes: dict[str, str] = field(default_factory=dict)
    seen: dict[str, np.ndarray] = field(default_factory=dict)  # dataset that goes on: how often each document came up before


class NamedDataset(GPTDataset):
    """A GPTDataset that is called by its name in the blend, and knows where documents end in a sample."""

    @staticmethod
    def build_low_level_dataset(dataset_path: str, config: BlendConfig) -> IndexedDataset:
        return GPTDataset.build_low_level_dataset(config.prefixes[dataset_path], config)

    def _build_document_sample_shuffle_indices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Megatron's own order, but for a dataset that goes on where the stages before have stopped. Its order is left where
        Megatron would leave its own, and loaded from there."""
        seen = self.config.seen.get(self.dataset_path)
        if seen is not None:
            lengths, random = self.dataset.sequence_lengths, np.random.RandomState(self.config.random_seed)
            order = unseen.order(lengths, seen, self.config.sequence_length, self.num_samples, random)
            stem = f"{self.unique_description_hash}-{type(self).__name__}-{self.index_split.name}"
            folder = Path(self.config.path_to_cache)
            folder.mkdir(parents=True, exist_ok=True)
            for what, array in order._asdict().items():
                np.save(folder / f"{stem}-{what}.npy", array)
            (folder / f"{stem}-description.txt").write_text(self.unique_description)
        indices: tuple[np.ndarray, np.ndarray, np.ndarray] = super()._build_document_sample_shuffle_indices()
        return indices

    def __getitem__(self, number: int) -> dict[str, Any]:
        """`ends`: the places behind the last token of every document that ends among the sample's inputs."""
        return {**super().__getitem__(number), "ends": self._document_ends(number)}

    def _document_ends(self, number: int) -> np.ndarray:
        place = self.shuffle_index[number]
        (first, offset), (last, _) = self.sample_index[place : place + 2]
        lengths = self.dataset.sequence_lengths[self.document_index[first:last]].astype(np.int64)
        if last > first:
            lengths[0] -= offset
        return np.cumsum(lengths)


def dataset_folder(stage: Stage, name: str) -> Path:
    return Path(stage.input(f"dataset/{name}"))


def open_blend(stage: Stage, params: TrainParams, vocabulary: Vocabulary) -> BlendedDataset:
    """All processes call this together. The first builds the index, beside its final place, and renames it when it is whole."""
    is_first = torch.distributed.get_rank() == 0
    # Megatron logs a warning for a blend of one dataset; it is what we want: one shape of index for every blend
    logging.getLogger("megatron.core.datasets.blended_dataset").setLevel(logging.ERROR)
    final, making = stage.folder / INDEX, stage.folder / f".{INDEX}.tmp"
    is_built = (final / BLEND).is_file()
    if is_first and not is_built:
        for rest in (making, final):
            shutil.rmtree(rest, ignore_errors=True)
    torch.distributed.barrier()

    config = _blend_config(stage, params, vocabulary, final if is_built else making)
    if is_first and not is_built and params.continues_data:
        config.seen = {name: times for name, times in ledger.times_seen_before(stage).items() if times.any()}
    num_samples = params.num_batches * params.global_batch_size
    blend = BlendedMegatronDatasetBuilder(NamedDataset, [num_samples, 0, 0], lambda: True, config).build()[0]
    torch.distributed.barrier()
    if is_first and not is_built:
        _describe(making, blend, params)
        os.replace(making, final)
    torch.distributed.barrier()
    return blend


def _blend_config(stage: Stage, params: TrainParams, vocabulary: Vocabulary, folder: Path) -> BlendConfig:
    names = list(params.blend)
    return BlendConfig(
        random_seed=data_seed(params.seed),
        sequence_length=params.sequence_length,
        blend=(names, [params.blend[name] for name in names]),
        split=TRAIN_SPLIT,
        path_to_cache=str(folder),
        tokenizer=vocabulary,
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
        prefixes={name: str(dataset_folder(stage, name) / "train") for name in names},
    )


def data_seed(seed: int) -> int:
    """A stage's seed (each stage of a page has one of its own) spread over the 32 bits that NumPy takes, so that neighbouring
    seeds give unrelated orders."""
    return int.from_bytes(hashlib.sha256(f"data order {seed}".encode()).digest()[:4], "big")


def _describe(folder: Path, blend: BlendedDataset, params: TrainParams) -> None:
    def named(dataset: Any, what: str) -> str:
        split = (dataset.index_split if hasattr(dataset, "index_split") else dataset.split).name
        return f"{dataset.unique_description_hash}-{type(dataset).__name__}-{split}-{what}.npy"

    record = {
        "sequence_length": params.sequence_length,
        "global_batch_size": params.global_batch_size,
        "steps": params.steps,
        "dataset_index": named(blend, "dataset_index"),
        "dataset_sample_index": named(blend, "dataset_sample_index"),
        "datasets": [
            {
                "name": dataset.dataset_path,
                "share": params.blend[dataset.dataset_path],
                "tokens": int(np.sum(dataset.dataset.sequence_lengths, dtype=np.int64)),
                "documents": int(dataset.dataset.sequence_lengths.shape[0]),
                **{what: named(dataset, what) for what in ("document_index", "sample_index", "shuffle_index")},
            }
            for dataset in blend.datasets
        ],
    }
    (folder / BLEND).write_text(json.dumps(record, indent=2))
    for file in folder.iterdir():  # a power cut must not leave a whole-looking index of empty files
        with open(file, "rb") as written:
            os.fsync(written.fileno())


class Batches:
    """This process' micro-batches of the steps after `step`, read a few steps ahead by a thread."""

    def __init__(self, blend: BlendedDataset, params: TrainParams, layout: Layout, step: int, guard: Guard | None = None) -> None:
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
        if not prefix.with_suffix(".bin").is_file():
            raise ValueError(
                f"validation names dataset {name!r}, but it has no held-out split ({prefix}.bin); set validation_share on the "
                f"tokenize stage of its page, or remove it from `validation`"
            )
        indexed = IndexedDataset(str(prefix), multimodal=False, mmap=True)
        self.params, self.length = params, params.sequence_length
        num_tokens = int(np.sum(indexed.sequence_lengths, dtype=np.int64))
        self.num_sequences = min((num_tokens - 1) // self.length, params.validation_sequences)
        if self.num_sequences < 1:
            raise ValueError(
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
