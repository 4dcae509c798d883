"""Exact and near-duplicates: signatures by rank, clusters over all ranks, then every rank drops its own duplicates.

MinHash only proposes: every candidate pair is checked with the true Jaccard similarity of its shingles. A document is
dropped only if it is that similar to a document that is kept, so chains (a like b, b like c) never remove what nothing
kept resembles. Decisions go by id and text, never by position: another sharding of the same documents keeps the same ones.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.candidates import Numbers, ShingleFile, candidate_pairs
from curation.shingles import exact_key
from curation.signatures import (
    SignedDocuments,
    WriteSignatures,
    count_repeated,
    read_signatures,
    read_texts,
    signature_files,
)
from recipes.schema import DedupStage

MAX_KEPT_COMPARED = 64  # kept members of its cluster that a document without a similar candidate is compared with
__all__ = ["DropDuplicates", "WriteSignatures", "find_clusters"]

CLUSTER_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("exact_high", pa.uint64()),
        ("exact_low", pa.uint64()),
        ("cluster", pa.int64()),
        ("kept", pa.bool_()),
        ("duplicate_of", pa.string()),
        ("jaccard", pa.float64()),
        ("kind", pa.string()),
        ("rank", pa.int32()),  # only where id and text repeat: the rank that holds this copy
    ]
)


@dataclass
class _Decisions:
    """Of texts: whether it is kept, else the kept text it resembles and how much; and the cluster it belongs to."""

    kept: npt.NDArray[np.bool_]
    similar_to: Numbers
    jaccard: npt.NDArray[np.float64]
    cluster: Numbers


def find_clusters(
    signatures: Path, documents: Path, params: DedupStage, out: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Reads all ranks' signatures, writes out/clusters.parquet: every document that has a duplicate, kept or not.

    One process. Memory: about 120 bytes a document and its id, 16 more for the band at hand, 8 a candidate pair and 200 a
    similar pair, 1 kB a document of a cluster; texts of candidates are read again, their shingles put on disk. Returns
    counts. `progress` is told pairs checked and all pairs."""
    files = signature_files(signatures, documents)
    docs = read_signatures(files)
    pairs, num_large = candidate_pairs(
        lambda band: docs.read_band(files, band), params.num_bands, docs.num_shingles, params.min_jaccard
    )
    out.mkdir(parents=True, exist_ok=True)
    shingles = ShingleFile(out / ".shingles.tmp", len(docs.first))
    try:
        where = docs.rank[docs.first], docs.row[docs.first], docs.ids.take(docs.first)
        shingles.fill(read_texts(documents, *where, np.unique(pairs)), params.ngram)
        similar = np.zeros(len(pairs))
        for i, (one, other) in enumerate(pairs.tolist()):
            similar[i] = shingles.jaccard(one, other)
            if progress is not None and i % 10_000 == 0:
                progress(i, len(pairs))
        verified = similar >= params.min_jaccard
        decisions = _decide(pairs[verified], similar[verified], docs.num_shingles, shingles, params.min_jaccard)
    finally:
        shingles.delete()
    rows = _cluster_rows(docs, decisions)
    temporary = out / ".clusters.parquet.tmp"
    pq.write_table(pa.Table.from_pylist(rows, schema=CLUSTER_SCHEMA), temporary, compression="zstd")
    temporary.replace(out / "clusters.parquet")
    kinds = Counter(row["kind"] for row in rows)
    return {
        "documents": len(docs.order),
        "exact_duplicates": kinds["exact"],
        "near_duplicates": kinds["near"],
        "clusters": len({row["cluster"] for row in rows}),
        "candidate_pairs": len(pairs),
        "similar_pairs": int(verified.sum()),
        "large_buckets": num_large,
        "duplicate_ids": count_repeated(docs.ids),
    }


