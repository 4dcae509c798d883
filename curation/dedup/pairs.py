"""Candidate pairs checked against their true Jaccard similarity: by ranks, each in its share of all pairs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.key_ranges import SortedFiles, SortedWriter
from curation.dedup.shingle_file import similarities
from curation.dedup.signatures import Signatures

CHECKED_AT_ONCE = 8_192  # pairs: their shingles are some 20 MB
PAIR_SCHEMA = pa.schema([("one", pa.uint64()), ("other", pa.uint64()), ("jaccard", pa.float64())])


class CheckPairs(PipelineStep):
    """Leaves pairs/<rank>.parquet: candidates that are at least min_jaccard alike. Bands call one pair several times; here all
    these calls meet."""

    name = "pairs"

    def __init__(self, candidates: Path, folders: list[Signatures], min_jaccard: float, book: Book):
        super().__init__()
        self.candidates = candidates
        self.folders = folders
        self.min_jaccard = min_jaccard
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        candidates = SortedFiles(sorted((self.candidates / "candidates").glob("[0-9]*.parquet")))
        shingles = [file for folder in self.folders for file in folder.files("shingles", "bin")]
        writer = SortedWriter(self.book.folder / "pairs" / f"{rank:05d}.parquet", PAIR_SCHEMA)
        for low, high in candidates.ranges(rank, world_size):
            found = candidates.read(low, high)
            found = found.take(np.unique(found["pair"].to_numpy(), return_index=True)[1])
            order = np.argsort(found["one_place"].to_numpy(), kind="stable")
            for first in range(0, len(order), CHECKED_AT_ONCE):
                some = found.take(order[first : first + CHECKED_AT_ONCE])
                similar = similarities(shingles, some["one_place"].to_numpy(), some["other_place"].to_numpy())
                is_similar = similar >= self.min_jaccard
                writer.write(
                    pa.table([some["one"], some["other"], pa.array(similar)], schema=PAIR_SCHEMA).filter(pa.array(is_similar))
                )
                self.book.count("candidate_pairs", n=len(some))
                self.book.count("similar_pairs", n=int(is_similar.sum()))
        writer.close()
