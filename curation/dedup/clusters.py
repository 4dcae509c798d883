"""Which documents stay: clusters over all ranks' pairs, decided cluster by cluster.

Goes through the documents from the most to the least wanted one and drops a document only for one that is kept: because it has
the same text, or its text is similar to the kept one's, or it has the same URL. So chains (a like b, b like c) never remove what
nothing kept resembles. Nothing depends on which shard a document came from.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.cluster_parts import ClusterPart
from curation.dedup.decisions import REASONS, Decided, decide
from curation.dedup.key_ranges import SortedWriter
from curation.dedup.survivors import rule_columns

CLUSTER_SCHEMA = pa.schema(
    [
        ("cluster", pa.int64()),
        ("id", pa.string()),
        ("text", pa.uint64()),
        ("kept", pa.bool_()),
        ("duplicate_of", pa.string()),
        ("jaccard", pa.float64()),
        ("kind", pa.string()),
    ]
)
EVIDENCE_SCHEMA = pa.schema([("id", pa.string()), ("other_id", pa.string()), ("jaccard", pa.float64())])
DROP_SCHEMA = pa.schema([("rank", pa.uint64()), *CLUSTER_SCHEMA])


class DecideClusters(PipelineStep):
    """Leaves clusters.parquet (every document that has a duplicate, kept or not), pairs.parquet (similar pairs by id, the
    evidence) and drops.parquet (by rank: what to drop). Documents of indexes are kept and more wanted than any of ours."""

    name = "decide"

    def __init__(self, keep: Sequence[str], sources: Sequence[str], book: Book):
        super().__init__()
        self.keep = keep
        self.sources = sources
        self.book = book

    def run(self, data: Iterable[ClusterPart], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        book, folder = self.book, self.book.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("clusters", *(f"{reason}_duplicates" for reason in REASONS)):
            book.count(name, n=0)
        drops = SortedWriter(folder / "drops.parquet", DROP_SCHEMA)
        with (
            pq.ParquetWriter(folder / "clusters.parquet", CLUSTER_SCHEMA, compression="zstd") as clusters,
            pq.ParquetWriter(folder / "pairs.parquet", EVIDENCE_SCHEMA, compression="zstd") as evidence,
        ):
            for part in data:
                members = self._most_wanted_first(part.members)
                decided = decide(members, part.pairs)
                rows, is_told, is_dropped = self._rows(members, decided)
                clusters.write_table(rows.filter(is_told).select(CLUSTER_SCHEMA.names))
                drops.write(rows.filter(is_dropped).select(DROP_SCHEMA.names))
                if part.pairs is not None:
                    evidence.write_table(_evidence(members["id"], decided, part.pairs["jaccard"]))
        drops.close()
        sizes = book.counts.setdefault("cluster_sizes", {})
        book.counts["cluster_sizes"] = {size: sizes[size] for size in sorted(sizes, key=int)}

    def _most_wanted_first(self, members: pa.Table) -> pa.Table:
        """Cluster by cluster."""
        rule = rule_columns(members, self.keep, self.sources)
        for name, column, _ in rule:
            members = members.set_column(members.schema.get_field_index(name), name, column)
        order = [("label", "ascending"), ("is_old", "descending"), *((name, order) for name, _, order in rule)]
        return members.sort_by([*order, ("id", "ascending"), ("text", "ascending"), ("file", "ascending")])

    def _rows(self, members: pa.Table, decided: Decided) -> tuple[pa.Table, pa.Array, pa.Array]:
        """What became of each document, which rows tell of a cluster, and which of something to drop. Counts them."""
        label, is_old = members["label"].to_numpy(), members["is_old"].to_numpy()
        is_kept = decided.target < 0
        number = np.cumsum(np.r_[True, label[1:] != label[:-1]]) - 1
        sizes = np.bincount(number)
        # A cluster of indexed documents alone is none of ours; a label without a second document is none at all.
        tells = np.bincount(number, weights=~is_old) > 0
        tells &= sizes > 1
        renumbered = np.cumsum(tells) - 1 + self.book.counts["clusters"]
        rows = pa.table(
            [
                pa.array(renumbered[number]),
                members["id"],
                members["text"],
                pa.array(is_kept),
                members["id"].take(pa.array(decided.target, mask=is_kept)),
                pa.array(decided.jaccard, mask=np.isnan(decided.jaccard)),
                pa.array(REASONS).take(pa.array(decided.reason, mask=is_kept)),
            ],
            schema=CLUSTER_SCHEMA,
        )
        for reason, times in enumerate(np.bincount(decided.reason[~is_kept], minlength=len(REASONS)).tolist()):
            self.book.count(f"{REASONS[reason]}_duplicates", n=times)
        self.book.count("clusters", n=int(tells.sum()))
        for width, times in zip(*(found.tolist() for found in np.unique(sizes[tells], return_counts=True)), strict=True):
            self.book.count("cluster_sizes", str(width), n=times)
        rows = rows.append_column("rank", members["file"].cast(pa.uint64()))
        return rows, pa.array(tells[number]), pa.array(~is_old & (~is_kept | decided.has_copies))


def _evidence(ids: pa.ChunkedArray, decided: Decided, similar: pa.ChunkedArray) -> pa.Table:
    """By the most wanted documents of both texts, the more wanted one first."""
    one, other = np.sort(decided.pairs, axis=1).T
    order = np.lexsort((other, one))
    columns = ids.take(pa.array(one[order])), ids.take(pa.array(other[order])), similar.take(pa.array(order))
    return pa.table(columns, schema=EVIDENCE_SCHEMA)
