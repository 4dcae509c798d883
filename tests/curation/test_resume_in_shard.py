"""A rank that is killed at any moment goes on behind its last whole part, and leaves the same bytes as one left in peace."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

import curation.parts
from curation.book import Book
from curation.parquet_join import join_parquet
from curation.parts import InParts, working_folder
from curation.ranks import num_ranks
from curation.shards import ShardWriter, num_documents, read_shard
from curation.steps import ReadDocuments, WriteDocuments
from recipes.manifest import rank_file
from recipes.stage import Stage, write_stage
from slurm.plan import plan

SMALL = (
    "demo_data:stages.sample.num_pages=200",
    "demo_data:stages.sample.num_problems=80",
    "stages.dedup.index=true",
    "demo_web:stages.classifier.dim=4",
    "demo_web:stages.classifier.epochs=2",
    "demo_web:stages.math.filters.math_classifier.min_score=0.0",
)
PAGES = ("curate/demo_web", "curate/demo_short_cot")
BY_TABLES = {"dedup_signatures", "dedup_candidates", "dedup_pairs", "dedup_clusters", "dedup", "dedup_index"}
KINDS = {"extract", "filter", "decontaminate", "tokenize_shards", "format"} | BY_TABLES
PART_DOCUMENTS = 30

# One process makes all stages undisturbed, then forks another for each attempt at one of them. An attempt kills itself at its
# n-th file operation inside the stage's folder; n grows, so that the last attempt comes to its end. Tells how many attempts each
# stage took, how many parts of its first rank were done at most when one was killed, and which folders were listed.
DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
import curation.parts, curation.shards
from curation.dedup import cluster_parts, components, index, key_ranges
from curation.pipeline import finish, run_rank
from curation.ranks import num_ranks
from recipes.manifest import rank_file
from recipes.stage import read_stage

def attempt(folder, rank, moment, listed):
    num_events = 0
    def watch(event, arguments):
        nonlocal num_events
        path = str(arguments[0]) if arguments else ""
        if path.startswith(str(folder)):
            if event in ("os.scandir", "os.listdir"):
                os.write(listed, (path + os.linesep).encode())
            num_events += 1
            if num_events == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    run_rank(folder, rank)
    os._exit(0)

def run_killed(folder):
    read, write = os.pipe()
    attempts = most_parts = 0
    for rank in range(num_ranks(read_stage(folder))):
        moment = 2 if rank == 0 else -1
        while not rank_file(folder, rank).is_file():
            child = os.fork()
            if not child:
                attempt(folder, rank, moment, write)
            status = os.waitpid(child, 0)[1]
            assert status in (0, signal.SIGKILL), (folder, status)
            attempts += 1
            done = [part for part in curation.parts.parts_folder(folder, rank).glob("[0-9]*")]
            most_parts = max(most_parts, len(done) if status else 0)
            moment += 5 + 2 * attempts
    os.close(write)
    finish(folder)
    with os.fdopen(read) as lines:
        return {"attempts": attempts, "most_parts": most_parts, "listed": sorted({line.strip() for line in lines})}

given = json.loads(sys.argv[1])
curation.parts.PART_DOCUMENTS = curation.shards.ROWS_PER_GROUP = given["part_documents"]
key_ranges.BYTES_PER_RANGE = components.BYTES_PER_PART = 4_000
index.DOCUMENTS_AT_ONCE = cluster_parts.ROWS_PER_PART = given["part_documents"]
index.GROUPS_AT_ONCE = cluster_parts.RANGES_AT_ONCE = 1
for folder in map(Path, given["undisturbed"]):
    for rank in range(num_ranks(read_stage(folder))):
        run_rank(folder, rank)
    finish(folder)
print(json.dumps({folder: run_killed(Path(folder)) for folder in given["killed"]}))
"""


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    """The demo's stages as planned; no two of a kind."""
    root = tmp_path_factory.mktemp("results")
    planned = [stage for page in PAGES for stage in plan(page, (*SMALL, f"root={root}")).stages if stage.room == "curation"]
    first = {stage.do: stage for stage in reversed(planned)}
    return [stage for stage in planned if stage is first[stage.do] or stage.page == PAGES[0]]


