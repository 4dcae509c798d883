"""All stages of deduplication on a few documents, and texts whose similarity is known."""

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.data import Document

from curation.book import Book
from curation.dedup import (
    CheckPairs,
    DecideClusters,
    DropDuplicates,
    FindCandidates,
    ReadClusters,
    ReadRanges,
    ReadShard,
    ReadSignatures,
    Signatures,
    WriteIndex,
    WriteSignatures,
)
from curation.shards import ShardWriter, read_shard
from recipes.schema import DedupStage

PARAMS = DedupStage(do="dedup")
WORDS = [f"{first}{second}" for first in ("al", "be", "ga", "de", "ep", "ze") for second in ("fa", "ta", "ma", "lon", "ro", "vu")]


def text_of(seed: int, num_words: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=num_words))


def changed(text: str, positions: list[int], word: str = "omega") -> str:
    words = text.split()
    for position in positions:
        words[position] = word
    return " ".join(words)


def doc(id_: str, text: str, **metadata: object) -> Document:
    return Document(text=text, id=id_, metadata=dict(metadata))


def shard(docs: list[Document], num: int, seed: int = 0) -> list[list[Document]]:
    docs = random.Random(seed).sample(docs, len(docs))
    return [docs[rank::num] for rank in range(num)]


class Run:
    """Documents that lie in shards; `against`: runs whose kept documents are an index. `num_buckets`: ranks of the stages by
    keys."""

    def __init__(
        self,
        folder: Path,
        shards: list[list[Document]],
        params: DedupStage = PARAMS,
        *,
        against: "list[Run] | None" = None,
        sources: tuple[str, ...] = (),
        num_buckets: int = 2,
    ):
        self.folder = folder
        self.num_shards = len(shards)
        self.dropped: dict[str, tuple[str, str, float | None]] = {}
        self.kept: list[Document] = []
        for rank, docs in enumerate(shards):
            writer = ShardWriter(folder / "documents" / f"{rank:05d}.parquet")
            for one in docs:
                writer.write(one)
            writer.close()
            book = Book(folder / "signatures")
            tables = ReadShard(writer.path.parent, book, stage=folder).run(None, rank)
            WriteSignatures(writer.path.parent, params, book, seed=7, sources=sources).run(tables, rank)
        self.signatures = Signatures(folder / "signatures")
        folders = [self.signatures, *(old.index() for old in against or ())]
        self.book = Book(folder)
        bands = [file for one in folders for file in one.files("bands")]
        steps: dict[str, Any] = {
            "candidates": FindCandidates(len(self.signatures.files("bands")), self.book),
            "pairs": CheckPairs(folders, params.min_jaccard, self.book),
        }
        for name, step in steps.items():
            files = bands if name == "candidates" else sorted((folder / "candidates").glob("*.parquet"))
            for rank in range(num_buckets):
                step.run(ReadRanges(files, folder).run(None, rank, num_buckets), rank, num_buckets)
        read = ReadClusters(folders, folder, folder / "scratch", self.book, urls=params.url, stage=folder)
        self.book.counts = {}
        DecideClusters(params.keep, sources, self.book).run(read.run(None))
        self.counts = self.book.counts

    def drop(self) -> "Run":
        for rank in range(self.num_shards):
            book = Book(self.folder / "kept")
            book.rank = rank
            shards = self.folder / "documents"
            rows = ReadShard(shards, book, stage=self.folder, texts=False).run(None, rank)
            DropDuplicates(shards, self.signatures, self.folder, book).run(rows, rank)
            book.close()
            self.kept += read_shard(self.folder / "kept" / "documents" / f"{rank:05d}.parquet")
        for path in sorted((self.folder / "kept" / "dropped").rglob("*.parquet")):
            for one in read_shard(path):
                self.dropped[one.id] = (path.parent.name, one.metadata["duplicate_of"], one.metadata.get("jaccard"))
        return self

    def index(self) -> Signatures:
        for rank in range(self.num_shards):
            tables = ReadSignatures(self.signatures, self.folder).run(None, rank)
            WriteIndex(self.signatures, self.folder, Book(self.folder / "index")).run(tables, rank)
        return Signatures(self.folder / "index")

    @property
    def kept_ids(self) -> list[str]:
        return sorted(one.id for one in self.kept)

    @property
    def clusters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pq.read_table(self.folder / "clusters.parquet").to_pylist()
        return found
