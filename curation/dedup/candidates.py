"""Pairs of texts that MinHash bands call similar: found by ranks, each in its share of all band keys.

A text is its key; of documents with the same text one stands for all, so a page copied a million times makes no pairs.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.dedup.key_ranges import SortedWriter
from curation.dedup.shingle_file import places
from curation.dedup.shingles import Hashes, Numbers, fold

NUM_NEIGHBOURS = 64  # buckets up to this size (+1) are compared whole
NUM_SIMPLE = 4  # buckets up to this size are not looked through for copies of one text
NUM_FIRST = 32  # in larger ones every text is also compared with the most wanted ones
CANDIDATE_SCHEMA = pa.schema([(name, pa.uint64()) for name in ("pair", "one", "other", "one_place", "other_place")])


class FindCandidates(PipelineStep):
    """Reads bands, leaves candidates/<rank>.parquet. Of the bands' files the first `num_own` are of these documents, the others
    of indexes; pairs within the indexes are none of ours."""

    name = "candidates"

    def __init__(self, num_own: int, book: Book):
        super().__init__()
        self.num_own = num_own
        self.book = book

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        writer = SortedWriter(self.book.folder / "candidates" / f"{rank:05d}.parquet", CANDIDATE_SCHEMA)
        for bands in data:
            found, num_large = candidates_of(bands, self.num_own)
            writer.write(found)
            self.book.count("large_buckets", n=num_large)
        writer.close()


def candidates_of(bands: pa.Table, num_own: int) -> tuple[pa.Table, int]:
    """Candidates among rows of bands, and how many buckets were too large to be compared whole. Files from num_own on are old."""
    bands = bands.take(_shared(bands["key"].to_numpy()))
    key, text, wanted = (bands[name].to_numpy() for name in ("key", "text", "wanted"))
    file = bands["file"].to_numpy()
    place = places(file, bands["start"].to_numpy())
    is_new = file < num_own
    is_simple = _are_simple(key, is_new)
    order = np.r_[np.flatnonzero(is_simple), _most_wanted_first(np.flatnonzero(~is_simple), key, text, wanted, is_new)]
    pairs, num_large = pairs_in_buckets(key[order])
    pairs = order[pairs]
    pairs = pairs[is_new[pairs].any(axis=1) & (text[pairs[:, 0]] != text[pairs[:, 1]])]
    turned = text[pairs[:, 0]] > text[pairs[:, 1]]
    pairs[turned] = pairs[turned][:, ::-1]
    one, other = text[pairs[:, 0]], text[pairs[:, 1]]
    pair = fold(np.stack([one, other]))
    new = np.unique(pair, return_index=True)[1]
    columns = (pair, one, other, place[pairs[:, 0]], place[pairs[:, 1]])
    return pa.table([pa.array(column[new]) for column in columns], schema=CANDIDATE_SCHEMA), num_large


def _are_simple(key: Hashes, is_new: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Marks the rows of buckets so small that they are compared as they are, copies included: most of all rows. Which member is
    old or more wanted does not matter there. `key` is sorted."""
    starts, sizes = _buckets(key)
    return np.repeat((sizes <= NUM_SIMPLE) & np.logical_and.reduceat(is_new, starts), sizes)


def _most_wanted_first(rows: Numbers, key: Hashes, text: Hashes, wanted: Hashes, is_new: npt.NDArray[np.bool_]) -> Numbers:
    """One of these rows for each text of a bucket, bucket by bucket. Of copies an old one, else the most wanted one stands for
    the text; old ones are more wanted than all others."""
    rows = rows[np.lexsort((wanted[rows], is_new[rows], text[rows], key[rows]))]
    rows = rows[_first_of((key[rows], text[rows]))]
    ordered: Numbers = rows[np.lexsort((text[rows], wanted[rows], is_new[rows], key[rows]))]
    return ordered


def _shared(keys: Hashes) -> Numbers:
    """Where the keys are that occur more than once (most do not), by key."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    shared: Numbers = order[np.r_[False, same][: len(keys)] | np.r_[same, False][: len(keys)]]
    return shared


def _buckets(keys: Hashes) -> tuple[Numbers, Numbers]:
    """Where the runs of equal keys begin, and how long they are."""
    starts = np.flatnonzero(_first_of((keys,)))
    return starts, np.diff(np.r_[starts, len(keys)])


def _first_of(columns: tuple[Hashes, ...]) -> npt.NDArray[np.bool_]:
    """Marks the first of each run of equal rows."""
    first = np.zeros(len(columns[0]), np.bool_)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first


def pairs_in_buckets(keys: Hashes) -> tuple[Numbers, int]:
    """(pairs, 2) of members of a bucket, from sorted keys; the more wanted one first. And how many buckets were too large to be
    compared whole: a template shared by a million pages would make 5e11 pairs. There, each text meets its 64 neighbours in order
    and the 32 most wanted texts."""
    starts, sizes = _buckets(keys)
    made = [np.zeros((0, 2), np.int64)]
    left = np.repeat(starts + sizes, sizes) - np.arange(len(keys)) - 1  # members of its bucket behind each member
    for distance in range(1, NUM_NEIGHBOURS + 1):
        first = np.flatnonzero(left >= distance)
        if not len(first):
            break
        made.append(np.stack([first, first + distance], axis=1))
    large = np.flatnonzero(sizes > NUM_NEIGHBOURS + 1)
    for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
        for wanted in range(start, start + NUM_FIRST):
            far = np.arange(wanted + NUM_NEIGHBOURS + 1, start + size)
            made.append(np.stack([np.full(len(far), wanted), far], axis=1))
    return np.concatenate(made), len(large)
