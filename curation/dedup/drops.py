"""What the clusters mean for one shard: documents are dropped by id and text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
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
from curation.dedup.shard_tables import only_chunk
from curation.dedup.shingles import num_characters, text_keys
from curation.shards import ShardWriter, num_documents
from curation.steps import DOCUMENTS
from recipes.manifest import NUM_EXAMPLES


class RankDrops:
    """Drops of one rank, from drops.parquet. About 600 bytes a dropped document. `memory`: what was taken before."""

    def __init__(self, clusters: Path, rank: int, memory: dict[str, Any] | None = None):
        rows = SortedFiles([clusters / "drops.parquet"]).read(rank, rank + 1).to_pylist()
        self.ids = pa.array({row["id"] for row in rows if not row["kept"]}, pa.string())  # of documents that may be dropped
        self._fates: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: not row["kept"]):  # of copies with the same id and text, the first one stays
            self._fates[row["id"], row["text"]].append(row)
        self._num_drops = len(rows) - sum(row["kept"] for row in rows)
        self.memory: dict[str, Any] = {"num_taken": 0, "repeated": []}
        for id_, key in memory["repeated"] if memory else ():
            self.take(id_, key)
        self.memory["num_taken"] = memory["num_taken"] if memory else 0

    def take(self, id_: str, key: int) -> dict[str, Any] | None:
        """The row of a document that is to be dropped, once; None for one that stays. Asked in the order of the shard."""
        rows = self._fates.get((id_, key))
        if not rows:
            return None
        if len(rows) > 1:
            self.memory["repeated"].append([id_, key])
        row = rows.pop(0)
        self.memory["num_taken"] += not row["kept"]
        return None if row["kept"] else row

    @property
    def num_left(self) -> int:
        left: int = self._num_drops - self.memory["num_taken"]
        return left


class DropDuplicates(PipelineStep):
    """Drops what the clusters say from tables of documents, found by id and checked by text: other documents of the same id pass.
    From Arrow to Arrow: only what is dropped becomes Documents."""

    name = "drop_duplicates"

    def __init__(self, shards: Path, clusters: Path, book: Book):
        super().__init__()
        self.shards = shards
        self.clusters = clusters
        self.book = book
        self.memory: dict[str, Any] | None = None  # of the drops
        self._drops: RankDrops | None = None

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        book, shard = self.book, f"{rank:05d}.parquet"
        drops = self._drops = self._drops or RankDrops(self.clusters, rank, self.memory)
        writer = ShardWriter(book.folder / DOCUMENTS / shard)
        for table in data:
            book.count("characters_in", n=num_characters(only_chunk(table["text"])))
            kept = table.filter(pa.array(self._stays(table, drops)))
            for doc in to_documents(kept.slice(0, NUM_EXAMPLES)):
                book.example("kept", doc)
            writer.write_table(kept)
            book.count("documents_out", n=len(kept))
            book.count("characters_out", n=num_characters(only_chunk(kept["text"])))
        writer.close()
        self.memory = drops.memory
        is_last = book.counts["documents_in"] == num_documents(self.shards / shard)
        if is_last and drops.num_left:
            raise ValueError(
                f"{self.shards / shard} has changed since its signatures were written: {drops.num_left} documents to drop "
                "are not there; run the dedup stages again"
            )

    def _stays(self, table: pa.Table, drops: RankDrops) -> npt.NDArray[np.bool_]:
        """Marks the rows that stay; the others go on record."""
        places = np.flatnonzero(pc.is_in(table["id"], value_set=drops.ids))
        some = table.take(places).combine_chunks()
        ids, keys = some["id"].to_pylist(), text_keys(only_chunk(some["text"])).tolist()
        rows = [drops.take(id_, key) for id_, key in zip(ids, keys, strict=True)]
        for reason in sorted({row["kind"] for row in rows if row}):
            here = [(place, row) for place, row in enumerate(rows) if row and row["kind"] == reason]
            gone = some.take([place for place, _ in here])
            metadata = [orjson.loads(known) | _evidence(row) for known, (_, row) in zip(gone["metadata"].to_pylist(), here)]
            self.book.drop_rows(gone, metadata, f"{reason}_duplicate")
        stays = np.ones(len(table), np.bool_)
        stays[places] = [row is None for row in rows]
        return stays


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    similar = {} if row["jaccard"] is None else {"jaccard": round(row["jaccard"], 4)}
    return {"duplicate_of": row["duplicate_of"]} | similar


def to_documents(table: pa.Table) -> Iterator[Document]:
    for row in table.to_pylist():
        yield Document(text=row["text"], id=row["id"], metadata=orjson.loads(row["metadata"]))