@pytest.fixture(scope="module")
def killed(stages: list[Stage]) -> dict[str, dict[str, Any]]:
    """All stages were made, their ranks in parts of a few documents; those of many ranks once more in folders beside theirs, and
    killed many times. By kind: attempts, listed folders."""
    for stage in stages:
        write_stage(stage)
    by_rank = {stage.do: stage for stage in stages if "shards" in stage.params or stage.do in BY_TABLES}
    for stage in by_rank.values():
        beside(stage).mkdir()
        shutil.copy(stage.folder / "recipe.yaml", beside(stage))
    given = {
        "part_documents": PART_DOCUMENTS,
        "undisturbed": [str(stage.folder) for stage in stages],
        "killed": [str(beside(stage)) for stage in by_rank.values()],
    }
    answer = subprocess.run([sys.executable, "-c", DRIVER, json.dumps(given)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr[-5000:]
    told = json.loads(answer.stdout.splitlines()[-1])
    return {kind: told[str(beside(stage))] for kind, stage in by_rank.items()}


def beside(stage: Stage) -> Path:
    return stage.folder.with_name(f"{stage.folder.name}-again")


def results(folder: Path, num_records: int) -> dict[str, Any]:
    """Records of all ranks without their time, and every file outside the logs."""
    records = [json.loads(rank_file(folder, rank).read_bytes()) | {"started": 0} for rank in range(num_records)]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    outputs = {name: content for name, content in files.items() if not name.startswith(("logs/", "recipe", "manifest"))}
    assert {entry["path"] for record in records for entry in record["files"]} == set(outputs)
    return {"records": records, **outputs}


def test_a_rank_killed_at_many_moments_leaves_the_same_bytes(stages: list[Stage], killed: dict[str, dict[str, Any]]) -> None:
    for stage in stages:
        if beside(stage).is_dir():
            mine, theirs = (results(folder, num_ranks(stage)) for folder in (beside(stage), stage.folder))
            assert mine.keys() == theirs.keys(), stage.name
            assert [name for name in mine if mine[name] != theirs[name]] == [], stage.name
            assert not (beside(stage) / "logs" / "parts").exists()
    assert killed.keys() >= KINDS
    attempts = {kind: killed[kind]["attempts"] for kind in KINDS}
    assert min(attempts.values()) >= 6, attempts
    parts = {kind: killed[kind]["most_parts"] for kind in BY_TABLES}
    assert min(parts.values()) >= 1, parts


def test_a_rank_lists_no_folder_that_all_ranks_write_to(killed: dict[str, dict[str, Any]]) -> None:
    for kind in KINDS:
        assert [path for path in killed[kind]["listed"] if "-again/logs/parts" not in path] == [], kind


class Numbered(PipelineStep):
    """Writes the place of each document behind its text, and a file of its own; `memory` is the place."""

    def __init__(self, book: Book):
        super().__init__()
        self.book = book
        self.memory = 0

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        lines = self.book.folder / "lines" / f"{rank:05d}.jsonl"
        lines.parent.mkdir(parents=True)
        with open(lines, "w") as file:
            for doc in data or ():
                self.memory += 1
                doc.text += f" {self.memory}"
                file.write(f"{self.memory}\n")
                yield doc


def run_parts(shard: Path, out: Path) -> Book:
    """One rank over a shard that an earlier stage left, by the steps that all stages share."""
    book = Book(working_folder(out, 0))
    reader = ReadDocuments(shard, book)
    InParts(out, [reader], [Numbered(book), WriteDocuments(book)], book).run(reader.run(None), 0, 1)
    return book


def write_shard(folder: Path, num_docs: int) -> Path:
    writer = ShardWriter(folder / "documents" / "00000.parquet")
    for number in range(num_docs):
        writer.write(Document(text=f"text {number} " * (number % 7), id=str(number)))
    writer.close()
    return folder


@pytest.mark.parametrize("num_docs", [0, 1, 9, 10, 11, 30])
def test_parts_hold_what_one_part_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_docs: int) -> None:
    shard = write_shard(tmp_path / "in", num_docs)
    one = run_parts(shard, tmp_path / "one")
    monkeypatch.setattr(curation.parts, "PART_DOCUMENTS", 10)
    many = run_parts(shard, tmp_path / "many")
    assert one.counts == many.counts
    texts = [[doc.text for doc in read_shard(tmp_path / name / "documents" / "00000.parquet")] for name in ("one", "many")]
    assert texts[0] == texts[1]
    assert [text.split()[-1] for text in texts[1]] == [str(place) for place in range(1, num_docs + 1)]
    assert (tmp_path / "many" / "lines" / "00000.jsonl").read_text().splitlines() == [text.split()[-1] for text in texts[1]]
    assert [path.relative_to(tmp_path / "many").as_posix() for path in many.outputs or ()] == [
        "documents/00000.parquet",
        "lines/00000.jsonl",
    ]


def test_only_the_part_at_hand_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation.parts, "PART_DOCUMENTS", 10)
    shard, out = write_shard(tmp_path / "in", 45), tmp_path / "out"

    def texts_until(last: int) -> list[str]:
        """What the steps were given; they fail when they meet the document of this number."""
        given: list[str] = []

        class Failing(Numbered):
            def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
                for doc in super().run(data, rank, world_size):
                    if doc.id == str(last):
                        raise InterruptedError
                    given.append(doc.id)
                    yield doc

        book = Book(working_folder(out, 0))
        reader = ReadDocuments(shard, book)
        InParts(out, [reader], [Failing(book), WriteDocuments(book)], book).run(reader.run(None), 0, 1)
        return given

    for last in (27, 23, 38):
        with pytest.raises(InterruptedError):
            texts_until(last)
    assert texts_until(-1) == [str(number) for number in range(30, 45)]
    undisturbed = run_parts(shard, tmp_path / "undisturbed")
    for path in undisturbed.outputs or ():
        assert path.read_bytes() == (out / path.relative_to(tmp_path / "undisturbed")).read_bytes()


