"""What deduplication knows of each document: written by every rank about its shard, and what an index of kept documents is.

A folder of signatures has, for each shard,
    documents/NNNNN.parquet   key of the text, id, URL key, what decides between duplicates, where its shingles begin; by text
    bands/NNNNN.parquet       a row for each band of each document; by the band's key
    urls/NNNNN.parquet        if the page asks for it: key of the URL, key of the text; by URL
    shingles/NNNNN.bin        of each document the number of its shingles, then their hashes (32 bits)
For a document of 540 words and 20 bands these are 0.1 + 0.6 + 2.2 kB.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from datatrove.pipeline.base import PipelineStep

from curation.banding import METADATA, banding, read_banding
from curation.book import Book
from curation.dedup.key_ranges import SortedFiles, SortedWriter
from curation.dedup.shard_tables import only_chunk
from curation.dedup.shingles import MinHash, Shingles, SignedTexts, Signer
from curation.dedup.survivors import wanted_codes
from recipes.schema import DedupStage
from recipes.shards import shard_hash

BATCH_DOCUMENTS = 1_000
SHARD = b"shard"  # in the metadata of a file of documents: the hash of its shard
SHOWN_CHARS = 40  # of a date that cannot be read
DOCUMENT_SCHEMA = pa.schema(
    [
        ("text", pa.uint64()),
        ("id", pa.string()),
        ("url", pa.uint64()),
        ("math_score", pa.float64()),
        ("length", pa.int64()),
        ("date", pa.int64()),
        ("source", pa.string()),
        ("start", pa.uint64()),
    ]
)
BAND_SCHEMA = pa.schema([(name, pa.uint64()) for name in ("key", "text", "wanted", "start")])
URL_SCHEMA = pa.schema([("url", pa.uint64()), ("text", pa.uint64())])
_DATE = re.compile(r"(\d{4})(?:[-/]?(\d\d)(?:[-/]?(\d\d)(?:[T ]?(\d\d):?(\d\d)(?::?(\d\d))?)?)?)?(?!\d)")
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|sessionid|phpsessid|jsessionid")  # `sid` is some sites' story, `ref` a place


@dataclass(frozen=True)
class Signatures:
    """A folder of signatures, of these documents or of an index."""

    folder: Path

    def files(self, kind: str, suffix: str = "parquet") -> list[Path]:
        return sorted((self.folder / kind).glob(f"[0-9]*.{suffix}"))

    def file(self, kind: str, rank: int, suffix: str = "parquet") -> Path:
        return self.folder / kind / f"{rank:05d}.{suffix}"

    def in_order(self, rank: int, columns: list[str] | None = None) -> pa.Table:
        """What is known of a rank's documents, in the order of its shard."""
        file = self.file("documents", rank)
        return pq.read_table(file, columns=columns and [*columns, "start"], use_threads=False).sort_by("start")

    def check_made_from(self, shard: Path, rank: int) -> None:
        """Refuses a shard that was written anew since."""
        if pq.read_schema(self.file("documents", rank)).metadata.get(SHARD) != shard_hash(shard):
            raise ValueError(f"{shard} has changed since its signatures were written; run the dedup stages again")

    @property
    def num_documents(self) -> int:
        return sum(int(pq.read_metadata(file).num_rows) for file in self.files("documents"))

    def check_like(self, name: str, own: "Signatures") -> None:
        """Refuses an index that cannot be compared with these signatures."""
        found, wanted = read_banding(self.folder), read_banding(own.folder)
        if not found:
            raise ValueError(
                f"against {name!r}: {self.folder} holds no index; make one with `index: true` in the dedup stage of its page, "
                "and name it made:curate/PAGE/dedup_index"
            )
        if found != wanted:
            raise ValueError(f"against {name!r}: its index was made with {found}, this stage has {wanted}; they must be equal")


def open_all(folders: Iterable[Signatures], kind: str) -> SortedFiles:
    return SortedFiles([file for folder in folders for file in folder.files(kind)])


