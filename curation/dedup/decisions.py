"""Goes through the documents of clusters, the most wanted first: kept, or dropped for one that is kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.dedup.shingles import Numbers, fastest

REASONS = ["exact", "near", "url"]
EXACT, NEAR, URL = range(len(REASONS))


@dataclass(frozen=True)
class Decided:
    """Of documents: the kept one that each was dropped for (-1: it is kept), why, how similar their texts are (NaN: not
    known), whether another document has the same id and text. `pairs`: the most wanted documents of each pair of texts."""

    target: Numbers
    reason: npt.NDArray[np.int8]
    jaccard: npt.NDArray[np.float64]
    has_copies: npt.NDArray[np.bool_]
    pairs: Numbers


def decide(members: pa.Table, pairs: pa.Table | None) -> Decided:
    """`members` are whole clusters, each from the most to the least wanted document; `pairs` are their similar texts."""
    keys, first, text = np.unique(members["text"].to_numpy(), return_index=True, return_inverse=True)
    url = _numbered(members["url"])
    one, other, similar = _neighbours(keys, pairs)
    order = np.lexsort((other, one))
    starts = np.searchsorted(one[order], np.arange(len(keys) + 1))
    target, reason = np.full(len(members), -1), np.zeros(len(members), np.int8)
    jaccard = np.full(len(members), np.nan)
    is_old = members["is_old"].to_numpy()
    fastest(go_through, "go_through")(text, url, is_old, starts, other[order], similar[order], target, reason, jaccard)
    half = len(one) // 2
    return Decided(target, reason, jaccard, _copies(members["id"], text), first[np.stack([one[:half], other[:half]], axis=1)])


def _neighbours(keys: Any, pairs: pa.Table | None) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Pairs of numbered texts in both directions: first as they came, then turned."""
    if pairs is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    one, other = (np.searchsorted(keys, pairs[name].to_numpy()) for name in ("one", "other"))
    return np.r_[one, other], np.r_[other, one], np.tile(pairs["jaccard"].to_numpy(), 2)


def _numbered(urls: pa.ChunkedArray) -> Numbers:
    """Equal URLs get equal numbers, a missing one -1."""
    numbers = urls.combine_chunks().dictionary_encode().indices
    found: Numbers = numbers.fill_null(-1).to_numpy().astype(np.int64)
    return found


def _copies(ids: pa.ChunkedArray, text: Numbers) -> npt.NDArray[np.bool_]:
    """Documents that share id and text with another one."""
    id_ = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((id_, text))
    same = (id_[order][1:] == id_[order][:-1]) & (text[order][1:] == text[order][:-1])
    found = np.zeros(len(text), np.bool_)
    found[order[1:][same]] = found[order[:-1][same]] = True
    return found


def go_through(
    text: Any, url: Any, is_old: Any, starts: Any, neighbours: Any, similar: Any, target: Any, reason: Any, jaccard: Any
) -> None:
    """Fills target, reason and jaccard. Plain loops over arrays: compiled where numba is installed."""
    by_text, by_url = np.full(len(starts) - 1, -1), np.full(len(url) + 1, -1)  # the last one is no URL's
    for doc in range(len(text)):
        own, best, value = text[doc], -1, 0.0
        for i in range(starts[own], starts[own + 1]):
            kept = by_text[neighbours[i]]
            if kept >= 0 and (best < 0 or similar[i] > value or (similar[i] == value and kept < best)):
                best, value = kept, similar[i]
        if not is_old[doc] and by_text[own] >= 0:
            target[doc], reason[doc], jaccard[doc] = by_text[own], EXACT, 1.0
        elif not is_old[doc] and best >= 0:
            target[doc], reason[doc], jaccard[doc] = best, NEAR, value
        elif not is_old[doc] and url[doc] >= 0 and by_url[url[doc]] >= 0:
            target[doc], reason[doc] = by_url[url[doc]], URL
        else:
            if by_text[own] < 0:
                by_text[own] = doc
            if by_url[url[doc]] < 0 and url[doc] >= 0:
                by_url[url[doc]] = doc