def _decide(
    pairs: Numbers, similar: npt.NDArray[np.float64], num_shingles: Numbers, shingles: ShingleFile, min_jaccard: float
) -> _Decisions:
    """From the most to the least wanted text of a cluster: kept, unless it is similar to one already kept. A text with no kept
    one among its similar pairs is compared with the kept ones of its cluster too: bands do not propose every pair."""
    num = len(num_shingles)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    cluster = connected_components(graph, directed=False)[1].astype(np.int64)
    better: dict[int, dict[int, float]] = defaultdict(dict)
    for (one, other), value in zip(pairs.tolist(), similar.tolist(), strict=True):
        better[other][one] = value
    decisions = _Decisions(np.ones(num, np.bool_), np.full(num, -1), np.ones(num), cluster)
    kept_of: dict[int, list[int]] = defaultdict(list)
    for text in np.unique(pairs).tolist():
        kept = kept_of[int(cluster[text])]
        found = {one: value for one, value in better[text].items() if decisions.kept[one]}
        if not found:
            close = [
                one
                for one in kept[:MAX_KEPT_COMPARED]
                if min(num_shingles[one], num_shingles[text]) >= min_jaccard * max(num_shingles[one], num_shingles[text])
            ]
            found = {one: value for one in close if (value := shingles.jaccard(one, text)) >= min_jaccard}
        if found:
            best = min(found, key=lambda one: (-found[one], one))
            decisions.kept[text], decisions.similar_to[text], decisions.jaccard[text] = False, best, found[best]
        else:
            kept.append(text)
    return decisions


def _cluster_rows(docs: SignedDocuments, decisions: _Decisions) -> list[dict[str, Any]]:
    """Documents of clusters with more than one document, by cluster; clusters are numbered by their most wanted document."""
    cluster = decisions.cluster[docs.text]
    members = np.flatnonzero(np.bincount(cluster, minlength=1)[cluster] > 1)
    ids = docs.ids.take(members).to_pylist()
    copies = Counter(zip(ids, docs.text[members].tolist(), strict=True))
    kept_ids = dict(zip(members.tolist(), ids, strict=True))
    numbers: dict[int, int] = {}
    rows = []
    for doc, id_ in zip(members.tolist(), ids, strict=True):
        text = int(docs.text[doc])
        first = int(docs.first[text])
        kept = bool(decisions.kept[text]) and doc == first
        target = first if decisions.kept[text] else int(docs.first[decisions.similar_to[text]])
        rows.append(
            {
                "id": id_,
                "exact_high": int(docs.exact[doc, 0]),
                "exact_low": int(docs.exact[doc, 1]),
                "cluster": numbers.setdefault(int(cluster[doc]), len(numbers)),
                "kept": kept,
                "duplicate_of": None if kept else kept_ids[target],
                "jaccard": None if kept else float(decisions.jaccard[text]),
                "kind": None if kept else "exact" if decisions.kept[text] else "near",
                "rank": int(docs.rank[doc]) if copies[id_, text] > 1 else None,
            }
        )
    return sorted(rows, key=lambda row: int(row["cluster"]))


class DropDuplicates(PipelineStep):
    """Drops what clusters.parquet says, found by id and checked by text: other documents of the same id pass. Of copies with
    the same id and text the first one on the rank named there stays. Memory: about 500 bytes a document of a cluster."""

    name = "drop_duplicates"

    def __init__(self, clusters: Path, drop: Callable[[Document, str, str], None]):
        super().__init__()
        self.clusters = clusters
        self.drop = drop

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Any:
        by_id = self._read()
        seen: set[tuple[str, int, int]] = set()
        for doc in data or ():
            key = (doc.id, *exact_key(doc.text)) if doc.id in by_id else (doc.id, 0, 0)
            rows = [row for row in by_id.get(doc.id, ()) if (row["exact_high"], row["exact_low"]) == key[1:]]
            dropped = [row for row in rows if not row["kept"]]
            stays = any(row["kept"] and row["rank"] in (None, rank) for row in rows) and key not in seen
            seen |= {key} if rows else set()
            if not dropped or stays:
                yield doc
                continue
            row = dropped[0]
            doc.metadata |= {"duplicate_of": row["duplicate_of"], "jaccard": round(row["jaccard"], 4)}
            self.drop(doc, f"{row['kind']}_duplicate", "")

    def _read(self) -> dict[str, list[dict[str, Any]]]:
        """Rows by id; kept ones only where a copy of theirs is dropped by the same id."""
        batches = pq.ParquetFile(self.clusters).iter_batches()
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        by_id = defaultdict(list)
        for row in rows:
            if not row["kept"] or row["rank"] is not None:
                by_id[row["id"]].append(row)
        return dict(by_id)
