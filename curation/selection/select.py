"""The selection among all documents: every rank leaves what decides about its own, one process draws (sampler.py), then every
rank passes on what was drawn and drops the rest. The same documents in any number of shards give the same selection.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.batches import batches
from curation.book import Book
from curation.selection.sampler import draw
from recipes.grading import Grader
from recipes.schema import SelectStage, TokenizeStage

KEYS, CHOSEN = "keys", "chosen.parquet"
KEY_SCHEMA = pa.schema(
    [("topic", pa.string()), ("length", pa.int64()), ("is_seed", pa.bool_()), ("id", pa.string()), ("rank", pa.int32())]
)
CHOSEN_SCHEMA = pa.schema([("rank", pa.int32()), ("id", pa.string()), ("way", pa.string()), ("place", pa.int32())])

Candidate = dict[str, Any]  # a row of KEY_SCHEMA


class WriteKeys(PipelineStep):
    """Leaves keys/<rank>.parquet; yields nothing. A trace's length is in tokens of `tokenizer`, or in characters without one."""

    name = "keys"

    def __init__(self, params: SelectStage, tokenizer: Path | None, book: Book):
        super().__init__()
        self.params = params
        self.tokenizer = tokenizer
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        rows: dict[str, list[Any]] = {name: [] for name in KEY_SCHEMA.names}
        with Grader() as grader:
            for batch in batches(data):
                for doc, length in zip(batch, self._lengths(batch), strict=True):
                    is_seed = self._is_seed(doc, length, grader)
                    for name, value in zip(KEY_SCHEMA.names, (self._topic(doc), length, is_seed, doc.id, rank), strict=True):
                        rows[name].append(value)
        _write(pa.table(rows, schema=KEY_SCHEMA), self.book.folder / KEYS / f"{rank:05d}.parquet")

    def _topic(self, doc: Document) -> str:
        topic = doc.metadata.get(self.params.topic)
        if not topic:
            raise ValueError(
                f"document {doc.id!r} has no {self.params.topic!r} in its metadata, which `topic` names; put a label_topic stage "
                "before, or name a field that every document has"
            )
        return str(topic)

    def _lengths(self, docs: Sequence[Document]) -> list[int]:
        from curation.tokens.tokenizer import open_tokenizer

        field = self.params.trace
        traces = [doc.text if field is None else str(doc.metadata.get(field) or "") for doc in docs]
        if self.tokenizer is None:
            return [len(trace) for trace in traces]
        opened = open_tokenizer(self.tokenizer, TokenizeStage(do="tokenize", end_of_text=False), ())
        return [int(length) for length in opened.encode(traces).lengths]

    def _is_seed(self, doc: Document, length: int, grader: Grader) -> bool:
        """Whether it comes from an origin of the seed set, its trace is long enough there, and its answer is right."""
        origin = str(doc.metadata.get(self.params.origin) or "")
        names = [name for name in self.params.seed_set if origin.startswith(name)]
        if not names:
            return False
        name = max(names, key=len)  # the one that says most
        if length < self.params.seed_set[name]:
            self.book.count("seed_set", name, "too_short")
            return False
        stated, expected = (str(doc.metadata.get(field) or "") for field in ("stated_answer", "expected_answer"))
        grade = grader.compare(stated, expected)
        self.book.count("seed_set", name, "right" if grade.is_correct else "wrong")
        return grade.is_correct


def choose(keys: Sequence[Path], params: SelectStage, out: Path, *, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes out/chosen.parquet from the keys of all ranks; returns counts by way and topic, and the mean lengths of traces."""
    candidates: list[Candidate] = pa.concat_tables([pq.read_table(path) for path in keys]).to_pylist()
    chosen = _choose(candidates, params, random.Random(seed))
    rows = [{**candidate, "way": way, "place": place} for place, (way, candidate) in enumerate(chosen)]
    _write(pa.Table.from_pylist([{name: row[name] for name in CHOSEN_SCHEMA.names} for row in rows], CHOSEN_SCHEMA), out / CHOSEN)
    counts: dict[str, Any] = {"candidates": len(candidates), "ways": {}, "topics": {}}
    for candidate in candidates:
        topic = counts["topics"].setdefault(candidate["topic"], {"candidates": 0, "selected": 0})
        topic["candidates"] += 1
    for way, candidate in chosen:
        counts["ways"][way] = counts["ways"].get(way, 0) + 1
        counts["topics"][candidate["topic"]]["selected"] += 1
    selected = [candidate for _, candidate in chosen]
    lengths = {"of_candidates": _mean_length(candidates), "of_selected": _mean_length(selected)}
    return counts, {"mean_trace_length": lengths}


def _choose(candidates: list[Candidate], params: SelectStage, chance: random.Random) -> list[tuple[str, Candidate]]:
    """(way, candidate) in the order of the draw. Where weighted topics run out, all that is left is drawn from again."""
    ordered = sorted(candidates, key=lambda row: (-row["length"], row["id"], row["rank"]))
    chosen = [("seed_set", row) for row in ordered if row["is_seed"]]
    if len(chosen) > params.total:
        raise ValueError(
            f"the seed set has {len(chosen):,} documents, more than total={params.total:,}; ask for longer traces in seed_set, "
            "or raise total"
        )
    left: dict[str, list[Candidate]] = {}
    for row in ordered:
        if not row["is_seed"]:
            left.setdefault(row["topic"], []).append(row)
    phases: list[tuple[str, int, Mapping[str, float] | None]] = [("uniform", params.total, None)]
    if params.uniform_until is not None:
        phases = [("uniform", params.uniform_until, None), ("weighted", params.total, params.topic_weights), *phases]
    for way, until, weights in phases:
        chosen += [(way, row) for _, row in draw(left, until - len(chosen), chance, weights)]
    return chosen


def _mean_length(candidates: Sequence[Candidate]) -> float | None:
    return round(sum(row["length"] for row in candidates) / len(candidates), 1) if candidates else None


class KeepSelected(PipelineStep):
    """Passes on the documents that were chosen, with how and as which one they were; the others are dropped."""

    name = "selected"

    def __init__(self, chosen: Path, book: Book):
        super().__init__()
        self.chosen = chosen
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        rows = pq.read_table(self.chosen, filters=[("rank", "=", rank)]).to_pylist()
        chosen = {row["id"]: {"way": row["way"], "place": row["place"]} for row in rows}
        for doc in data or ():
            if doc.id not in chosen:
                self.book.drop(doc, "not_selected")
                continue
            doc.metadata["selected"] = chosen[doc.id]
            self.book.count("ways", chosen[doc.id]["way"])
            yield doc


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
