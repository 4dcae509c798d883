"""What the clusters mean for one shard: documents are dropped by id and text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
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
        self._ids = {row["id"] for row in rows if not row["kept"]}
        self._fates: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: not row["kept"]):  # of copies with the same id and text, the first one stays
            self._fates[row["id"], row["text"]].append(row)
        self._num_drops = len(rows) - sum(row["kept"] for row in rows)
        self.memory: dict[str, Any] = {"num_taken": 0, "repeated": []}
        for id_, key in memory["repeated"] if memory else ():
            self.take(id_, key)
        self.memory["num_taken"] = memory["num_taken"] if memory else 0

    def may_drop(self, id_: str) -> bool:
        return id_ in self._ids

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
        stays = np.ones(len(table), np.bool_)
        places = [place for place, id_ in enumerate(table["id"].to_pylist()) if drops.may_drop(id_)]
        some = table.take(pa.array(places, pa.int64())).combine_chunks()
        keys = text_keys(only_chunk(some["text"])).tolist()
        for place, doc, key in zip(places, to_documents(some), keys, strict=True):
            row = drops.take(doc.id, key)
            if row is not None:
                stays[place] = False
                doc.metadata |= {"duplicate_of": row["duplicate_of"]}
                if row["jaccard"] is not None:
                    doc.metadata["jaccard"] = round(row["jaccard"], 4)
                self.book.drop(doc, f"{row['kind']}_duplicate")
        return stays


def to_documents(table: pa.Table) -> Iterator[Document]:
    for row in table.to_pylist():
        yield Document(text=row["text"], id=row["id"], metadata=orjson.loads(row["metadata"]))
