"""What the model has seen: exact token counts by dataset, and the documents of any step's batch. NumPy only.

Both are read from the index arrays that training used (`index/`), so they say what happened and not what was asked for, however
often a stage was interrupted and on however many processes it ran. Tokens are counted as the model's inputs: sequence_length a
sample. What the stages before have seen is read from their own, up to the step that the next one begins from.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.attended import document_lengths
from pretrain.guards import batch_of_step, read_rewinds
from recipes.stage import Stage, read_stage

INDEX_FOLDER, BLEND = "index", "blend.json"  # of a training stage: its arrays; which of them belongs to which dataset
INDEX = f"{INDEX_FOLDER}/{BLEND}"


@dataclass(frozen=True)
class Index:
    """The index of a stage's blend."""

    folder: Path
    record: dict[str, Any]

    def array(self, file: str) -> np.ndarray:
        loaded: np.ndarray = np.load(self.folder / file, mmap_mode="r")
        return loaded

    @property
    def attended_length(self) -> int:
        """How many tokens attention looks at, on the mean: T in `cost.flops_per_token`."""
        return int(self.record["attended_length"])

    @property
    def names(self) -> list[str]:
        return [dataset["name"] for dataset in self.record["datasets"]]

    @cached_property
    def dataset_of_sample(self) -> np.ndarray:
        return self.array(self.record["dataset_index"])

    @cached_property
    def number_in_dataset(self) -> np.ndarray:
        return self.array(self.record["dataset_sample_index"])

    @cached_property
    def rewinds(self) -> list[dict[str, Any]]:
        return read_rewinds(self.folder.parent)

    def batches(self, steps: int) -> np.ndarray:
        """The numbers of the batches, from 1, that the first steps were given, in order."""
        return np.array([batch_of_step(step, self.rewinds) for step in range(1, steps + 1)], dtype=np.int64)

    def samples(self, steps: int) -> Any:
        """Of the first steps, in order: what the arrays of all samples are indexed with."""
        size = self.record["global_batch_size"]
        return self.samples_of(self.batches(steps)) if self.rewinds else slice(steps * size)

    def samples_of(self, batches: np.ndarray) -> np.ndarray:
        size = self.record["global_batch_size"]
        samples: np.ndarray = ((batches[:, None] - 1) * size + np.arange(size)).ravel()
        return samples

    def samples_left_out(self, steps: int) -> np.ndarray:
        """Of the batches that guards left out in the first steps."""
        batches = self.batches(steps) if self.rewinds else np.zeros(0, dtype=np.int64)
        return self.samples_of(np.setdiff1d(np.arange(1, batches.max(initial=0) + 1), batches))


def read_index(folder: Path) -> Index:
    file = folder / INDEX
    if not file.is_file():
        raise ValueError(f"{folder} has no {INDEX}: it is no training stage, or it has not started yet")
    return Index(folder / "index", json.loads(file.read_text()))


# ---------------------------------------------------------------------------------------------------- ledger


def ledger(folder: Path, steps: int) -> list[dict[str, Any]]:
    """After `steps` steps, for each dataset of the blend: the share asked for, tokens and documents delivered, epochs. Of the
    documents delivered, `documents_seen_before` are those that the stages before have delivered too; `documents_left` are those
    that neither has. `left_out_tokens` are those of batches that guards left out: nothing was learnt from them."""
    index = read_index(folder)
    before = times_seen_before(read_stage(folder))
    num_samples = steps * index.record["global_batch_size"]
    length = index.record["sequence_length"]
    delivered = index.dataset_of_sample[index.samples(steps)]
    left_out = index.dataset_of_sample[index.samples_left_out(steps)]
    rows = []
    for position, dataset in enumerate(index.record["datasets"]):
        tokens = int(np.count_nonzero(delivered == position)) * length
        is_touched = _times_seen(index, dataset["name"], steps) > 0
        was_touched = before[dataset["name"]] > 0
        rows.append(
            {
                "dataset": dataset["name"],
                "asked_share": dataset["share"],
                "delivered_share": tokens / (num_samples * length) if num_samples else 0.0,
                "delivered_tokens": tokens,
                "left_out_tokens": int(np.count_nonzero(left_out == position)) * length,
                "dataset_tokens": dataset["tokens"],
                "epochs": tokens / dataset["tokens"],
                "documents_touched": int(np.count_nonzero(is_touched)),
                "documents_seen_before": int(np.count_nonzero(is_touched & was_touched)),
                "documents_left": int(np.count_nonzero(~is_touched & ~was_touched)),
                "dataset_documents": dataset["documents"],
            }
        )
    return rows


