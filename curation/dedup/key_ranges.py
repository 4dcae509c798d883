"""Tables on disk that are sorted by a 64-bit key and read back a range of keys at a time.

So rows that share a key meet, wherever they were written, without one process holding all of them: every rank leaves a file
that is sorted by the upper bits of its keys, and whoever works on a range reads the row groups that touch it from all files.
Keys are hashes, so ranges of one width hold about as many rows each.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.dedup.shingles import MULTIPLIER, Hashes, Numbers

NUM_KEYS = 1 << 64
SORTED_BITS = 16  # finer than row groups are wide: a run of 4 million rows has 60 for each value
ROWS_PER_GROUP = 16_384  # a part of a rank (curation/parts.py) has some 60 groups of bands: a range of keys touches few
BYTES_PER_RUN = 128_000_000  # sorted in memory at a time, by a writer
BYTES_PER_RANGE = 128_000_000  # read at a time: about a fifth of what sorting and joining it takes


def key_order(keys: Hashes) -> Numbers:
    """Where the keys are by the upper SORTED_BITS of the largest one; those that share them in the order in which they came."""
    lower_bits = max(0, int(keys.max(initial=0)).bit_length() - SORTED_BITS)
    order: Numbers = np.argsort((keys >> np.uint64(lower_bits)).astype(np.uint16), kind="stable")  # numpy's radix sort
    return order


class SortedWriter:
    """A parquet file under a temporary name until it is closed. It is sorted in runs of what fits in memory, so that each row
    group covers few keys. The first column is the key."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path = path
        self.schema = schema
        self._key = schema.names[0]
        self._keys: list[Hashes] = []  # (rows, keys a row)
        self._rows: list[pa.Table] = []  # without keys
        self._num_bytes = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.tmp")
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        self._file = pq.ParquetWriter(
            self._temporary, schema, compression="zstd" if texts else "none", use_dictionary=texts, write_statistics=[self._key]
        )

    def write(self, table: pa.Table) -> None:
        self.write_under(table[self._key].to_numpy()[:, None], table)

    def write_under(self, keys: Hashes, rows: pa.Table) -> None:
        """Each row under each of its keys (rows, keys a row): as many in all calls."""
        if len(rows):
            self._keys.append(keys)
            self._rows.append(rows.select(self.schema.names[1:]))
            self._num_bytes += keys.nbytes + keys.shape[1] * self._rows[-1].nbytes
        if self._num_bytes >= BYTES_PER_RUN:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()
        self._temporary.replace(self.path)

    def _flush(self) -> None:
        if self._rows:
            keys, rows = np.concatenate(self._keys), pa.concat_tables(self._rows).combine_chunks()
            self._keys, self._rows, self._num_bytes = [], [], 0
            order = key_order(keys.ravel())
            columns = [pa.array(keys.ravel()[order]), *rows.take(order // keys.shape[1]).columns]
            self._file.write_table(pa.table(columns, self.schema), row_group_size=ROWS_PER_GROUP)


class SortedFiles:
    """What SortedWriters of one schema left, as one table; `file` says which file a row came from."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths
        self.groups: list[tuple[int, int, int, int]] = []  # file, row group, smallest key, largest key
        self.num_rows = 0
        self.num_bytes = 0
        for number, path in enumerate(paths):
            metadata = pq.read_metadata(path)
            self.num_rows += metadata.num_rows
            for group in range(metadata.num_row_groups):
                found = metadata.row_group(group)
                keys = found.column(0).statistics
                self.num_bytes += found.total_byte_size
                self.groups.append((number, group, int(keys.min), int(keys.max)))
        self.schema = pq.read_schema(paths[0]) if paths else None

    def ranges(self, rank: int = 0, world_size: int = 1, *, num_bytes: int = 0) -> Iterator[tuple[int, int]]:
        """One rank's share of all keys, cut so that each piece of it fits in memory. `num_bytes`: of other tables that are
        read by the same ranges."""
        parts = world_size * (1 + (self.num_bytes + num_bytes) // (BYTES_PER_RANGE * world_size))
        bounds = [NUM_KEYS * part // parts for part in range(parts + 1)]
        mine = range(parts * rank // world_size, parts * (rank + 1) // world_size)
        yield from ((bounds[part], bounds[part + 1]) for part in mine)

    def read(self, low: int, high: int, columns: list[str] | None = None) -> pa.Table:
        """Rows whose key is at least low and below high, in no order."""
        tables = []
        wanted: dict[int, list[int]] = {}
        for number, group, smallest, largest in self.groups:
            if largest >= low and smallest < high:
                wanted.setdefault(number, []).append(group)
        for number, groups in wanted.items():
            table = pq.ParquetFile(self.paths[number]).read_row_groups(groups, columns=columns)
            keys = table.column(0).to_numpy()
            inside = (keys >= np.uint64(low)) & (keys <= np.uint64(high - 1))
            table = table if inside.all() else table.filter(pa.array(inside))
            tables.append(table.append_column("file", pa.array(np.full(len(table), number, np.uint32))))
        if tables:
            return pa.concat_tables(tables)
        assert self.schema is not None
        fields = [field for field in self.schema if columns is None or field.name in columns]
        return pa.schema([*fields, pa.field("file", pa.uint32())]).empty_table()


class Spill:
    """Writes rows to a file for each range of a key, `<name>-<number of the range>.parquet` in a folder: none where there are no
    rows."""

    def __init__(self, folder: Path, name: str, num_parts: int):
        self.folder = folder
        self.name = name
        self.num_parts = num_parts
        self._files: dict[int, Any] = {}

    def add(self, table: pa.Table, keys: Hashes) -> None:
        """`keys[i]`, spread evenly over 64 bits, decides where row i goes."""
        part = (keys >> np.uint64(32)) * np.uint64(self.num_parts) >> np.uint64(32)
        for number in np.unique(part).tolist():
            if number not in self._files:
                path = spilled_file(self.folder, self.name, number)
                self._files[number] = pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
            self._files[number].write_table(table.filter(pa.array(part == number)) if self.num_parts > 1 else table)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def spilled_file(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:05d}.parquet"


def read_spilled(folders: Sequence[Path], name: str, number: int) -> pa.Table | None:
    """What Spills left of a range; None where there are no rows."""
    tables = [pq.read_table(path) for folder in folders if (path := spilled_file(folder, name, number)).is_file()]
    return pa.concat_tables(tables) if tables else None


def spread(keys: Hashes) -> Hashes:
    """One to one, and even over all 64 bits: smallest members of clusters, for one, are small numbers."""
    mixed = keys * MULTIPLIER
    return (mixed ^ (mixed >> np.uint64(32))) * MULTIPLIER
