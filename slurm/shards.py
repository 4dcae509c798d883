"""Documents of finished stages, looked up in their parquet files: a column at a time, texts never.

Files are searched side by side by a few threads; memory is one row group of one column a thread.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.shards import has_documents

DOCUMENTS, DROPPED = "documents", "dropped"
NUM_THREADS = 4  # of which each decodes in Arrow, outside Python's lock


@dataclass(frozen=True)
class Shard:
    """A file of documents that a stage kept, or dropped for `reason`."""

    file: Path
    reason: str | None

    @property
    def name(self) -> str:
        """What the shards of one rank have in common."""
        return self.file.stem


@dataclass(frozen=True)
class Sighting:
    """A document in a shard: all that is known of it there but its text."""

    shard: Shard
    id: str
    metadata: dict[str, Any]

    @property
    def url(self) -> str | None:
        url = self.metadata.get("url")
        return url if isinstance(url, str) else None


def shards_of(folder: Path, name: str = "[0-9]*") -> list[Shard]:
    """What a stage kept, then what it dropped, by reason. `name`: only of one rank. Signatures of documents are no documents."""
    kept = [Shard(file, None) for file in sorted((folder / DOCUMENTS).glob(f"{name}.parquet"))]
    with open_parquet(kept[0].file) if kept else nullcontext() as first:
        if first is not None and not has_documents(first.schema_arrow):
            return []
    reasons = sorted(path for path in (folder / DROPPED).glob("*") if path.is_dir())
    return kept + [Shard(file, path.name) for path in reasons for file in sorted(path.glob(f"{name}.parquet"))]


def search(
    shards: Iterable[Shard], column: str, pattern: str, is_wanted: Callable[[Sighting], bool], *, limit: int | None = None
) -> list[Sighting]:
    """Documents whose `column` ("id" or "metadata", which is JSON) holds the pattern in any case, and that are wanted; of each
    file at most `limit`."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        found = pool.map(lambda shard: list(islice(filter(is_wanted, _holding(shard, column, pattern)), limit)), shards)
        return [sighting for sightings in found for sighting in sightings]


def _holding(shard: Shard, column: str, pattern: str) -> Iterator[Sighting]:
    with open_parquet(shard.file) as file:
        for group in range(file.num_row_groups):
            values = file.read_row_group(group, columns=[column]).column(0)
            # RE2, which is what ignoring the case asks for, looks through a long text five times as fast
            rows = pc.indices_nonzero(pc.match_substring(values, pattern, ignore_case=True))
            if len(rows):
                yield from _sightings(shard, file, group, rows)


def _sightings(shard: Shard, file: pq.ParquetFile, group: int, rows: pa.Array) -> Iterator[Sighting]:
    for row in file.read_row_group(group, columns=["id", "metadata"]).take(rows).to_pylist():
        yield Sighting(shard, row["id"], json.loads(row["metadata"]))


def columns_of(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The row groups of a file, these columns of them."""
    with open_parquet(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=list(columns))


def rows_with(path: Path, column: str, value: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file where a column has this value. The other columns are read only where some row has it."""
    with open_parquet(path) as file:
        for group in range(file.num_row_groups):
            values = file.read_row_group(group, columns=[column]).column(0)
            rows = pc.indices_nonzero(pc.equal(values, value))
            if len(rows):
                yield from file.read_row_group(group, columns=list(columns)).take(rows).to_pylist()


def open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); see what else changed with: midtrain verify PAGE") from None
