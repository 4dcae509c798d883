"""What one rank of a stage keeps on record: counts, a few examples, and every dropped document with its reason.

A `Book` travels inside the datatrove pipeline (executors copy pipelines, so nothing outside it may be relied on) and is
closed by the pipeline's last step, which writes the rank's record beside the others.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
from datatrove.data import Document

from curation.shards import RowWriter, ShardWriter, as_json
from recipes import exits
from recipes.manifest import NUM_EXAMPLES, NUM_NAMES

EXAMPLE_CHARS = 600
EVIDENCE = ("contamination", "duplicate_of", "jaccard", "math_score", "language", "language_score")  # shown with a dropped text


class StageFailed(Exception):
    """The input was bad beyond what the page allows, or the machine did not do; nothing is published. `status`: what a program
    ends with that hears of it (`recipes/exits.py`)."""

    def __init__(self, text: str, status: int = exits.FAILED) -> None:
        super().__init__(text)
        self.status = status


class Book:
    """Counts, examples, unreadable files and dropped documents of one rank. Files are written into `folder`; in the end they lie
    in `final`."""

    def __init__(self, folder: Path, final: Path | None = None):
        self.folder = folder
        self.final = folder if final is None else final
        self.rank = 0
        self.started = 0.0
        self.bytes_read = 0  # of bytes_total: how far the reader is
        self.bytes_total = 0
        self.seen: set[int] = set()  # hashes of the ids that this rank has read
        self.new_ids: list[int] = []  # those of the part at hand
        self.outputs: list[Path] | None = None  # of the rank, at its end; None: all files of the folder
        self.counts: dict[str, Any] = {}
        self.examples: dict[str, list[Any]] = {}
        self.names: dict[str, list[str]] = {}
        self._writers: dict[str, ShardWriter] = {}  # of dropped documents, by reason
        self._row_writers: dict[str, RowWriter] = {}

    def count(self, *keys: str, n: int = 1) -> None:
        """Adds n to the counter at a path of keys: count("dropped", "language", "documents")."""
        tree = self.counts
        for key in keys[:-1]:
            tree = tree.setdefault(key, {})
        tree[keys[-1]] = tree.get(keys[-1], 0) + n

    def example(self, key: str, doc: Document, **more: Any) -> None:
        examples = self.examples.setdefault(key, [])
        if len(examples) < NUM_EXAMPLES:
            url = doc.metadata.get("url")
            examples.append({"id": doc.id, "url": url, "text": doc.text[:EXAMPLE_CHARS], **more})

    def name(self, key: str, name: str) -> None:
        """Remembers the name of a file that was counted under `key`."""
        names = self.names.setdefault(key, [])
        if name not in names and len(names) < NUM_NAMES:
            names.append(name)

    def is_new(self, id_: str) -> bool:
        """Whether this rank has not met the id before. From now on it has."""
        key = xxhash.xxh3_64_intdigest(id_.encode("utf-8", "surrogatepass"))
        if key in self.seen:
            return False
        self.seen.add(key)
        self.new_ids.append(key)
        return True

    def unreadable(self, kind: str, file: str, what: str = "records", n: int = 1) -> None:
        """Counts records (or files) that could not be read, by type, and names their file."""
        self.count("unreadable", what, kind, n=n)
        self.name(f"{what}/{kind}", file)

    def drop(self, doc: Document, reason: str, detail: str = "") -> None:
        """Puts a document on record under dropped/<reason>/. `detail` says which rule of the filter, or why exactly."""
        doc.metadata["dropped_because"] = detail or reason
        self._writer(reason).write(doc)
        self.count("dropped", reason, "documents")
        self.count("dropped", reason, "characters", n=len(doc.text))
        if detail:
            self.count("details", reason, detail)
        self._example_of_dropped(doc, reason, detail or reason)

    def row_writer(self, inside: str, texts: Path) -> RowWriter:
        """For this rank's shard in a folder of the stage; its texts are those of another shard."""
        return RowWriter(self.folder / inside / f"{self.rank:05d}.parquet", texts, self.final / inside)

    def drop_rows(
        self,
        rows: pa.Table,
        metadata: list[dict[str, Any]],
        reason: str,
        *,
        texts: Path,
        num_chars: int,
        docs: Iterable[Document],
    ) -> None:
        """As `drop`, for rows of a shard, whose texts stay where they are. `docs`: the same as documents, read as far as there is
        need of examples."""
        packed = pa.array((as_json(known | {"dropped_because": reason}) for known in metadata), pa.large_binary())
        rows = rows.set_column(rows.schema.get_field_index("metadata"), "metadata", packed.view(pa.large_string()))
        if reason not in self._row_writers:
            self._row_writers[reason] = self.row_writer(f"dropped/{reason}", texts)
        self._row_writers[reason].write(rows, num_chars)
        self.count("dropped", reason, "documents", n=len(rows))
        self.count("dropped", reason, "characters", n=num_chars)
        for doc, known in islice(zip(docs, metadata), self._num_missing(f"dropped/{reason}")):
            self._example_of_dropped(Document(doc.text, doc.id, metadata=known), reason, reason)

    def show(self, key: str, docs: Iterable[Document]) -> None:
        """Takes as many of these as examples as there is need of."""
        for doc in islice(docs, self._num_missing(key)):
            self.example(key, doc)

    def close(self) -> None:
        for writers in (self._writers, self._row_writers):
            for reason in sorted(writers):
                writers[reason].close()
        self._writers, self._row_writers = {}, {}

    def _num_missing(self, key: str) -> int:
        return NUM_EXAMPLES - len(self.examples.get(key, ()))

    def _writer(self, reason: str) -> ShardWriter:
        if reason not in self._writers:
            self._writers[reason] = ShardWriter(self.folder / "dropped" / reason / f"{self.rank:05d}.parquet")
        return self._writers[reason]

    def _example_of_dropped(self, doc: Document, reason: str, why: str) -> None:
        evidence = {key: doc.metadata[key] for key in EVIDENCE if key in doc.metadata}
        self.example(f"dropped/{reason}", doc, why=why, **evidence)
