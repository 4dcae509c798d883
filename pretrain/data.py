"""The blend: which sample of which dataset is the i-th of this stage, decided once and kept in the stage's `index/`.

Megatron's BlendedMegatronDatasetBuilder decides. Its order depends on how many samples are asked for (a longer run reorders what
was already seen), so the size is fixed by the recipe: steps x global_batch_size. Shares are of fixed-length samples, hence of
tokens; any prefix is within one sample of them. Samples go to steps by their number alone: the number of processes changes who
computes a sample, never when.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
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

from pretrain.parallel import Layout
from pretrain.tokens import Vocabulary
from recipes.schema import TrainParams
from recipes.stage import Stage

INDEX = "index"
BLEND = "blend.json"  # last file of the index: which file is what, for ledger.py
TRAIN_SPLIT = "1,0,0"  # every document of a dataset's train.bin; validation documents are in a file of their own

Batch = tuple[torch.Tensor, torch.Tensor]  # tokens, labels: (micro_batch_size, sequence_length)


@dataclass
class BlendConfig(GPTDatasetConfig):
    """Knows where each named dataset lies, so that the index holds names and no paths, and a results' root can be moved."""

    prefixes: dict[str, str] = field(default_factory=dict)


class NamedDataset(GPTDataset):
    """A GPTDataset that is called by its name in the blend."""

    @staticmethod
    def build_low_level_dataset(dataset_path: str, config: BlendConfig) -> IndexedDataset:
        return GPTDataset.build_low_level_dataset(config.prefixes[dataset_path], config)


def dataset_folder(stage: Stage, name: str) -> Path:
    return Path(stage.input(f"dataset/{name}"))


def open_blend(stage: Stage, params: TrainParams, vocabulary: Vocabulary) -> BlendedDataset:
    """All processes call this together. The first builds the index, beside its final place, and renames it when it is whole."""
    is_first = torch.distributed.get_rank() == 0
    final, making = stage.folder / INDEX, stage.folder / f".{INDEX}.tmp"
    is_built = (final / BLEND).is_file()
    if is_first and not is_built:
        for rest in (making, final):
            shutil.rmtree(rest, ignore_errors=True)
    torch.distributed.barrier()

    names = list(params.blend)
    config = BlendConfig(
        random_seed=data_seed(params.seed),
        sequence_length=params.sequence_length,
        blend=(names, [params.blend[name] for name in names]),
        split=TRAIN_SPLIT,
        path_to_cache=str(final if is_built else making),
        tokenizer=vocabulary,
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
        prefixes={name: str(dataset_folder(stage, name) / "train") for name in names},
    )
    num_samples = params.steps * params.global_batch_size
    # Megatron logs a warning for a blend of one dataset; it is what we want: one shape of index for every blend
    logging.getLogger("megatron.core.datasets.blended_dataset").setLevel(logging.ERROR)
    blend = BlendedMegatronDatasetBuilder(NamedDataset, [num_samples, 0, 0], lambda: True, config).build()[0]
    torch.distributed.barrier()
    if is_first and not is_built:
        _describe(making, blend, params)
        os.replace(making, final)
    torch.distributed.barrier()
    return blend


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
    """This process' micro-batches of each step, read one step ahead by a thread."""

    def __init__(self, blend: BlendedDataset, params: TrainParams, layout: Layout) -> None:
        self.blend, self.layout = blend, layout
        self.global_batch_size = params.global_batch_size
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")

    def steps(self, after: int, last: int) -> Iterator[list[Batch]]:
        """The batches of steps after+1 .. last."""
        if after >= last:
            return
        ahead: Future[list[Batch]] = self.reader.submit(self._read, after + 1)
        for step in range(after + 1, last + 1):
            batch = ahead.result()
            if step < last:
                ahead = self.reader.submit(self._read, step + 1)
            yield batch

    def close(self) -> None:
        self.reader.shutdown(wait=True, cancel_futures=True)

    def _read(self, step: int) -> list[Batch]:
        size = self.layout.parallelism.micro_batch_size
        first = (step - 1) * self.global_batch_size
        batches = []
        for microbatch in range(self.layout.num_microbatches):
            start = first + (microbatch * self.layout.data_size + self.layout.data_rank) * size
            batches.append(_stack([self.blend[i] for i in range(start, start + size)], self.layout.device))
        return batches


def _stack(samples: list[dict[str, torch.Tensor]], device: str) -> Batch:
    tokens = torch.stack([sample["tokens"] for sample in samples])
    labels = torch.stack([sample["labels"] for sample in samples])
    return (tokens.pin_memory(), labels.pin_memory()) if device == "cuda" else (tokens, labels)


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
        self.length = params.sequence_length
        num_tokens = int(np.sum(indexed.sequence_lengths, dtype=np.int64))
        self.num_sequences = min((num_tokens - 1) // self.length, params.validation_sequences)
        if self.num_sequences < 1:
            raise ValueError(
                f"the validation split of dataset {name!r} has {num_tokens} tokens, fewer than sequence_length + 1 = "
                f"{self.length + 1}; raise validation_share on its page"
            )
        self.tokens = np.memmap(prefix.with_suffix(".bin"), dtype=indexed.index.dtype, mode="r")

    def batch(self, first: int, last: int) -> Batch:
        """Sequences first .. last-1."""
        text = self.tokens[first * self.length : last * self.length + 1].astype(np.int64)
        tokens, labels = (torch.from_numpy(part).view(-1, self.length) for part in (text[:-1], text[1:]))
        return tokens, labels
