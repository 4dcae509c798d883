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
from pretrain.agreement import first_decides
from pretrain.attended import mean_piece
from pretrain.ledger import BLEND, INDEX_FOLDER
from pretrain.tokens import Vocabulary
from recipes.schema import TrainParams
from recipes.stage import Stage

TRAIN_SPLIT = "1,0,0"  # every document of a dataset's train.bin; validation documents are in a file of their own
MEASURED = 256  # samples whose documents say how far attention reaches


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
        return {**super().__getitem__(number), "ends": self.document_ends(number)}

    def document_ends(self, number: int) -> np.ndarray:
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
    # Megatron logs a warning for a blend of one dataset; it is what we want: one shape of index for every blend
    logging.getLogger("megatron.core.datasets.blended_dataset").setLevel(logging.ERROR)
    final, making = stage.folder / INDEX_FOLDER, stage.folder / f".{INDEX_FOLDER}.tmp"
    seen: dict[str, np.ndarray] = {}

    def begin() -> bool:
        """Whether the index is there. Where not, `seen` is filled, on the process that builds it."""
        if (final / BLEND).is_file():
            return True
        for rest in (making, final):
            shutil.rmtree(rest, ignore_errors=True)
        if params.continues_data:
            seen.update({name: times for name, times in ledger.times_seen_before(stage).items() if times.any()})
        return False

    is_built = first_decides(begin)
    config = _blend_config(stage, params, vocabulary, final if is_built else making)
    config.seen = seen
    num_samples = params.num_batches * params.global_batch_size
    blend = BlendedMegatronDatasetBuilder(NamedDataset, [num_samples, 0, 0], lambda: True, config).build()[0]
    torch.distributed.barrier()  # arrays are open everywhere before their folder is renamed

    def end() -> None:
        _describe(making, blend, params)
        os.replace(making, final)

    if not is_built:
        first_decides(end)
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
        "attended_length": _attended_length(blend, params),
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


def _attended_length(blend: BlendedDataset, params: TrainParams) -> int:
    """T in `cost.flops_per_token`, measured on the first samples."""
    if params.documents == "plain":
        return params.sequence_length
    pieces = []
    for dataset, number in zip(blend.dataset_index[:MEASURED], blend.dataset_sample_index[:MEASURED], strict=True):
        ends = blend.datasets[dataset].document_ends(number)
        pieces.append(np.diff(np.concatenate([[0], ends, [params.sequence_length]])))
    return round(mean_piece(np.concatenate(pieces)))
