"""Draws a balanced sample of documents: the same number of each stratum, no more of one site than the page allows.

A document's key is a hash of the seed and its id; those with the smallest keys are drawn. So the same documents are drawn from
any number of shards, in any order, and a larger sample holds the smaller one. Every rank leaves the keys that may be drawn, one
process chooses among them, then every rank passes on what was chosen.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.classifier.origin import origin, site_of
from recipes.schema import DrawStage

KEYS, CHOSEN = "keys", "chosen.parquet"
SCHEMA = pa.schema(
    [("stratum", pa.string()), ("site", pa.string()), ("key", pa.uint64()), ("id", pa.string()), ("rank", pa.int32())]
)


class WriteKeys(PipelineStep):
    """Leaves keys/<rank>.parquet. Yields nothing."""

    name = "keys"

    def __init__(self, params: DrawStage, sites: Path | None, seed: int, book: Book):
        super().__init__()
        self.params = params
        self.sites = sites
        self.seed = seed
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        wanted = None if self.sites is None else read_sites(self.sites)
        rows: dict[str, list[str | int]] = {name: [] for name in SCHEMA.names}
        for doc in data or ():
            if wanted is not None and site_of(doc.metadata.get("url")) not in wanted:
                self.book.count("other_sites")
                continue
            stratum = "/".join(origin(doc.metadata, kind) for kind in self.params.strata)
            self.book.count("strata", stratum)
            key = xxhash.xxh3_64_intdigest(f"{self.seed}/{doc.id}".encode("utf-8", "surrogatepass"))
            for name, value in zip(SCHEMA.names, (stratum, origin(doc.metadata, "site"), key, doc.id, rank), strict=True):
                rows[name].append(value)
        path = self.book.folder / KEYS / f"{rank:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        pq.write_table(draw(pa.table(rows, schema=SCHEMA), self.params), temporary, compression="zstd")
        temporary.replace(path)


def draw(keys: pa.Table, params: DrawStage) -> pa.Table:
    """The smallest keys of each stratum, of each site of it no more than allowed. What is not drawn from a part of the documents
    is not drawn from all of them either: for each of its betters that a site's limit then excludes, the site has a better one."""
    if params.max_per_site is not None:
        keys = _smallest(keys, ["stratum", "site"], params.max_per_site)
    return _smallest(keys, ["stratum"], params.per_stratum)


def _smallest(keys: pa.Table, group: list[str], number: int) -> pa.Table:
    """The `number` rows of smallest key in each group."""
    keys = keys.sort_by([(name, "ascending") for name in (*group, "key", "id", "rank")])
    begins = np.zeros(len(keys), bool)
    begins[:1] = True
    for name in group:
        codes = _codes(keys[name])
        begins[1:] |= codes[1:] != codes[:-1]
    rows = np.arange(len(keys))
    first = np.maximum.accumulate(np.where(begins, rows, 0))
    return keys.filter(pa.array(rows - first < number))


def _codes(names: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    encoded = names.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def choose(keys: list[Path], params: DrawStage, out: Path) -> dict[str, int]:
    """Writes out/chosen.parquet from the keys of all ranks; returns counts."""
    chosen = SCHEMA.empty_table()
    for path in keys:
        chosen = draw(pa.concat_tables([chosen, pq.read_table(path)]), params)
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / f".{CHOSEN}.tmp"
    pq.write_table(chosen, temporary, compression="zstd")
    temporary.replace(out / CHOSEN)
    return {"drawn": len(chosen), "strata": len(chosen["stratum"].unique()), "sites": len(chosen["site"].unique())}


class KeepDrawn(PipelineStep):
    """Passes on the documents that were chosen, with their stratum; the others are only counted, not dropped: the stages behind
    go on with all."""

    name = "drawn"

    def __init__(self, chosen: Path, book: Book):
        super().__init__()
        self.chosen = chosen
        self.book = book
        self.memory: list[str] = []  # ids that were passed on

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        table = pq.read_table(self.chosen, columns=["id", "stratum"], filters=[("rank", "=", rank)])
        strata = dict(zip(table["id"].to_pylist(), table["stratum"].to_pylist(), strict=True))
        for id_ in self.memory:
            del strata[id_]
        for doc in data or ():
            stratum = strata.pop(doc.id, None)  # an id that repeats is drawn once
            if stratum is None:
                self.book.count("not_drawn")
                continue
            self.memory.append(doc.id)
            doc.metadata["stratum"] = stratum
            self.book.count("strata", stratum)
            yield doc


def read_sites(path: Path) -> frozenset[str]:
    """One site a line, up to the first tab; lines that begin with # are comments."""
    lines = (line.split("\t")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    sites = frozenset(line.removeprefix("www.").lower() for line in lines if line and not line.startswith("#"))
    if not sites:
        raise ValueError(f"{path} names no site; write one a line, or leave out `sites` to draw from all")
    return sites
