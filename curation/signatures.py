"""What deduplication knows of each document: written by every rank beside its shard, read by one process over all ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.candidates import Numbers
from curation.shingles import Hashes, MinHash, Shingler, exact_key
from recipes.schema import DedupStage

ROWS_PER_GROUP = 20_000
FACTS = ("id", "row", "exact_high", "exact_low", "num_shingles", "length", "math_score")


def band_name(band: int) -> str:
    return f"band_{band:03d}"


class WriteSignatures(PipelineStep):
    """Leaves signatures/<rank>.parquet: a document's exact key, the size of its shingle set, its band keys (a column each, so
    that they can be read one at a time), and what decides between duplicates. Yields nothing."""

    name = "signatures"

    def __init__(self, params: DedupStage, folder: Path, seed: int):
        super().__init__()
        self.params = params
        self.folder = folder
        self.seed = seed

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        params = self.params
        shingler, minhash = Shingler(params.ngram), MinHash(params.num_bands, params.rows_per_band, self.seed)
        types = [pa.string(), pa.int32(), pa.uint64(), pa.uint64(), pa.int32(), pa.int64(), pa.float64()]
        bands = [(band_name(band), pa.uint64()) for band in range(params.num_bands)]
        schema = pa.schema([*zip(FACTS, types, strict=True), *bands])
        path = self.folder / "signatures" / f"{rank:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        facts: list[tuple[Any, ...]] = []
        keys: list[Hashes] = []

        def flush() -> None:
            columns = [
                *(zip(*facts, strict=True) if facts else [()] * len(FACTS)),
                *np.array(keys).reshape(-1, len(bands)).T,
            ]
            writer.write_table(pa.table([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema))
            facts.clear()
            keys.clear()

        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for row, doc in enumerate(data or ()):
                shingles = shingler(doc.text)
                facts.append((doc.id, row, *exact_key(doc.text), len(shingles), len(doc.text), doc.metadata.get("math_score")))
                keys.append(minhash.band_keys(shingles))
                if len(facts) == ROWS_PER_GROUP:
                    flush()
            flush()
        temporary.replace(path)


@dataclass(frozen=True)
class SignedDocuments:
    """All documents, the most wanted first: highest math_score, then longest, then smallest id. `text` numbers distinct
    texts in the same order; `first` is the most wanted document of each text."""

    ids: pa.ChunkedArray
    rank: Numbers
    row: Numbers
    exact: npt.NDArray[np.uint64]  # (documents, 2)
    text: Numbers
    first: Numbers
    num_shingles: Numbers  # of texts
    order: Numbers  # where each document was in the signature files

    def read_band(self, signatures: list[Path], band: int) -> Hashes:
        name = band_name(band)
        keys = np.concatenate([pq.read_table(path, columns=[name])[name].to_numpy() for path in signatures])
        return keys[self.order[self.first]]


def signature_files(signatures: Path, documents: Path) -> list[Path]:
    files, shards = sorted(signatures.glob("[0-9]*.parquet")), sorted(documents.glob("[0-9]*.parquet"))
    if not files or [file.name for file in files] != [shard.name for shard in shards]:
        raise ValueError(
            f"{signatures} has {len(files)} signature files, {documents} has {len(shards)} shards of documents; "
            "each shard needs its own: run the stage that writes signatures to its end"
        )
    return files


def read_signatures(files: list[Path]) -> SignedDocuments:
    tables = []
    for file in files:
        table = pq.read_table(file, columns=list(FACTS))
        tables.append(table.append_column("rank", pa.array(np.full(len(table), int(file.stem)), pa.int32())))
    table = pa.concat_tables(tables)
    table = table.set_column(table.schema.get_field_index("math_score"), "math_score", pc.fill_null(table["math_score"], -1.0))
    descending, ascending = ("math_score", "length"), ("id", "exact_high", "exact_low", "rank", "row")
    keys = [(name, "descending") for name in descending] + [(name, "ascending") for name in ascending]
    order = pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)
    table = table.take(order)
    high, low = table["exact_high"].to_numpy(), table["exact_low"].to_numpy()
    first, text = _distinct(high, low)
    rank, row, num_shingles = (table[name].to_numpy().astype(np.int64) for name in ("rank", "row", "num_shingles"))
    return SignedDocuments(table["id"], rank, row, np.stack([high, low], axis=1), text, first, num_shingles[first], order)


def _distinct(high: Hashes, low: Hashes) -> tuple[Numbers, Numbers]:
    """Where each distinct key occurs first, in that order; and which of them each key is."""
    order = np.lexsort((low, high))  # stable: equal keys stay in order
    new = np.r_[True, (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])][: len(order)]
    first = order[new]
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    which = np.empty(len(order), np.int64)
    which[order] = place[np.cumsum(new) - 1]
    return np.sort(first), which


def count_repeated(ids: pa.ChunkedArray) -> int:
    """Ids that more than one document has."""
    counts = pc.value_counts(ids).field("counts")
    return int(pc.sum(pc.greater(counts, 1)).as_py() or 0)


def read_texts(documents: Path, ranks: Numbers, rows: Numbers, ids: Any, numbers: Numbers) -> Iterator[tuple[int, str]]:
    """(number, text) of the numbered texts that lie at (rank, row); only row groups that hold one are read."""
    order = np.lexsort((rows[numbers], ranks[numbers]))
    numbers = numbers[order]
    for rank in np.unique(ranks[numbers]):
        path = documents / f"{rank:05d}.parquet"
        mine = numbers[ranks[numbers] == rank]
        file, first = pq.ParquetFile(path), 0
        for group in range(file.num_row_groups):
            num_rows = file.metadata.row_group(group).num_rows
            here = mine[(rows[mine] >= first) & (rows[mine] < first + num_rows)]
            if len(here):
                table = file.read_row_group(group, columns=["id", "text"]).take(rows[here] - first)
                if table["id"].to_pylist() != ids.take(here).to_pylist():
                    raise ValueError(f"{path} has changed since its signatures were written; run the dedup stages again")
                yield from zip(here.tolist(), table["text"].to_pylist(), strict=True)
            first += num_rows
