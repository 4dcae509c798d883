"""Connected components of a graph that need not fit in memory: the alternating star algorithm (Kiveris et al. 2014).

Edges lie on disk by ranges of their nodes. In turns, every node hands its larger neighbours to the smallest one (large star),
then the others too (small star), until each component is one star around its smallest node; a few rounds for real clusters.
Memory is that of one part. Every turn leaves a folder of its own, so that a killed process goes on behind the last one. Measured
against scipy's connected_components, in memory: the same components (tests).
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.dedup.key_ranges import spread
from curation.dedup.shingles import Hashes
from curation.dedup.whole_folder import whole_folder, whole_folders

BYTES_PER_PART = 64_000_000


class Edges:
    """Pairs of nodes in a folder's files, by their first node."""

    def __init__(self, folder: Path, num_parts: int):
        self.folder = folder
        self.paths = [folder / f"{part:05d}.bin" for part in range(num_parts)]

    def add(self, one: Hashes, other: Hashes) -> None:
        edges = np.stack([one, other], axis=1)
        part = (spread(one) >> np.uint64(32)) * np.uint64(len(self.paths)) >> np.uint64(32)
        for number in np.unique(part).tolist():
            with open(self.paths[number], "ab") as file:
                edges[part == number].tofile(file)

    def parts(self) -> Iterator[tuple[Hashes, Hashes]]:
        """Distinct edges of each part, sorted by first node, then second."""
        for path in self.paths:
            edges = np.fromfile(path, np.uint64).reshape(-1, 2) if path.exists() else np.zeros((0, 2), np.uint64)
            order = np.lexsort((edges[:, 1], edges[:, 0]))
            edges = edges[order]
            new = np.r_[True, (edges[1:] != edges[:-1]).any(axis=1)][: len(edges)]
            yield edges[new, 0], edges[new, 1]


def find_components(edges: Iterable[tuple[Hashes, Hashes]], num_edges: int, scratch: Path) -> Iterator[tuple[Hashes, Hashes]]:
    """(nodes, the smallest node of the component of each) for all nodes that have an edge; each node once. Nodes are numbers of
    64 bits; edges of a node with itself are allowed. About three times the edges lie in `scratch` meanwhile, and what a killed
    call left there is taken up: `edges` are read only where it had not come to their end."""
    num_parts = 1 + num_edges * 32 // BYTES_PER_PART
    turns = whole_folders(scratch) or [_write(scratch / "00000", num_parts, edges, both_ways=True)]
    for folder in turns[:-1]:
        shutil.rmtree(folder)
    current, turn = Edges(turns[-1], num_parts), int(turns[-1].name)
    while turn % 2 or not _are_stars(current):
        star = _small_star if turn % 2 else _large_star
        folder = _write(scratch / f"{turn + 1:05d}", num_parts, _stars(current, star), both_ways=star is _small_star)
        shutil.rmtree(current.folder)
        current, turn = Edges(folder, num_parts), turn + 1
    for one, other in current.parts():
        starts = np.flatnonzero(_begins(one))
        yield one[starts], np.minimum(one[starts], other[starts])


def _write(folder: Path, num_parts: int, edges: Iterable[tuple[Hashes, Hashes]], *, both_ways: bool) -> Path:
    with whole_folder(folder) as working:
        made = Edges(working, num_parts)
        for one, other in edges:
            made.add(np.maximum(one, other), np.minimum(one, other))
            if both_ways:
                made.add(np.minimum(one, other), np.maximum(one, other))
    return folder


def _begins(nodes: Hashes) -> npt.NDArray[np.bool_]:
    """Marks the first edge of each node; edges are sorted."""
    begins: npt.NDArray[np.bool_] = np.r_[True, nodes[1:] != nodes[:-1]][: len(nodes)]
    return begins


def _are_stars(edges: Edges) -> bool:
    """Whether every node with a smaller neighbour has no other one. That one has larger neighbours, so no smaller one: it is the
    smallest of its component, and neighbour of all others."""
    for one, other in edges.parts():
        between = one != other
        one, other = one[between], other[between]
        starts = np.flatnonzero(_begins(one))
        sizes = np.diff(np.r_[starts, len(one)])
        if ((other[starts] < one[starts]) & (sizes > 1)).any():
            return False
    return True


def _stars(edges: Edges, star: Callable[[Hashes, Hashes, Hashes], tuple[Hashes, Hashes]]) -> Iterator[tuple[Hashes, Hashes]]:
    for one, other in edges.parts():
        starts = _begins(one)
        smallest = other[np.flatnonzero(starts)][np.cumsum(starts) - 1] if len(one) else other  # neighbours are sorted
        yield star(one, other, np.minimum(one, smallest))


def _large_star(one: Hashes, other: Hashes, smallest: Hashes) -> tuple[Hashes, Hashes]:
    """Every larger neighbour now knows the smallest of them all."""
    larger = other >= one
    return other[larger], smallest[larger]


def _small_star(one: Hashes, other: Hashes, smallest: Hashes) -> tuple[Hashes, Hashes]:
    """Of a node and its smaller neighbours, all now know the smallest."""
    return np.concatenate([one, other]), np.concatenate([smallest, smallest])
