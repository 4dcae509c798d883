"""Which documents stay: clusters over all ranks' pairs, decided cluster by cluster.

Goes through the documents from the most to the least wanted one and drops a document only for one that is kept: because it has
the same text, or its text is similar to the kept one's, or it has the same URL. So chains (a like b, b like c) never remove what
nothing kept resembles. Nothing depends on which shard a document came from. One process; memory: that of one range of keys or one
part of the clusters at a time (below 1 GB), whatever the number of documents; the rest lies on disk.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.dedup.components import find_components
from curation.dedup.decisions import REASONS, Decided, decide
from curation.dedup.key_ranges import SortedFiles, SortedWriter, Spill, spread
from curation.dedup.pairs import PAIR_SCHEMA
from curation.dedup.shingles import Hashes
from curation.dedup.signatures import Signatures, open_all
from curation.dedup.survivors import rule_columns
from recipes.schema import DedupStage

ROWS_PER_PART = 2_000_000  # documents of clusters, or pairs, decided at a time

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


def find_clusters(
    folders: list[Signatures],
    pairs: Path,
    params: DedupStage,
    out: Path,
    *,
    sources: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """`folders`: signatures of these documents, then those of indexes, whose documents are kept and more wanted than any of ours.
    Leaves clusters.parquet (every document that has a duplicate, kept or not), pairs.parquet (similar pairs by id, the evidence)
    and drops.parquet (by rank: what to drop). Returns counts."""
    documents = open_all(folders, "documents")
    similar = SortedFiles(sorted((pairs / "pairs").glob("[0-9]*.parquet")))
    scratch = out / ".scratch.tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was stopped
    labels = SortedWriter(scratch / "labels.parquet", pa.schema([("text", pa.uint64()), ("label", pa.uint64())]))
    edges = (pair for made in (_pair_edges(similar), _url_edges(folders, params)) for pair in made)
    for nodes, smallest in find_components(edges, similar.num_rows + (documents.num_rows if params.url else 0), scratch):
        labels.write(pa.table([pa.array(nodes), pa.array(spread(smallest))], schema=labels.schema))
    labels.close()
    num_parts = 1 + (similar.num_rows + documents.num_rows // 4) // ROWS_PER_PART
    members, between = Spill(scratch / "members", num_parts), Spill(scratch / "pairs", num_parts)
    counts = _label(documents, similar, SortedFiles([labels.path]), members, between, len(folders[0].files("documents")))
    results = _Results(out)
    for part, (some, theirs) in enumerate(zip(members.parts(), between.parts(), strict=True)):
        if some is not None:
            results.add(some, theirs, params.keep, sources)
        progress(part + 1, num_parts)
    results.close()
    shutil.rmtree(scratch)
    return counts | results.counts


def _pair_edges(similar: SortedFiles) -> Iterator[tuple[Hashes, Hashes]]:
    for low, high in similar.ranges():
        found = similar.read(low, high)
        yield found["one"].to_numpy(), found["other"].to_numpy()


def _url_edges(folders: list[Signatures], params: DedupStage) -> Iterator[tuple[Hashes, Hashes]]:
    """Texts of one URL hang together by the first of them."""
    if not params.url:
        return
    urls = open_all(folders, "urls")
    for low, high in urls.ranges():
        found = urls.read(low, high).sort_by([("url", "ascending"), ("text", "ascending")])
        url, text = found["url"].to_numpy(), found["text"].to_numpy()
        first = np.flatnonzero(np.r_[True, url[1:] != url[:-1]][: len(url)])
        sizes = np.diff(np.r_[first, len(url)])
        shared = np.repeat(sizes > 1, sizes)
        yield text[shared], np.repeat(text[first], sizes)[shared]


def _label(
    documents: SortedFiles, similar: SortedFiles, labels: SortedFiles, members: Spill, between: Spill, num_own: int
) -> dict[str, Any]:
    """Hands documents that share a text, a URL or a similar text, and pairs of similar texts, to the part of their cluster."""
    num_documents = 0
    for low, high in documents.ranges(num_bytes=labels.num_bytes + similar.num_bytes):
        found, pairs, known = documents.read(low, high), similar.read(low, high), labels.read(low, high)
        known = known.sort_by("text")
        text = found["text"].to_numpy()
        label, has_label = _look_up(text, known)
        order = np.argsort(text, kind="stable")
        same = text[order][1:] == text[order][:-1]
        repeated = np.zeros(len(text), np.bool_)
        repeated[order[1:][same]] = repeated[order[:-1][same]] = True
        label = np.where(has_label, label, spread(text))
        is_old = found["file"].to_numpy() >= num_own
        found = found.drop_columns(["start"]).append_column("label", pa.array(label)).append_column("is_old", pa.array(is_old))
        chosen = repeated | has_label
        members.add(found.filter(pa.array(chosen)), label[chosen])
        label = _look_up(pairs["one"].to_numpy(), known)[0]
        between.add(pairs.select(PAIR_SCHEMA.names), label)
        num_documents += int((~is_old).sum())
    return {"documents": num_documents}


def _look_up(text: Hashes, known: pa.Table) -> tuple[Hashes, Any]:
    """The label of each text, and whether it has one."""
    keys, labels = known["text"].to_numpy(), known["label"].to_numpy()
    if not len(keys):
        return np.zeros(len(text), np.uint64), np.zeros(len(text), np.bool_)
    at = np.minimum(np.searchsorted(keys, text), len(keys) - 1)
    return labels[at], keys[at] == text


class _Results:
    """Rows of the clusters that were decided, part by part in the order of their labels."""

    def __init__(self, out: Path):
        self.out = out
        self._clusters = _open(out / "clusters.parquet", CLUSTER_SCHEMA)
        self._pairs = _open(out / "pairs.parquet", EVIDENCE_SCHEMA)
        self._drops = SortedWriter(out / "drops.parquet", DROP_SCHEMA)
        self._num_clusters = 0
        self._kinds: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    def add(self, members: pa.Table, pairs: pa.Table | None, keep: Sequence[str], sources: Sequence[str]) -> None:
        """`members`: whole clusters."""
        rule = rule_columns(members, keep, sources)
        for name, column, _ in rule:
            members = members.set_column(members.schema.get_field_index(name), name, column)
        order = [("label", "ascending"), ("is_old", "descending"), *((name, order) for name, _, order in rule)]
        members = members.sort_by([*order, ("id", "ascending"), ("text", "ascending"), ("file", "ascending")])
        decided = decide(members, pairs)
        self._write(members, decided)
        if pairs is not None:
            self._write_evidence(members["id"], decided, pairs["jaccard"])

    def _write(self, members: pa.Table, decided: Decided) -> None:
        label, is_old = members["label"].to_numpy(), members["is_old"].to_numpy()
        is_kept = decided.target < 0
        number = np.cumsum(np.r_[True, label[1:] != label[:-1]]) - 1
        sizes = np.bincount(number)
        # A cluster of indexed documents alone is none of ours; a label without a second document is none at all.
        tells = np.bincount(number, weights=~is_old) > 0
        tells &= sizes > 1
        renumbered = np.cumsum(tells) - 1 + self._num_clusters
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
        rows = rows.append_column("rank", members["file"].cast(pa.uint64()))
        self._clusters.write_table(rows.filter(pa.array(tells[number])).select(CLUSTER_SCHEMA.names))
        self._drops.write(rows.filter(pa.array(~is_old & (~is_kept | decided.has_copies))).select(DROP_SCHEMA.names))
        self._num_clusters += int(tells.sum())
        self._kinds.update(rows.filter(pa.array(~is_kept))["kind"].to_pylist())
        widths, times = np.unique(sizes[tells], return_counts=True)
        self._sizes.update(dict(zip(map(str, widths.tolist()), times.tolist(), strict=True)))

    def _write_evidence(self, ids: pa.ChunkedArray, decided: Decided, similar: pa.ChunkedArray) -> None:
        """By the most wanted documents of both texts, the more wanted one first."""
        one, other = np.sort(decided.pairs, axis=1).T
        order = np.lexsort((other, one))
        columns = ids.take(pa.array(one[order])), ids.take(pa.array(other[order])), similar.take(pa.array(order))
        self._pairs.write_table(pa.table(columns, schema=EVIDENCE_SCHEMA))

    def close(self) -> None:
        for file, name in ((self._clusters, "clusters.parquet"), (self._pairs, "pairs.parquet")):
            file.close()
            (self.out / f".{name}.tmp").replace(self.out / name)
        self._drops.close()

    @property
    def counts(self) -> dict[str, Any]:
        dropped = {f"{reason}_duplicates": self._kinds[reason] for reason in REASONS}
        sizes = {size: self._sizes[size] for size in sorted(self._sizes, key=int)}
        return {**dropped, "clusters": self._num_clusters, "cluster_sizes": sizes}


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path.with_name(f".{path.name}.tmp"), schema, compression="zstd")
