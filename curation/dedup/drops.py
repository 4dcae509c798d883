"""What the clusters mean for one shard: documents are dropped by id and text, and an index of those that stay is made."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book, ShardWriter
from curation.dedup.key_ranges import SortedFiles
from curation.dedup.shard_tables import only_chunk, read_tables
from curation.dedup.shingles import Hashes, text_keys
from curation.dedup.signatures import Signatures, SignatureWriter, read_banding
from curation.steps import DOCUMENTS
from recipes.manifest import NUM_EXAMPLES

COPIED_AT_ONCE = 10_000  # documents whose shingles go into an index


class RankDrops:
    """Drops of one rank, from drops.parquet. About 500 bytes a dropped document."""

    def __init__(self, clusters: Path, rank: int):
        self._drops: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._stays: set[tuple[str, int]] = set()  # of copies with the same id and text, one stays
        for row in SortedFiles([clusters / "drops.parquet"]).read(rank, rank + 1).to_pylist():
            if row["kept"]:
                self._stays.add((row["id"], row["text"]))
            else:
                self._drops[row["id"]].append(row)

    def may_drop(self, id_: str) -> bool:
        return id_ in self._drops

    def take(self, id_: str, key: int) -> dict[str, Any] | None:
        """The row of a document that is to be dropped, once; None for one that stays. Asked in the order of the shard."""
        if (id_, key) in self._stays:
            self._stays.remove((id_, key))
            return None
        rows = self._drops.get(id_, [])
        place = next((i for i, row in enumerate(rows) if row["text"] == key), None)
        return None if place is None else rows.pop(place)

    def num_left(self) -> int:
        return sum(map(len, self._drops.values()))


class DropDuplicates(PipelineStep):
    """Drops what the clusters say, found by id and checked by text: other documents of the same id pass. From Arrow to Arrow:
    only what is dropped becomes Documents."""

    name = "drop_duplicates"

    def __init__(self, documents: Path, clusters: Path, book: Book, *, stage: Path):
        super().__init__()
        self.stage = stage
        self.documents = documents
        self.clusters = clusters
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        book, shard = self.book, f"{rank:05d}.parquet"
        drops = RankDrops(self.clusters, rank)
        writer = ShardWriter(book.folder / DOCUMENTS / shard)
        for table in read_tables(self.documents / shard, rank, book, self.stage):
            book.count("characters_in", n=int(pc.sum(pc.utf8_length(table["text"])).as_py() or 0))
            kept = table.filter(pa.array(self._stays(table, drops)))
            for doc in to_documents(kept.slice(0, NUM_EXAMPLES)):
                book.example("kept", doc)
            writer.write_table(kept)
            book.count("documents_out", n=len(kept))
        if drops.num_left():
            raise ValueError(
                f"{self.documents / shard} has changed since its signatures were written: {drops.num_left()} documents to drop "
                "are not there; run the dedup stages again"
            )
        dropped = sum(reason["characters"] for reason in book.counts.get("dropped", {}).values())
        book.count("characters_out", n=book.counts.get("characters_in", 0) - dropped)
        writer.close()

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


class WriteIndex(PipelineStep):
    """Signatures of the documents that stay: what a later stage compares its documents with (`against`)."""

    name = "index"

    def __init__(self, signatures: Signatures, clusters: Path, book: Book):
        super().__init__()
        self.signatures = signatures
        self.clusters = clusters
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        files = {kind: self.signatures.file(kind, rank) for kind in ("documents", "bands", "urls")}
        documents = pq.read_table(files["documents"]).sort_by("start")
        stays = self._stays(documents, RankDrops(self.clusters, rank))
        writer = SignatureWriter(self.book.folder, rank, read_banding(files["bands"]), urls=files["urls"].is_file())
        starts = documents["start"].to_numpy()
        moved = self._copy_shingles(rank, writer, starts, stays)
        kept = documents.filter(pa.array(stays)).drop_columns(["start"])
        writer.documents.write(kept.append_column("start", pa.array(moved)))
        for batch in pq.ParquetFile(files["bands"]).iter_batches():
            start = batch["start"].to_numpy()
            here = np.isin(start, starts[stays])
            place = moved[np.searchsorted(starts[stays], start[here])]
            bands = pa.table(batch.filter(pa.array(here))).drop_columns(["start"])
            writer.bands.write(bands.append_column("start", pa.array(place)).cast(writer.bands.schema))
        if writer.urls is not None:
            writer.urls.write(kept.filter(kept["url"].is_valid()).select(["url", "text"]))
        writer.close()
        self.book.count("documents", n=len(kept))

    def _stays(self, documents: pa.Table, drops: RankDrops) -> npt.NDArray[np.bool_]:
        pairs = zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True)
        return np.array([drops.take(id_, key) is None for id_, key in pairs], np.bool_)

    def _copy_shingles(self, rank: int, writer: SignatureWriter, starts: Hashes, stays: Any) -> Hashes:
        """Where the shingles of each document that stays begin in the index."""
        path = self.signatures.file("shingles", rank, "bin")
        data = np.memmap(path, np.uint32, "r") if path.stat().st_size else np.zeros(0, np.uint32)
        bounds = np.r_[starts.astype(np.int64), len(data)]
        sizes = np.diff(bounds)
        for first in range(0, len(starts), COPIED_AT_ONCE):
            some = slice(first, first + COPIED_AT_ONCE)
            piece = data[bounds[first] : bounds[min(first + COPIED_AT_ONCE, len(starts))]]
            writer.add_shingles(piece[np.repeat(stays[some], sizes[some])])
        moved: Hashes = (np.cumsum(sizes[stays]) - sizes[stays]).astype(np.uint64)
        return moved
