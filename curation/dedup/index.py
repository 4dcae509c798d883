"""An index: the signatures of the documents that stay, for later stages to compare their documents with (`against`).

Made rank by rank: first what is known of documents, with their shingles, then their bands. Memory: the rank's rows about
documents (0.1 kB each), their ids once as Python texts, and a piece of the rest at a time.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.banding import read_banding
from curation.book import Book
from curation.dedup.drops import find_drops
from curation.dedup.shingles import Numbers
from curation.dedup.signatures import Signatures, SignatureWriter
from recipes.stage import Reports

DOCUMENTS_AT_ONCE = 10_000
GROUPS_AT_ONCE = 64  # row groups of bands, a million rows: 20 of them are one document's


class ReadSignatures(PipelineStep):
    """This rank's rows about documents in the order of their shingles, then those about bands. `stage` hears of progress."""

    name = "signatures"

    def __init__(self, signatures: Signatures, stage: Path):
        super().__init__()
        self.signatures = signatures
        self.stage = stage
        self.memory = 0  # tables that were read

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[pa.Table]:  # type: ignore[override]
        documents = self.signatures.in_order(rank)
        bands = pq.ParquetFile(self.signatures.file("bands", rank))
        report = Reports(self.stage, rank, "tables")
        rows, groups = range(0, len(documents), DOCUMENTS_AT_ONCE), range(0, bands.num_row_groups, GROUPS_AT_ONCE)
        for number in range(self.memory, len(rows) + len(groups)):
            self.memory += 1
            if number < len(rows):
                yield documents.slice(rows[number], DOCUMENTS_AT_ONCE)
            else:
                first = groups[number - len(rows)]
                yield bands.read_row_groups(range(first, min(first + GROUPS_AT_ONCE, bands.num_row_groups)))
            report(self.memory, len(rows) + len(groups))


class Places(NamedTuple):
    """Of the shingles of a rank's documents, in their order."""

    bounds: Numbers  # where those of each document begin, and all end
    stays: npt.NDArray[np.bool_]
    moved: Numbers  # where they begin in the index


class WriteIndex(PipelineStep):
    """Leaves the rows of documents that stay, and their shingles, in the book's folder."""

    name = "index"

    def __init__(self, signatures: Signatures, clusters: Path, book: Book):
        super().__init__()
        self.signatures = signatures
        self.clusters = clusters
        self.book = book
        self._places: Places | None = None

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        bounds, stays, moved = self._places = self._places or self._find_places(rank)
        urls, file = self.signatures.file("urls", rank), self.signatures.file("shingles", rank, "bin")
        shingles = np.memmap(file, np.uint32, "r") if bounds[-1] else np.zeros(0, np.uint32)
        banding = read_banding(self.signatures.folder)
        writer = SignatureWriter(self.book.folder, rank, banding, urls=urls.is_file())
        self.book.count("documents", n=0)
        for table in data:
            numbers = np.searchsorted(bounds, table["start"].to_numpy().astype(np.int64))
            here = stays[numbers]
            kept = table.filter(pa.array(here)).drop_columns(["start"])
            kept = kept.append_column("start", pa.array(moved[numbers[here]].astype(np.uint64)))
            if "id" not in kept.column_names:
                writer.bands.write(kept.cast(writer.bands.schema))
                continue
            writer.documents.write(kept)
            if writer.urls is not None:
                writer.urls.write(kept.filter(kept["url"].is_valid()).select(["url", "text"]))
            some = bounds[numbers[0] : numbers[-1] + 2]
            writer.add_shingles(shingles[some[0] : some[-1]][np.repeat(here, np.diff(some))])
            self.book.count("documents", n=len(kept))
        writer.close()

    def _find_places(self, rank: int) -> Places:
        documents = self.signatures.in_order(rank, ["id", "text"])
        stays = np.ones(len(documents), np.bool_)
        stays[find_drops(self.clusters, rank, documents).places] = False
        num_shingles = self.signatures.file("shingles", rank, "bin").stat().st_size // 4
        bounds = np.r_[documents["start"].to_numpy().astype(np.int64), num_shingles]
        sizes = np.diff(bounds) * stays
        return Places(bounds, stays, np.cumsum(sizes) - sizes)