class SignatureWriter:
    """The files of one rank, or of a part of it whose shingles begin at `place`; whole or not there at all."""

    def __init__(self, folder: Path, rank: int, metadata: dict[str, int], *, urls: bool, place: int = 0, shard: bytes = b""):
        files = Signatures(folder)
        self.documents = SortedWriter(files.file("documents", rank), DOCUMENT_SCHEMA.with_metadata({SHARD: shard}))
        self.bands = SortedWriter(files.file("bands", rank), BAND_SCHEMA.with_metadata({METADATA: json.dumps(metadata)}))
        self.urls = SortedWriter(files.file("urls", rank), URL_SCHEMA) if urls else None
        self._path = files.file("shingles", rank, "bin")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(f".{self._path.name}.tmp")
        self._shingles = open(self._temporary, "wb")
        self.place = place  # in numbers of 32 bits

    def add_shingles(self, packed: Shingles) -> int:
        """Where the packed shingles of some texts begin in the file."""
        begin = self.place
        self._shingles.write(packed.data)
        self.place += len(packed)
        return begin

    def close(self) -> None:
        for writer in (self.documents, self.bands, self.urls):
            if writer is not None:
                writer.close()
        self._shingles.close()
        self._temporary.replace(self._path)


class WriteSignatures(PipelineStep):
    """Signs tables of documents, from Arrow to Arrow; leaves its files in the book's folder."""

    name = "signatures"

    def __init__(self, shards: Path, params: DedupStage, book: Book, *, seed: int, sources: Sequence[str] = ()):
        super().__init__()
        self.shards = shards
        self.params = params
        self.book = book
        self.seed = seed
        self.sources = sources
        self.memory = 0  # where the next part's shingles begin in the rank's file

    def run(self, data: Iterable[pa.Table], rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        params = self.params
        signer = Signer(params.ngram, MinHash(params.num_bands, params.rows_per_band, self.seed))
        shared = banding({**params.model_dump(), "seed": self.seed})
        shard = shard_hash(self.shards / f"{rank:05d}.parquet")
        writer = SignatureWriter(self.book.folder, rank, shared, urls=params.url, place=self.memory, shard=shard)
        for table in data:
            for first in range(0, len(table), BATCH_DOCUMENTS):
                some = table.slice(first, BATCH_DOCUMENTS)
                self._write(writer, some, signer(only_chunk(some["text"])))
        writer.close()
        self.memory = writer.place

    def _write(self, writer: SignatureWriter, table: pa.Table, signed: SignedTexts) -> None:
        begins = (writer.add_shingles(signed.packed) + signed.starts[:-1]).astype(np.uint64)
        metadata = [orjson.loads(text) for text in table["metadata"].to_pylist()]
        columns = [
            signed.keys,
            table["id"],
            [url_key(known.get("url")) if self.params.url else None for known in metadata],
            [known.get("math_score") for known in metadata],
            signed.lengths,
            self._dates(metadata),
            [known.get("source") for known in metadata],
            begins,
        ]
        documents = pa.table([_column(column, field.type) for column, field in zip(columns, DOCUMENT_SCHEMA)], DOCUMENT_SCHEMA)
        self.book.count("characters_in", n=pc.sum(documents["length"]).as_py())
        writer.documents.write(documents)
        wanted = wanted_codes(documents, self.params.keep, self.sources)
        writer.bands.write_under(signed.band_keys, pa.table([signed.keys, wanted, begins], BAND_SCHEMA.names[1:]))
        if writer.urls is not None:
            writer.urls.write(documents.filter(documents["url"].is_valid()).select(["url", "text"]))

    def _dates(self, metadata: list[dict[str, Any]]) -> list[int | None]:
        if "date" not in self.params.keep:
            return [None] * len(metadata)
        dates = [date_number(known.get("date")) for known in metadata]
        for known, date in zip(metadata, dates, strict=True):
            if date is None and known.get("date") is not None:
                self.book.unreadable("no_iso_date", str(known["date"])[:SHOWN_CHARS], "dates")
        return dates


def _column(values: Any, kind: pa.DataType) -> Any:
    return values.cast(kind) if isinstance(values, pa.ChunkedArray) else pa.array(values, kind)


def url_key(url: str | None) -> int | None:
    """The same for addresses of one page: scheme, www., default ports, fragments, tracking parameters, the order of others and
    a last slash do not count."""
    if not url:
        return None
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:  # a broken address is only the same as itself
        return xxhash.xxh3_64_intdigest(url.encode("utf-8", "surrogatepass"))
    query = sorted(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(pair[0].lower()))
    same = f"{host}{port}{parts.path.rstrip('/')}?{urlencode(query, errors='surrogatepass')}"
    return xxhash.xxh3_64_intdigest(same.encode("utf-8", "surrogatepass"))


def date_number(date: Any) -> int | None:
    """YYYYMMDDhhmmss of an ISO date (at least a year; with or without separators, time of day, zone); None for anything else."""
    found = _DATE.match(str(date)) if date is not None else None
    if found is None or int(found[2] or 0) > 12 or int(found[3] or 0) > 31:
        return None
    return int("".join(part or "00" for part in found.groups()))
