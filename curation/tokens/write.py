"""Documents to token ids in Megatron's format: every rank writes its own, then one process joins them.

A document is its tokens and the end-of-text token, unless the page says otherwise. Special tokens written out in a text stay
text, but for those of paths (marks.py). The joined files are train.bin/.idx, validation.bin/.idx (which documents: a hash of the
id, or of their question's, so that a question that is held out is in no other document), and docs.parquet: where each document
lies. Speed: `python -m curation.benchmark tokenize`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.batches import batches
from curation.tokens.megatron_index import IndexedFile
from curation.tokens.tokenizer import DocumentTokenizer, open_tokenizer
from recipes.manifest import NUM_NAMES
from recipes.schema import TokenizeStage

SPLITS = ("train", "validation")
SHARD_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("num_tokens", pa.int32()),
    ]
)
DOCS_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("document", pa.int64()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("first_token", pa.int64()),
        ("num_tokens", pa.int32()),
    ]
)


def split_of(id_: str, validation_share: float) -> str:
    """The same id is held out whatever else is in the collection, and in every collection of the same share."""
    drawn = xxhash.xxh3_64_intdigest(f"validation/{id_}".encode("utf-8", "surrogatepass")) / 2**64
    return "validation" if drawn < validation_share else "train"


class WriteTokens(PipelineStep):
    """Leaves shards/<rank>.<split>.bin and shards/<rank>.docs.parquet, whose file metadata name the tokenizer. Yields nothing."""

    name = "tokens"

    def __init__(
        self,
        tokenizer_folder: Path,
        folder: Path,
        params: TokenizeStage,
        count: Callable[..., None],
        marks: tuple[str, ...] = (),
    ):
        super().__init__()
        self.marks = marks
        self.tokenizer_folder = tokenizer_folder
        self.folder = folder
        self.params = params
        self.count = count

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # ranks are the parallelism
        tokenizer = open_tokenizer(self.tokenizer_folder, self.params, self.marks)
        shards = self.folder / "shards"
        shards.mkdir(parents=True, exist_ok=True)
        bins = {split: shards / f"{rank:05d}.{split}.bin" for split in SPLITS}
        docs = shards / f"{rank:05d}.docs.parquet"
        schema = SHARD_SCHEMA.with_metadata(tokenizer.describe())
        files = {split: open(_temporary(path), "wb") for split, path in bins.items()}
        with (
            files["train"],
            files["validation"],
            pq.ParquetWriter(_temporary(docs), schema, compression="zstd") as table,
        ):
            for batch in batches(self._not_empty(data)):
                tokens, lengths, num_left = tokenizer.encode([doc.text for doc in batch])
                splits = [split_of(_kept_together(doc), self.params.validation_share) for doc in batch]
                for split in SPLITS:
                    is_split = np.array([of == split for of in splits])
                    if is_split.any():
                        of_split = tokens[np.repeat(is_split, lengths)]
                        files[split].write(of_split.data)  # numpy's own tofile does not say that a disk is full
                        self.count("documents", split, n=int(is_split.sum()))
                        self.count("tokens", split, n=len(of_split))
                if num_left:
                    self.count("documents_left_to_tokenizers", n=num_left)
                table.write_table(_rows(batch, splits, lengths, schema))
        for path in (*bins.values(), docs):
            _temporary(path).replace(path)

    def _not_empty(self, data: DocumentsPipeline) -> Iterator[Document]:
        for doc in data or ():
            if doc.text:
                yield doc
            else:
                self.count("empty_documents")


def _kept_together(doc: Document) -> str:
    """The id of the question, which several documents may share that were made of it, else the document's own."""
    return str(doc.metadata.get("question_id") or doc.id)


def _rows(batch: list[Document], splits: list[str], lengths: npt.NDArray[np.int64], schema: pa.Schema) -> pa.Table:
    columns = [
        splits,
        [doc.id for doc in batch],
        *([doc.metadata.get(key) for doc in batch] for key in ("url", "source")),
        lengths,
    ]
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)


def merge_tokens(shards: Path, out: Path, num_ranks: int) -> dict[str, Any]:
    """Joins all ranks' files in the order of ranks. Streams; memory: about 40 bytes a document. Returns `counts` (documents
    and tokens by split, longest document, repeated ids) and what the dataset was tokenized with."""
    tables = [shards / f"{rank:05d}.docs.parquet" for rank in range(num_ranks)]
    made_with = _common_tokenizer(tables)
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, Any] = {"documents": {}, "tokens": {}, "longest_document": 0}
    ids = []
    docs = out / "docs.parquet"
    with pq.ParquetWriter(_temporary(docs), DOCS_SCHEMA, compression="zstd") as writer:
        for split in SPLITS:
            with IndexedFile(out / split, np.dtype(made_with["dtype"])) as merged:
                for rank, path in enumerate(tables):
                    table = pq.read_table(path).filter(pc.field("split") == split)
                    writer.write_table(_located(table, merged))
                    lengths = table["num_tokens"].to_numpy()
                    merged.append(shards / f"{rank:05d}.{split}.bin", lengths)
                    ids.append(np.array([xxhash.xxh3_64_intdigest(id_) for id_ in table["id"].to_pylist()], np.uint64))
                    counts["longest_document"] = max(counts["longest_document"], int(lengths.max(initial=0)))
                counts["documents"][split], counts["tokens"][split] = merged.num_documents, merged.num_tokens
    if not sum(counts["documents"].values()):
        _temporary(docs).unlink()
        raise ValueError(f"{shards} has no documents at all; see what the stages before dropped in their manifests")
    _temporary(docs).replace(docs)
    hashes, repeats = np.unique(np.concatenate(ids), return_counts=True)
    counts["duplicate_ids"] = int(np.count_nonzero(repeats > 1))
    return {"counts": counts, "duplicate_ids": _named(docs, set(hashes[repeats > 1][:NUM_NAMES].tolist())), **made_with}


def _named(docs: Path, hashes: set[int]) -> list[str]:
    """The ids of these hashes. Ranks make ids unique among what they read themselves; what two ranks read is seen only here."""
    if not hashes:
        return []
    ids = pq.read_table(docs, columns=["id"])["id"].to_pylist()
    return sorted({id_ for id_ in ids if xxhash.xxh3_64_intdigest(id_) in hashes})


def _located(table: pa.Table, merged: IndexedFile) -> pa.Table:
    """A rank's documents with their places behind what is merged already."""
    ends = merged.num_tokens + np.cumsum(table["num_tokens"].to_numpy(), dtype=np.int64)
    numbers = merged.num_documents + np.arange(len(table), dtype=np.int64)
    table = table.append_column("document", pa.array(numbers))
    table = table.append_column("first_token", pa.array(ends - table["num_tokens"].to_numpy()))
    return table.select(DOCS_SCHEMA.names).cast(DOCS_SCHEMA)


def _common_tokenizer(tables: list[Path]) -> dict[str, Any]:
    """What all shards were tokenized with."""
    missing = [path.name for path in tables if not path.is_file()]
    if missing:
        raise ValueError(f"{tables[0].parent} lacks {', '.join(missing[:5])}; run these ranks before joining them")
    metadata = [DocumentTokenizer.read_description(pq.read_schema(path).metadata) for path in tables]
    for path, other in zip(tables, metadata, strict=True):
        if other != metadata[0]:
            raise ValueError(f"{path} was made with another tokenizer ({other}) than {tables[0]} ({metadata[0]}); make it again")
    return metadata[0]


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
