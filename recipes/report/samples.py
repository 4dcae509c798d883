"""Documents drawn at random from what a stage kept and dropped, when its report is made.

A draw opens one file, chosen by its size, and decodes one row group as far as the drawn row: the time depends on the number
of draws, not on the number of shards. The stage's fingerprint is the seed, so the same results give the same samples.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.report.figures import is_number
from recipes.report.record import Record, flat
from recipes.shards import ShardFile, has_documents

NUM_SAMPLES = 3  # a reason
MAX_TRIES = 4  # a sample: files may be empty
SAMPLE_CHARS = 1_200
EVIDENCE = ("duplicate_of", "jaccard", "contamination", "near_contamination", "masked_contamination", "language")


@dataclass(frozen=True)
class Samples:
    """Documents of one kind: kept, or dropped for a reason. Each has id, url, why, text and `told`, pairs of what was found out
    about it. `is_random`: drawn here; otherwise the first ones that the manifest names."""

    kind: str
    documents: Any
    is_random: bool
    rows: list[dict[str, Any]]


def samples_of(record: Record) -> list[Samples]:
    """Kept ones first, then by reason. What cannot be drawn (its files are gone) is told from the manifest."""
    files: dict[str, list[tuple[str, int]]] = {}
    for output in record.rows("outputs"):
        kind, size = _kind(str(output.get("path"))), output.get("bytes")
        if kind is not None and is_number(size):
            files.setdefault(kind, []).append((str(output["path"]), int(size)))
    kinds = dict.fromkeys([*files, *record.tree("examples")])
    found = [_samples(record, kind, files.get(kind, [])) for kind in sorted(kinds, key=lambda kind: (kind != "kept", kind))]
    return [samples for samples in found if samples.rows]


def _kind(path: str) -> str | None:
    """The key under which a manifest has examples of an output's documents."""
    parts = path.split("/")
    if not path.endswith(".parquet"):
        return None
    return "kept" if parts[0] == "documents" else "/".join(parts[:2]) if parts[0] == "dropped" and len(parts) == 3 else None


def _samples(record: Record, kind: str, files: Sequence[tuple[str, int]]) -> Samples:
    reason = kind.partition("/")[2]
    keys = ("documents_out",) if kind == "kept" else ("dropped", reason, "documents")
    documents = record.number("counts", *keys)
    drawn = list(_draw(record.folder, files, seed=f"{record.at('fingerprint')}/{kind}"))
    if drawn:
        return Samples(kind, documents, True, drawn)
    told = [row for row in record.rows("examples", kind) if isinstance(row.get("text"), str)]
    rows = [{key: row.get(key) for key in ("id", "url", "why", "text")} | {"told": evidence(row)} for row in told]
    return Samples(kind, documents, False, rows)


def _draw(folder: Path, files: Sequence[tuple[str, int]], *, seed: str) -> Iterator[dict[str, Any]]:
    """Different documents, as far as there are that many; none as soon as a file is not as it was made, which `midtrain verify`
    names: then the page tells the manifest's examples."""
    dice = random.Random(seed)
    drawn: set[tuple[str, int]] = set()
    for _ in range(NUM_SAMPLES * MAX_TRIES if files else 0):
        if len(drawn) == NUM_SAMPLES:
            return
        [path] = dice.choices([path for path, _ in files], [size for _, size in files])
        place = dice.random()
        try:
            if not has_documents(pq.read_schema(folder / path)):
                return  # of documents, but not documents: signatures
            shard = ShardFile(folder / path)
            row = int(place * shard.num_documents)
            found = shard.document(row) if shard.num_documents and (path, row) not in drawn else None
        except (pa.ArrowException, OSError, ValueError):
            return
        if found is not None:
            drawn.add((path, row))
            yield _described(found)


def _described(row: dict[str, Any]) -> dict[str, Any]:
    metadata = json.loads(row["metadata"])
    return {
        "id": row["id"],
        "url": metadata.get("url"),
        "why": metadata.get("dropped_because"),
        "text": excerpt(row["text"]),
        "told": evidence(metadata),
    }


def excerpt(text: str) -> str:
    """The beginning of a text, up to the end of a line or word."""
    if len(text) <= SAMPLE_CHARS:
        return text
    start = text[:SAMPLE_CHARS]
    end = max(start.rfind("\n", SAMPLE_CHARS // 2), 0) or max(start.rfind(" ", SAMPLE_CHARS // 2), 0) or SAMPLE_CHARS
    return f"{start[:end].rstrip()} …"


def evidence(metadata: dict[str, Any]) -> list[tuple[str, Any]]:
    """Scores, and what a document was dropped for, as pairs; of several findings the first, which weighs most."""
    told = {key: value for key, value in metadata.items() if key in EVIDENCE or key.endswith("_score")}
    first = {key: value[0] if isinstance(value, list) and value else value for key, value in told.items()}
    return flat(first)
