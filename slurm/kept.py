"""Which documents one dataset keeps and another does not, by id, and why that other one dropped them.

Ids are compared by their 64-bit hashes: 12 bytes a document of memory, and about a second for three million. Among 10⁹
documents two are taken for one once in twenty comparisons.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from recipes.report.record import Record
from slurm.shards import Shard, columns_of, open_parquet, search, shards_of
from slurm.why import ASIDE

NUM_EXAMPLES = 5
DOCS = "docs.parquet"
EVIDENCE = ("duplicate_of", "jaccard", "contamination", "math_score", "language", "language_score")

Hashes = npt.NDArray[np.uint64]


@dataclass
class Kept:
    """Documents that a dataset ends with: sorted hashes of their ids, and the tokens of each, where they are counted."""

    record: Record
    hashes: Hashes
    tokens: npt.NDArray[np.int64]


@dataclass
class Missed:
    """Documents of one dataset that the other lacks, and what the other did with them."""

    hashes: Hashes
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = np.zeros(len(self.hashes), np.bool_)

    def first_seen(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        """Rows of these that are missed ones, met for the first time."""
        places = np.searchsorted(self.hashes, hashes)
        places[places == len(self.hashes)] = 0
        rows = np.flatnonzero(self.hashes[places] == hashes) if len(self.hashes) else np.zeros(0, np.int64)
        rows = rows[~self.seen[places[rows]]]
        self.seen[places[rows]] = True
        return rows


def compare_documents(one: Sequence[Record], other: Sequence[Record]) -> dict[str, Any] | None:
    """Documents that only one of two datasets keeps. `one` and `other`: finished stages of each, in the order of work. None if
    either has no documents."""
    a, b = _kept(one), _kept(other)
    if a is None or b is None:
        return None
    both = int(np.isin(a.hashes, b.hashes, assume_unique=True).sum())
    return {
        "a": {"stage": a.record.name, "documents": len(a.hashes)},
        "b": {"stage": b.record.name, "documents": len(b.hashes)},
        "both": both,
        "only_a": _only(a, b, other),
        "only_b": _only(b, a, one),
    }


def _kept(records: Sequence[Record]) -> Kept | None:
    last = next((r for r in reversed(records) if (r.folder / DOCS).is_file()), None)
    last = last or next((r for r in reversed(records) if r.do not in ASIDE and _kept_shards(r)), None)
    if last is None:
        return None
    hashes, tokens = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for table in _ends(last, ["id"], ["num_tokens"]):
        hashes.append(_hashes(table["id"]))
        counted = "num_tokens" in table.column_names
        tokens.append(table["num_tokens"].to_numpy().astype(np.int64) if counted else np.zeros(len(table), np.int64))
    unique, first = np.unique(np.concatenate(hashes), return_index=True)
    return Kept(last, unique, np.concatenate(tokens)[first])


def _ends(record: Record, columns: list[str], of_tokens: list[str]) -> Iterator[pa.Table]:
    """Row groups of what a dataset ends with: docs.parquet, which has other columns too, or shards of documents."""
    if (record.folder / DOCS).is_file():
        yield from columns_of(record.folder / DOCS, columns + of_tokens)
        return
    for shard in _kept_shards(record):
        yield from columns_of(shard.file, columns)


def _kept_shards(record: Record) -> list[Shard]:
    return [shard for shard in shards_of(record.folder) if shard.reason is None]


def _hashes(ids: pa.ChunkedArray) -> Hashes:
    return np.fromiter((xxhash.xxh3_64_intdigest(id_) for id_ in ids.to_pylist()), np.uint64, len(ids))


def _only(mine: Kept, theirs: Kept, records: Sequence[Record]) -> dict[str, Any]:
    """`because`: the stage of theirs that dropped them, its reason and rule; the rest never came to theirs."""
    is_missed = ~np.isin(mine.hashes, theirs.hashes, assume_unique=True)
    missed = Missed(mine.hashes[is_missed])
    wanted = {int(number) for number in missed.hashes[:NUM_EXAMPLES]}  # hashes are as good as drawn
    for record in records:
        _look_through(record, missed, wanted)
    counted = [
        {"stage": stage, "reason": reason, "rule": rule, "documents": documents}
        for (stage, reason, rule), documents in sorted(missed.reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {
        "documents": len(missed.hashes),
        "tokens": int(mine.tokens[is_missed].sum()) if (mine.record.folder / DOCS).is_file() else None,
        "because": counted,
        "never_there": int((~missed.seen).sum()),
        "examples": _name(mine.record, wanted, missed.examples),
    }


def _look_through(record: Record, missed: Missed, wanted: set[int]) -> None:
    """Counts the missed documents among those that a stage dropped. Metadata are read only of row groups that hold some."""
    for shard in shards_of(record.folder):
        if shard.reason is None:
            continue
        with open_parquet(shard.file) as file:
            for group in range(file.num_row_groups):
                hashes = _hashes(file.read_row_group(group, columns=["id"])["id"])
                rows = missed.first_seen(hashes)
                if not len(rows):
                    continue
                metadata = file.read_row_group(group, columns=["metadata"])["metadata"].take(pa.array(rows)).to_pylist()
                for number, text in zip(hashes[rows].tolist(), metadata, strict=True):
                    told = json.loads(text)
                    rule = str(told.get("dropped_because") or shard.reason)
                    missed.reasons[record.stage, shard.reason, rule] += 1
                    if number in wanted:
                        evidence = {key: told[key] for key in EVIDENCE if key in told}
                        missed.examples[number] = {"stage": record.stage, "reason": shard.reason, "rule": rule, **evidence}


def _name(record: Record, wanted: set[int], fates: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Ids and URLs of the example documents, with what the other dataset did with them."""
    named: dict[int, dict[str, Any]] = {}
    for table in _ends(record, ["id"], ["url"]) if wanted else ():
        hashes = _hashes(table["id"])
        for row in np.flatnonzero(np.isin(hashes, np.array(sorted(wanted), np.uint64))).tolist():
            id_ = table["id"][row].as_py()
            url = table["url"][row].as_py() if "url" in table.column_names else _url_of(id_, record)
            named.setdefault(int(hashes[row]), {"id": id_, "url": url, "dropped_by": fates.get(int(hashes[row]))})
    return [named[number] for number in sorted(named)]


def _url_of(id_: str, record: Record) -> str | None:
    return next((s.url for s in search(_kept_shards(record), "id", id_, lambda sighting: sighting.id == id_)), None)