def times_seen_before(stage: Stage) -> dict[str, np.ndarray]:
    """For each dataset of the stage's blend, how often every document of its train split was delivered by the stages that this
    one begins from."""
    times: dict[str, np.ndarray] = {}
    for name in stage.params["blend"]:
        role = f"dataset/{name}"
        before = [
            _times_seen(read_index(other.folder), name, steps)
            for other, steps in lineage(stage)
            if name in other.params["blend"] and other.inputs[role].identity == stage.inputs[role].identity
        ]
        times[name] = sum(before, np.zeros(len(document_lengths(Path(stage.input(role)))), dtype=np.int64))
    return times


def lineage(stage: Stage) -> Iterator[tuple[Stage, int]]:
    """The training stages between the base and this one, the last first, each with the number of its steps that this one's
    weights have been through. Behind an average there are several ways: a stage comes once, with the most of its steps."""
    found: dict[Path, tuple[Stage, int]] = {}
    for before, steps in _begun_from(stage):
        for other, done in [(before, steps), *lineage(before)]:
            found[other.folder] = max(found.get(other.folder, (other, 0)), (other, done), key=lambda entry: entry[1])
    yield from found.values()


def _begun_from(stage: Stage) -> list[tuple[Stage, int]]:
    """The training stage that this one begins from, or those whose checkpoints were averaged for it."""
    if stage.do == "average":
        inputs = [(f"checkpoint/{member['stage']}", member["step"]) for member in stage.params["members"]]
    else:
        inputs = [("init", stage.params.get("init_step"))] if stage.params["init_from_stage"] else []
    found: list[tuple[Stage, int]] = []
    for role, step in inputs:
        before = read_stage(stage.input(role))
        found += _begun_from(before) if before.do == "average" else [(before, step or before.params["steps"])]
    return found


def _times_seen(index: Index, name: str, steps: int) -> np.ndarray:
    """How often each document of a dataset came up in the first steps: with at least one token among the inputs. Counts how many
    samples begin and end at each place of the document order, and keeps the places that some sample covers: linear, for hundreds
    of millions of documents."""
    position = index.names.index(name)
    dataset = index.record["datasets"][position]
    seen = index.samples(steps)
    numbers = index.number_in_dataset[seen][index.dataset_of_sample[seen] == position]
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
    return np.bincount(documents[covered], minlength=dataset["documents"])


# ---------------------------------------------------------------------------------------------------- trace


def trace(folder: Path, step: int) -> list[dict[str, Any]]:
    """The pieces of documents that made up the batch of `step` (from 1), in order. `first_token` is the piece's place in the
    dataset's train.bin, in tokens, as in docs.parquet; `num_tokens` the piece's length."""
    index = read_index(Path(folder))
    steps = index.record["steps"]
    if not 1 <= step <= steps:
        raise ValueError(f"step={step} is not a step of {folder}; it has steps 1 to {steps}")
    return trace_batches(Path(folder), [batch_of_step(step, index.rewinds)])


def trace_batches(folder: Path, batches: Sequence[int]) -> list[dict[str, Any]]:
    """The same of batches by their numbers in the order of the data, from 1: of those that were left out too."""
    stage, index = read_stage(folder), read_index(folder)
    pieces = [piece for sample in index.samples_of(np.array(batches)) for piece in _pieces(index, int(sample))]
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


def steps_with(folder: Path, dataset: str, document: int) -> list[int]:
    """The steps (from 1) whose batches held a token of this document of a dataset's train split, in order. Empty where it never
    came up: a blend need not see all of a dataset."""
    index = read_index(folder)
    if dataset not in index.names:
        raise ValueError(f"{folder} blends no dataset {dataset!r}; it has {', '.join(index.names)}")
    files = index.record["datasets"][index.names.index(dataset)]
    begins = np.asarray(index.array(files["sample_index"]))  # (samples + 1, 2): place in the order of documents, offset there
    holding: list[int] = []
    for place in np.flatnonzero(index.array(files["document_index"]) == document):
        first, after = np.searchsorted(begins[:-1, 0], place), np.searchsorted(begins[:-1, 0], place, side="right")
        near = range(max(int(first) - 1, 0), int(after))  # the first one begins before the document
        holding += [sample for sample in near if tuple(begins[sample + 1]) > (place, 0)]  # at 0 only its last label lies there
    numbers = np.flatnonzero(np.isin(index.array(files["shuffle_index"]), holding))
    size = index.record["global_batch_size"]
    seen = index.samples(index.record["steps"])
    is_holding = (index.dataset_of_sample[seen] == index.names.index(dataset)) & np.isin(index.number_in_dataset[seen], numbers)
    return [int(step) for step in np.unique(np.flatnonzero(is_holding) // size) + 1]


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
