"""Candidate pairs checked against their true Jaccard similarity: by ranks, each in its share of all pairs."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.key_ranges import SortedWriter
from curation.dedup.shingle_file import similarities
from curation.dedup.signatures import Signatures

CHECKED_AT_ONCE = 8_192  # pairs: their shingles are some 20 MB
PAIR_SCHEMA = pa.schema([("one", pa.uint64()), ("other", pa.uint64()), ("jaccard", pa.float64())])


class CheckPairs(PipelineStep):
    """Reads candidates, leaves pairs/<rank>.parquet: those that are at least min_jaccard alike. Bands call one pair several
    times; here all these calls meet. `folders`: signatures of these documents, then those of indexes."""

    name = "pairs"

    def __init__(self, folders: list[Signatures], min_jaccard: float, book: Book):
        super().__init__()
        self.folders = folders
        self.min_jaccard = min_jaccard
        self.book = book

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        shingles = [file for folder in self.folders for file in folder.files("shingles", "bin")]
        writer = SortedWriter(self.book.folder / "pairs" / f"{rank:05d}.parquet", PAIR_SCHEMA)
        for candidates in data:
            found = candidates.take(np.unique(candidates["pair"].to_numpy(), return_index=True)[1])
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
