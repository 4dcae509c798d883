"""Brings documents that hang together to one place: those that share a text, a URL or a similar text, and whatever hangs together
with them. Some whole clusters at a time, by the hash of the smallest text that each is labelled with.

One process; memory: that of one range of keys or one part of the clusters at a time (below 1 GB), whatever the number of
documents. The rest lies in `scratch`: labels, then rows by part of the clusters. A killed process goes on behind the last
turn of the components, the labels, or the last ranges of documents that were handed to their parts.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.components import find_components
from curation.dedup.key_ranges import SortedFiles, SortedWriter, Spill, read_spilled, spread
from curation.dedup.pairs import PAIR_SCHEMA
from curation.dedup.shingles import Hashes
from curation.dedup.signatures import Signatures, open_all
from curation.dedup.whole_folder import whole_folder
from recipes.stage import Reports

ROWS_PER_PART = 2_000_000  # documents of clusters, or pairs, decided at a time
RANGES_AT_ONCE = 16  # of documents, some 2 GB: handed to their parts before they are done for good
LABEL_SCHEMA = pa.schema([("text", pa.uint64()), ("label", pa.uint64())])


@dataclass(frozen=True)
class ClusterPart:
    """Rows about documents of whole clusters, and about pairs of their similar texts."""

    members: pa.Table
    pairs: pa.Table | None

    @property
    def num_rows(self) -> int:
        return int(self.members.num_rows)

    @property
    def nbytes(self) -> int:
        return int(self.members.nbytes)


class ReadClusters(PipelineStep):
    """`folders`: signatures of these documents, then those of indexes. `urls`: one URL makes a cluster too. `stage` hears of
    progress."""

    name = "clusters"

    def __init__(self, folders: list[Signatures], pairs: Path, scratch: Path, book: Book, *, urls: bool, stage: Path):
        super().__init__()
        self.folders = folders
        self.pairs = pairs
        self.scratch = scratch
        self.book = book
        self.urls = urls
        self.stage = stage
        self.memory = 0  # parts that were read

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[ClusterPart]:  # type: ignore[override]
        if not self.memory:
            self.book.count("documents", n=self.folders[0].num_documents)
        documents, report = open_all(self.folders, "documents"), Reports(self.stage, rank, "parts")
        similar = SortedFiles(sorted((self.pairs / "pairs").glob("[0-9]*.parquet")))
        num_parts = 1 + (similar.num_rows + documents.num_rows // 4) // ROWS_PER_PART
        spilled = self._spill(documents, similar, self._labels(documents, similar), num_parts)
        for part in range(self.memory, num_parts):
            self.memory += 1
            members = read_spilled(spilled, "members", part)
            if members is not None:
                yield ClusterPart(members, read_spilled(spilled, "pairs", part))
            report(part + 1, num_parts)

    def _labels(self, documents: SortedFiles, similar: SortedFiles) -> SortedFiles:
        """Texts that are similar to another one, or share a URL, with the label of their cluster."""
        folder, stars = self.scratch / "labels", self.scratch / "components"
        if not folder.is_dir():
            edges = (pair for made in (_pair_edges(similar), self._url_edges()) for pair in made)
            num_edges = similar.num_rows + (documents.num_rows if self.urls else 0)
            with whole_folder(folder) as working:
                labels = SortedWriter(working / "labels.parquet", LABEL_SCHEMA)
                for nodes, smallest in find_components(edges, num_edges, stars):
                    labels.write(pa.table([pa.array(nodes), pa.array(spread(smallest))], schema=LABEL_SCHEMA))
                labels.close()
        shutil.rmtree(stars, ignore_errors=True)
        return SortedFiles([folder / "labels.parquet"])

    def _url_edges(self) -> Iterator[tuple[Hashes, Hashes]]:
        """Texts of one URL hang together by the first of them."""
        if not self.urls:
            return
        urls = open_all(self.folders, "urls")
        for low, high in urls.ranges():
            found = urls.read(low, high).sort_by([("url", "ascending"), ("text", "ascending")])
            url, text = found["url"].to_numpy(), found["text"].to_numpy()
            first = np.flatnonzero(np.r_[True, url[1:] != url[:-1]][: len(url)])
            sizes = np.diff(np.r_[first, len(url)])
            shared = np.repeat(sizes > 1, sizes)
            yield text[shared], np.repeat(text[first], sizes)[shared]

    def _spill(self, documents: SortedFiles, similar: SortedFiles, labels: SortedFiles, num_parts: int) -> list[Path]:
        """Folders with the rows of all parts."""
        ranges = list(documents.ranges(num_bytes=labels.num_bytes + similar.num_bytes))
        folders = []
        for first in range(0, len(ranges), RANGES_AT_ONCE):
            folders.append(self.scratch / "parts" / f"{first:05d}")
            if folders[-1].is_dir():
                continue
            with whole_folder(folders[-1]) as working:
                members, between = Spill(working, "members", num_parts), Spill(working, "pairs", num_parts)
                for low, high in ranges[first : first + RANGES_AT_ONCE]:
                    found, pairs, known = (files.read(low, high) for files in (documents, similar, labels))
                    self._hand_out(found, pairs, known.sort_by("text"), members, between)
                members.close()
                between.close()
        return folders

    def _hand_out(self, documents: pa.Table, pairs: pa.Table, labels: pa.Table, members: Spill, between: Spill) -> None:
        """Documents that have another one in their cluster, and pairs, to the part of their cluster."""
        text = documents["text"].to_numpy()
        label, has_label = _look_up(text, labels)
        order = np.argsort(text, kind="stable")
        same = text[order][1:] == text[order][:-1]
        repeated = np.zeros(len(text), np.bool_)
        repeated[order[1:][same]] = repeated[order[:-1][same]] = True
        label = np.where(has_label, label, spread(text))
        is_old = documents["file"].to_numpy() >= len(self.folders[0].files("documents"))
        rows = documents.drop_columns(["start"]).append_column("label", pa.array(label))
        chosen = repeated | has_label
        members.add(rows.append_column("is_old", pa.array(is_old)).filter(pa.array(chosen)), label[chosen])
        between.add(pairs.select(PAIR_SCHEMA.names), _look_up(pairs["one"].to_numpy(), labels)[0])


def _pair_edges(similar: SortedFiles) -> Iterator[tuple[Hashes, Hashes]]:
    for low, high in similar.ranges():
        found = similar.read(low, high)
        yield found["one"].to_numpy(), found["other"].to_numpy()


def _look_up(text: Hashes, known: pa.Table) -> tuple[Hashes, Any]:
    """The label of each text, and whether it has one."""
    keys, labels = known["text"].to_numpy(), known["label"].to_numpy()
    if not len(keys):
        return np.zeros(len(text), np.uint64), np.zeros(len(text), np.bool_)
    at = np.minimum(np.searchsorted(keys, text), len(keys) - 1)
    return labels[at], keys[at] == text
