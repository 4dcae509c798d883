"""Connected components of a graph that need not fit in memory: the alternating star algorithm (Kiveris et al. 2014).

Edges lie on disk by ranges of their nodes. In turns, every node hands its larger neighbours to the smallest one (large star),
then the others too (small star), until each component is one star around its smallest node; a few rounds for real clusters.
Memory is that of one part. Measured against scipy's connected_components, in memory: the same components (tests).
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from curation.dedup.key_ranges import spread
from curation.dedup.shingles import Hashes

BYTES_PER_PART = 64_000_000


class Edges:
    """Pairs of nodes in files by their first node."""

    def __init__(self, folder: Path, name: str, num_parts: int):
        self.paths = [folder / f".{name}.{part:05d}.tmp" for part in range(num_parts)]

    def add(self, one: Hashes, other: Hashes) -> None:
        edges = np.stack([one, other], axis=1)
        part = (spread(one) >> np.uint64(32)) * np.uint64(len(self.paths)) >> np.uint64(32)
        for number in np.unique(part).tolist():
            with open(self.paths[number], "ab") as file:
                edges[part == number].tofile(file)

    def parts(self) -> Iterator[tuple[Hashes, Hashes]]:
        """Distinct edges of each part, sorted by first node, then second; each part is thrown away once it was read."""
        for path in self.paths:
            edges = np.fromfile(path, np.uint64).reshape(-1, 2) if path.exists() else np.zeros((0, 2), np.uint64)
            path.unlink(missing_ok=True)
            order = np.lexsort((edges[:, 1], edges[:, 0]))
            edges = edges[order]
            new = np.r_[True, (edges[1:] != edges[:-1]).any(axis=1)][: len(edges)]
            yield edges[new, 0], edges[new, 1]


def find_components(edges: Iterable[tuple[Hashes, Hashes]], num_edges: int, scratch: Path) -> Iterator[tuple[Hashes, Hashes]]:
    """(nodes, the smallest node of the component of each) for all nodes that have an edge; each node once. Nodes are numbers of
    64 bits; edges of a node with itself are allowed. About twice the edges lie in `scratch` meanwhile."""
    num_parts = 1 + num_edges * 32 // BYTES_PER_PART
    scratch.mkdir(parents=True, exist_ok=True)

    def spilled(name: str, pairs: Iterable[tuple[Hashes, Hashes]], both_ways: bool) -> Edges:
        made = Edges(scratch, name, num_parts)
        for one, other in pairs:
            made.add(np.maximum(one, other), np.minimum(one, other))
            if both_ways:
                made.add(np.minimum(one, other), np.maximum(one, other))
        return made

    before = (-1, 0)
    current = spilled("edges", edges, True)
    while True:
        large = spilled("large", _stars(current, _large_star), False)
        small = spilled("small", _stars(large, _small_star), True)
        after, current = _fingerprint(small, scratch, num_parts)
        if after == before:
            break
        before = after
    for one, other in current.parts():
        starts = np.flatnonzero(np.r_[True, one[1:] != one[:-1]][: len(one)])
        yield one[starts], np.minimum(one[starts], other[starts])


def _stars(edges: Edges, star: Callable[[Hashes, Hashes, Hashes], tuple[Hashes, Hashes]]) -> Iterator[tuple[Hashes, Hashes]]:
    for one, other in edges.parts():
        starts = np.r_[True, one[1:] != one[:-1]][: len(one)]
        smallest = other[np.flatnonzero(starts)][np.cumsum(starts) - 1] if len(one) else other  # neighbours are sorted
        yield star(one, other, np.minimum(one, smallest))


def _large_star(one: Hashes, other: Hashes, smallest: Hashes) -> tuple[Hashes, Hashes]:
    """Every larger neighbour now knows the smallest of them all."""
    larger = other >= one
    return other[larger], smallest[larger]


def _small_star(one: Hashes, other: Hashes, smallest: Hashes) -> tuple[Hashes, Hashes]:
    """Of a node and its smaller neighbours, all now know the smallest."""
    return np.concatenate([one, other]), np.concatenate([smallest, smallest])


def _fingerprint(edges: Edges, scratch: Path, num_parts: int) -> tuple[tuple[int, int], Edges]:
    """Number and sum of the edges' hashes: two graphs with the same ones are the same. Hands the edges on."""
    again = Edges(scratch, "edges", num_parts)
    count, total = 0, 0
    for one, other in edges.parts():
        count += len(one)
        total = (total + int(spread(spread(one) ^ other).sum(dtype=np.uint64))) % (1 << 64)
        again.add(one, other)
    return (count, total), again