def test_parts_end_after_so_many_characters_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation.parts, "PART_CHARS", 100)
    run_parts(write_shard(tmp_path / "in", 40), tmp_path / "out")
    sizes = [len(list(part.iterdir())) for part in (tmp_path / "out" / "logs" / "parts" / "00000").iterdir()]
    assert len(sizes) > 5


def test_joined_parquet_files_hold_the_rows_and_the_metadata_of_all(tmp_path: Path) -> None:
    draw = random.Random(7)
    schema = pa.schema(
        [
            ("word", pa.string()),
            ("number", pa.int64()),
            ("flag", pa.bool_()),
            ("nested", pa.list_(pa.struct([("x", pa.float64())]))),
        ],
        metadata={"made": "here"},
    )
    files, tables = [], []
    for number in range(4):
        files.append(tmp_path / f"{number}.parquet")
        with pq.ParquetWriter(files[-1], schema, compression="zstd", write_page_index=True) as writer:
            for _ in range(number * 7):
                words = [draw.choice(("a", "b", None)) for _ in range(50)]
                columns = [words, range(50), [True] * 50, [[{"x": 0.5}]] * 50]
                tables.append(
                    pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
                )
                writer.write_table(tables[-1])
    with open(tmp_path / "all.parquet", "wb") as out:
        join_parquet(files, out)
    joined = pq.ParquetFile(tmp_path / "all.parquet")
    assert joined.read().equals(pa.concat_tables(tables))
    assert (joined.num_row_groups, joined.schema_arrow.metadata) == (42, {b"made": b"here"})
    assert num_documents(tmp_path / "all.parquet") == 42 * 50
    assert pq.read_table(tmp_path / "all.parquet", filters=[("word", "=", "a")]).num_rows == sum(
        table["word"].to_pylist().count("a") for table in tables
    )


def test_only_parts_of_one_schema_are_joined(tmp_path: Path) -> None:
    for name, table in (("a", pa.table({"x": [1]})), ("b", pa.table({"x": ["1"]}))):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has another schema"), open(tmp_path / "out", "wb") as out:
        join_parquet([tmp_path / "a.parquet", tmp_path / "b.parquet"], out)
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"c\.parquet is not a whole parquet file"), open(tmp_path / "out", "wb") as out:
        join_parquet([tmp_path / "c.parquet"], out)
