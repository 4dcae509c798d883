"""What the clusters mean for one shard: which of its documents are dropped, by id and text.

No text is read or written again but a few examples: signatures know what is in each row, and what stays and what goes are rows
of the shard that was deduplicated (`recipes/shards.py`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.key_ranges import SortedFiles
from curation.dedup.shingles import Numbers
from curation.dedup.signatures import Signatures
from curation.steps import DOCUMENTS
from recipes.shards import ShardFile


@dataclass(frozen=True)
class Drops:
    """Of the documents of a rank, in the order of its shard: which ones are dropped, and for each of these why, from
    drops.parquet. About 600 bytes a dropped document."""

    places: Numbers
    rows: list[dict[str, Any]]

    def within(self, first: int, end: int) -> "Drops":
        """Of documents `first` to `end`; places are counted from `first`."""
        low, high = np.searchsorted(self.places, (first, end)).tolist()
        return Drops(self.places[low:high] - first, self.rows[low:high])


def find_drops(clusters: Path, rank: int, documents: pa.Table) -> Drops:
    """`documents` (id, text: the text's key) are those of the rank's shard, in its order. Of copies with the same id and text
    the first one stays."""
    fates: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in SortedFiles([clusters / "drops.parquet"]).read(rank, rank + 1).to_pylist():
        fates[row["id"], row["text"]].append(row)
    for copies in fates.values():
        copies.sort(key=lambda row: not row["kept"])
    ids = pa.array({id_ for id_, _ in fates}, pa.string())
    asked = np.flatnonzero(pc.is_in(documents["id"], value_set=ids))
    some = documents.take(asked)
    found = {}
    for place, *name in zip(asked.tolist(), some["id"].to_pylist(), some["text"].to_pylist(), strict=True):
        left = fates.get(tuple(name))
        row = left.pop(0) if left else None
        if row is not None and not row["kept"]:
            found[place] = row
    return Drops(np.array(list(found), np.int64), list(found.values()))


class DropDuplicates(PipelineStep):
    """From tables of rows to tables of rows."""

    name = "drop_duplicates"

    def __init__(self, shards: Path, signatures: Signatures, clusters: Path, book: Book):
        super().__init__()
        self.shards = shards
        self.signatures = signatures
        self.clusters = clusters
        self.book = book
        self._found: tuple[Drops, npt.NDArray[np.int64]] | None = None  # and how many characters each document has

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        book, shard = self.book, ShardFile(self.shards / f"{rank:05d}.parquet")
        drops, lengths = self._found = self._found or self._find(shard.path, rank)
        writer = book.row_writer(DOCUMENTS, shard.texts)
        for rows in data:
            end = book.counts["documents_in"]
            first = end - len(rows)
            here, num_chars = drops.within(first, end), lengths[first:end]
            self._drop(rows, here, num_chars, shard, first)
            stays = np.ones(len(rows), np.bool_)
            stays[here.places] = False
            writer.write(rows.filter(pa.array(stays)), int(num_chars[stays].sum()))
            book.show("kept", (_document(shard, first + place) for place in np.flatnonzero(stays).tolist()))
            book.count("documents_out", n=int(stays.sum()))
            book.count("characters_in", n=int(num_chars.sum()))
            book.count("characters_out", n=int(num_chars[stays].sum()))
        writer.close()

    def _find(self, shard: Path, rank: int) -> tuple[Drops, npt.NDArray[np.int64]]:
        self.signatures.check_made_from(shard, rank)
        documents = self.signatures.in_order(rank, ["id", "text", "length"])
        return find_drops(self.clusters, rank, documents), documents["length"].to_numpy()

    def _drop(self, rows: pa.Table, drops: Drops, num_chars: npt.NDArray[np.int64], shard: ShardFile, first: int) -> None:
        """Puts what is dropped on record, kind by kind."""
        for kind in sorted({row["kind"] for row in drops.rows}):
            chosen = [number for number, row in enumerate(drops.rows) if row["kind"] == kind]
            places = drops.places[chosen]
            gone = rows.take(places)
            pairs = zip(gone["metadata"].to_pylist(), chosen, strict=True)
            metadata = [orjson.loads(known) | _evidence(drops.rows[number]) for known, number in pairs]
            docs = (_document(shard, first + place) for place in places.tolist())
            characters = int(num_chars[places].sum())
            self.book.drop_rows(gone, metadata, f"{kind}_duplicate", texts=shard.texts, num_chars=characters, docs=docs)


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    similar = {} if row["jaccard"] is None else {"jaccard": round(row["jaccard"], 4)}
    return {"duplicate_of": row["duplicate_of"]} | similar


def _document(shard: ShardFile, place: int) -> Document:
    found = shard.document(place)
    return Document(text=found["text"], id=found["id"], metadata=orjson.loads(found["metadata"]))
