"""What the model has seen: exact token counts by dataset, and the documents of any step's batch. NumPy only.

Both are read from the index arrays that training used (`index/`), so they say what happened and not what was asked for. Tokens
are counted as the model's inputs: sequence_length a sample.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes.stage import Stage, read_stage


@dataclass(frozen=True)
class Index:
    """The index of a stage's blend."""

    folder: Path
    record: dict[str, Any]

    def array(self, file: str) -> np.ndarray:
        loaded: np.ndarray = np.load(self.folder / file, mmap_mode="r")
        return loaded

    @cached_property
    def dataset_of_sample(self) -> np.ndarray:
        return self.array(self.record["dataset_index"])

    @cached_property
    def number_in_dataset(self) -> np.ndarray:
        return self.array(self.record["dataset_sample_index"])


def read_index(folder: Path) -> Index:
    file = folder / "index" / "blend.json"
    if not file.is_file():
        raise ValueError(f"{folder} has no index/blend.json: it is no training stage, or it has not started yet")
    return Index(folder / "index", json.loads(file.read_text()))


# ---------------------------------------------------------------------------------------------------- ledger


def ledger(folder: Path, steps: int) -> list[dict[str, Any]]:
    """After `steps` steps, for each dataset of the blend: the share asked for, tokens and documents delivered, epochs."""
    index = read_index(folder)
    num_samples = steps * index.record["global_batch_size"]
    length = index.record["sequence_length"]
    dataset_of_sample = index.dataset_of_sample[:num_samples]
    rows = []
    for position, dataset in enumerate(index.record["datasets"]):
        numbers = index.number_in_dataset[:num_samples][dataset_of_sample == position]
        tokens = len(numbers) * length
        rows.append(
            {
                "dataset": dataset["name"],
                "asked_share": dataset["share"],
                "delivered_share": tokens / (num_samples * length) if num_samples else 0.0,
                "delivered_tokens": tokens,
                "dataset_tokens": dataset["tokens"],
                "epochs": tokens / dataset["tokens"],
                "documents_touched": _documents_touched(index, dataset, numbers),
                "dataset_documents": dataset["documents"],
            }
        )
    return rows


def _documents_touched(index: Index, dataset: dict[str, Any], numbers: np.ndarray) -> int:
    """Distinct documents of which at least one token was an input. Counts how many samples begin and end at each place of the
    document order, and keeps the places that some sample covers: linear, for hundreds of millions of documents."""
    documents = index.array(dataset["document_index"])
    samples = index.array(dataset["sample_index"])
    places = np.asarray(index.array(dataset["shuffle_index"])[numbers], dtype=np.int64)
    first = samples[places, 0].astype(np.int64)
    # a sample whose inputs end at offset 0 of a document only has that document's first token as its last label
    after = samples[places + 1, 0].astype(np.int64) + (samples[places + 1, 1] > 0)
    edges = np.zeros(len(documents) + 1, dtype=np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, after, -1)
    covered = np.cumsum(edges[:-1]) > 0
    return int(np.unique(documents[covered]).size)


# ---------------------------------------------------------------------------------------------------- trace


def trace(folder: Path, step: int) -> list[dict[str, Any]]:
    """The pieces of documents that made up the batch of `step` (from 1), in order. `first_token` is the piece's place in the
    dataset's train.bin, in tokens, as in docs.parquet; `num_tokens` the piece's length."""
    folder = Path(folder).absolute()
    stage, index = read_stage(folder), read_index(folder)
    steps, size = index.record["steps"], index.record["global_batch_size"]
    if not 1 <= step <= steps:
        raise ValueError(f"step={step} is not a step of {folder}; it has steps 1 to {steps}")
    wanted = range((step - 1) * size, step * size)
    pieces = [piece for sample in wanted for piece in _pieces(index, sample)]
    known = {
        dataset["name"]: _documents(stage, dataset["name"], {piece[2] for piece in pieces if piece[1] == dataset["name"]})
        for dataset in index.record["datasets"]
    }
    rows = []
    for sample, name, document, offset, stop in pieces:
        row = known[name][document]
        stop = row["num_tokens"] if stop is None else stop
        rows.append(
            {
                "sample": sample,
                "dataset": name,
                "document": document,
                "id": row["id"],
                "url": row["url"],
                "source": row["source"],
                "first_token": row["first_token"] + offset,
                "num_tokens": stop - offset,
            }
        )
    return rows


def _pieces(index: Index, sample: int) -> list[tuple[int, str, int, int, int | None]]:
    """(sample, dataset, document, offset of its first input token, offset after its last; None: to the document's end)."""
    dataset = index.record["datasets"][int(index.dataset_of_sample[sample])]
    place = int(index.array(dataset["shuffle_index"])[index.number_in_dataset[sample]])
    (first, first_offset), (last, last_offset) = index.array(dataset["sample_index"])[place : place + 2].tolist()
    documents = index.array(dataset["document_index"])[first : last + 1].tolist()
    pieces: list[tuple[int, str, int, int, int | None]] = []
    for i, document in enumerate(documents):
        offset = first_offset if i == 0 else 0
        stop = last_offset if i == len(documents) - 1 else None
        if stop is None or stop > offset:
            pieces.append((sample, dataset["name"], document, offset, stop))
    return pieces


def _documents(stage: Stage, name: str, numbers: set[int]) -> dict[int, dict[str, Any]]:
    """Rows of docs.parquet by document number in the train split."""
    import pyarrow.parquet as parquet

    file = Path(stage.input(f"dataset/{name}")) / "docs.parquet"
    if not numbers:
        return {}
    table = parquet.read_table(file, filters=[("split", "=", "train"), ("document", "in", sorted(numbers))])
    rows = {row["document"]: row for row in table.to_pylist()}
    missing = sorted(numbers - rows.keys())
    if missing:
        raise ValueError(
            f"{file} does not list document {missing[0]} of the train split; the dataset was changed, tokenize it again"
        )
    return rows
