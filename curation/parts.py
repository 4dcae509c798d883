"""A rank works in parts, so that a killed one goes on near where it was and leaves the same bytes as an undisturbed one.

    logs/parts/RANK/working/   what the part at hand has written: thrown away when the rank begins again
    logs/parts/RANK/00007/     a part that is done: its files and part.json, `working` renamed; there whole or not at all

The steps behind the readers run anew for every part, so whatever they batch is written at its end; the readers go on where they
were. Where parts end depends on the documents alone. At the end the parts' files of one name are joined by copying bytes:
about 1 microsecond a document. A rank of one part only renames its files.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.parquet_join import copy_bytes, join_parquet
from curation.ranks import parts_folder
from recipes.manifest import sync
from recipes.stage import LOGS

PART_DOCUMENTS = 50_000  # or as many characters: what is lost at most is seconds of work for texts, a minute for pages
PART_CHARS = 200_000_000
PART_RECORD = "part.json"


@runtime_checkable
class Remembers(Protocol):
    """A step that must know at the next part what it knew at the end of this one. `memory` is kept as JSON, and given back
    before `run` when the rank begins again."""

    memory: Any


def forget_parts(folder: Path, rank: int | None = None) -> None:
    """Of a rank that has its record, or of all."""
    shutil.rmtree(folder / LOGS / "parts" if rank is None else parts_folder(folder, rank), ignore_errors=True)


def working_folder(folder: Path, rank: int) -> Path:
    """Where the steps of a rank leave the files of the part at hand."""
    return parts_folder(folder, rank) / "working"


class InParts(PipelineStep):
    """Runs `steps` for one part of the readers' documents after the other, then puts the joined files into the stage's folder
    and their paths into the book."""

    name = "parts"

    def __init__(self, folder: Path, readers: Sequence[PipelineStep], steps: Sequence[PipelineStep], book: Book):
        super().__init__()
        self.folder = folder
        self.readers = readers
        self.steps = steps
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:  # type: ignore[override]
        parts = self._resume(rank)
        documents = iter(data or ())
        for part in _parts(documents, num_done=len(parts)):
            out: Any = part
            for step in self.steps:
                out = step.run(out, rank, world_size)
            for _ in out or ():
                pass
            self.book.close()
            parts.append(self._commit(rank, len(parts)))
        self.book.outputs = _join(parts, self.folder)

    def _remembering(self) -> list[Remembers]:
        return [step for step in (*self.readers, *self.steps) if isinstance(step, Remembers)]

    def _resume(self, rank: int) -> list[Path]:
        """The parts that are done. The book and the steps know again what they knew at the end of the last one."""
        shutil.rmtree(working_folder(self.folder, rank), ignore_errors=True)
        parts = sorted(parts_folder(self.folder, rank).glob("[0-9]*"))
        record: dict[str, Any] = {}
        for part in parts:
            record = orjson.loads((part / PART_RECORD).read_bytes())
            self.book.seen.update(record["ids"])
        if parts:
            self.book.counts, self.book.examples, self.book.names = record["counts"], record["examples"], record["names"]
            for step, memory in zip(self._remembering(), record["memories"], strict=True):
                step.memory = memory
        return parts

    def _commit(self, rank: int, number: int) -> Path:
        working = working_folder(self.folder, rank)
        working.mkdir(parents=True, exist_ok=True)
        files = sorted(file for file in working.rglob("*") if file.is_file())
        record = {
            "files": [file.relative_to(working).as_posix() for file in files],
            "counts": self.book.counts,
            "examples": self.book.examples,
            "names": self.book.names,
            "ids": self.book.new_ids,
            "memories": [step.memory for step in self._remembering()],
        }
        self.book.new_ids = []
        (working / PART_RECORD).write_bytes(orjson.dumps(record, option=orjson.OPT_NON_STR_KEYS))
        for path in (*files, working / PART_RECORD, *{file.parent for file in files}, working):
            sync(path)
        part = working.with_name(f"{number:05d}")
        working.rename(part)
        sync(part.parent)
        return part


def _parts(documents: Iterator[Any], *, num_done: int) -> Iterator[Iterator[Any]]:
    """Parts to do, each drained before the next: of documents, or of Arrow tables with many of them. Without any there is one
    empty part: its files are empty, not missing."""
    first = next(documents, None)
    while first is not None or num_done == 0:
        has_ended = False

        def part(doc: Any = first) -> Iterator[Any]:
            nonlocal has_ended
            num_docs = num_chars = 0
            while doc is not None:
                docs, chars = (1, len(doc.text)) if isinstance(doc, Document) else (doc.num_rows, doc.nbytes)
                num_docs, num_chars = num_docs + docs, num_chars + chars
                yield doc
                if num_docs >= PART_DOCUMENTS or num_chars >= PART_CHARS:
                    return
                doc = next(documents, None)
            has_ended = True

        yield part()
        num_done += 1
        first = None if has_ended else next(documents, None)


def _join(parts: Sequence[Path], folder: Path) -> list[Path]:
    """Moves the parts' files into the stage's folder, those of one name as one. Doing it again after an interruption gives the
    same: a file that only one part has and that is gone from it was moved."""
    sources: dict[str, list[Path]] = {}
    for part in parts:
        for name in orjson.loads((part / PART_RECORD).read_bytes())["files"]:
            sources.setdefault(name, []).append(part / name)
    for name, files in sorted(sources.items()):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if len(files) > 1:
            temporary = target.with_name(f".{target.name}.tmp")
            with open(temporary, "wb") as out:
                JOINS[target.suffix](files, out)
            temporary.replace(target)
        elif files[0].is_file():
            files[0].replace(target)
    return [folder / name for name in sorted(sources)]


def _join_bytes(files: Sequence[Path], out: IO[bytes]) -> None:
    for file in files:
        with open(file, "rb") as source:
            copy_bytes(source, out, file.stat().st_size)


JOINS: dict[str, Callable[[Sequence[Path], IO[bytes]], None]] = {
    ".parquet": join_parquet,
    ".bin": _join_bytes,
    ".jsonl": _join_bytes,
}
