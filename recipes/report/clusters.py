"""Duplicates by the size of their cluster: many small clusters are copies of pages, a large one is often a template."""

from dataclasses import dataclass

from recipes.report.record import Record

SIZES = "cluster_sizes"  # in counts: clusters by their number of documents
ENDS = (2, 3, 4, 9, 99, 999)


@dataclass(frozen=True)
class Size:
    """Clusters of `label` documents, and the documents in all of them."""

    label: str
    clusters: int
    documents: int


def cluster_sizes(record: Record) -> list[Size]:
    """Small ones first."""
    counted = record.numbers("counts", SIZES)
    amounts = [(int(size), int(clusters)) for size, clusters in counted.items() if size.isdecimal()]
    sizes, low = [], 2
    for end in (*ENDS, None):
        inside = [(size, clusters) for size, clusters in amounts if size >= low and (end is None or size <= end)]
        label = f"{low:,} and more" if end is None else f"{low:,}" if low == end else f"{low:,} to {end:,}"
        if inside:
            sizes.append(Size(label, sum(n for _, n in inside), sum(size * n for size, n in inside)))
        low = (end or 0) + 1
    return sizes
