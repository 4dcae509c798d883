"""The whole road, from HTML and from text: our stages as `midtrain run` does them, against the same road from datatrove's blocks.

Each stage of ours runs in a fresh process, reading and writing included; the stock block then decides over the very documents
that our stage read, the first 1,200 of them. `kept` and `stock_kept` are shares of those, `agree` the share on which both decide
alike. Without the data folder there is the road from HTML alone, over made pages.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curation.benchmark import stock_road
from curation.benchmark.corpus import write_corpus
from curation.benchmark.decontaminate import benchmark_files
from curation.benchmark.measure import Comparison, Measured, Way, Work, measure
from curation.benchmark.road_data import write_labels, write_pages
from curation.benchmark.size import Size
from curation.benchmark.tokenize import find_tokenizer
from curation.shards import write_with_texts
from curation.steps import DOCUMENTS
from recipes.manifest import read_manifest
from recipes.stage import Stage, read_stage, write_stage

PAGE = "curate/web_files"
SEED = 5
MADE_PAGES = 3_000
STAGES = ("extract", "clean", "math", "dedup", "decontaminate", "tokenize")
LEFT_OUT = "the road from text, and real pages, benchmarks, labels and tokenizer: name their folder with --data"


@dataclass(frozen=True)
class Road:
    """What a page reads: raw files by their format, benchmarks, labelled examples, a tokenizer."""

    name: str
    overrides: tuple[str, ...]
    raw: dict[str, str]
    root: Path


def comparisons(size: Size) -> Iterator[Comparison]:
    yield from _walk(_from_html(size), size)
    if size.data is not None:
        yield from _walk(from_text(size, size.or_else(20_000)), size)


def _from_html(size: Size) -> Road:
    count = size.documents if size.data else size.or_else(MADE_PAGES)
    pages = write_pages(size.scratch / "pages.jsonl.gz", size.data, count)
    sources = f"sources={{pages: {{format: jsonl, path: {pages}, columns: {{text: html}}}}}}"
    return Road("html", (sources, *_common(size), "shards=1"), {str(pages): "jsonl"}, size.scratch / "road_html")


def from_text(size: Size, documents: int, shards: int = 1) -> Road:
    folder = write_corpus(size.scratch / f"road_corpus_{documents}", documents, seed=SEED, data=size.data)
    sources = f"sources={{corpus: {{format: parquet, path: {folder / DOCUMENTS}}}}}"
    return Road(
        "text",
        (sources, "stages.extract.do=read", *_common(size), f"shards={shards}"),
        {str(path): "parquet" for path in sorted((folder / DOCUMENTS).iterdir())},
        size.scratch / f"road_text_{documents}",
    )


def _common(size: Size) -> tuple[str, ...]:
    benchmarks = ", ".join(f"{name}: {path}" for name, path in benchmark_files(size).items())
    return (
        f"tokenizer={_tokenizer(size)}",
        f"stages.classifier.examples={write_labels(size.scratch / 'labels.jsonl', size.data)}",
        f"stages.decontaminate.benchmarks={{{benchmarks}}}",
    )


def _tokenizer(size: Size) -> Path:
    return find_tokenizer(size.scratch / "tokenizer", size.data)


def _walk(road: Road, size: Size) -> Iterator[Comparison]:
    """A comparison a stage that has a stock counterpart, then their sum."""
    made: dict[str, list[Measured]] = {}
    last: dict[str, Stage] = {}
    for folder in plan(road):
        stage = read_stage(folder)
        name = next((name for name in STAGES if stage.name.startswith(f"{name}_")), stage.name)
        made.setdefault(name, []).append(measure(Way(ours, (folder, size.scratch / "road_warm"))))
        last[name] = stage
    found = []
    for name in STAGES:
        mine, stage = made[name], last[name]
        way = _stock(name, last, road, size)
        other = measure(way) if way is not None else Measured(0.0, 0.0, None)
        documents = _documents_in(stage)
        comparison = Comparison(
            stage=f"road_{road.name}/{name}",
            against="datatrove's blocks",
            documents=documents,
            ours_seconds=sum(one.seconds for one in mine),
            stock_seconds=other.seconds * max(1.0, documents / stock_road.NUM_DOCUMENTS),
            peak_mb=max(one.peak_mb for one in mine),
            stock_peak_mb=other.peak_mb,
            quality=_agreement(stage, other.answer) if other.answer is not None else {},
        )
        found.append(comparison)
        yield comparison
    characters = read_manifest(last["extract"].folder)["counts"]["characters_in"]
    whole = _sum(road, found, characters / 1e9)
    yield whole if size.data else replace(whole, quality=whole.quality | {"left_out": LEFT_OUT})


def _sum(road: Road, stages: list[Comparison], gigabytes: float) -> Comparison:
    """`gigabytes` of HTML, or of text."""
    ours_seconds = sum(stage.ours_seconds for stage in stages)
    return Comparison(
        stage=f"road_{road.name}/all",
        against="datatrove's blocks",
        documents=stages[0].documents,
        ours_seconds=ours_seconds,
        stock_seconds=sum(stage.stock_seconds for stage in stages),
        peak_mb=max(stage.peak_mb for stage in stages),
        stock_peak_mb=max(stage.stock_peak_mb for stage in stages),
        quality={"cpu_seconds_per_gb": ours_seconds / gigabytes},
    )


def plan(road: Road) -> list[Path]:
    """Stage folders in the order of work, written by the command line as for batch jobs; earlier results are removed."""
    shutil.rmtree(road.root, ignore_errors=True)
    command = [sys.executable, "-m", "slurm.cli", "plan", PAGE, *road.overrides, f"root={road.root}", "--write", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(f"the road cannot be planned: {answer.stdout}{answer.stderr}")
    stages = json.loads(answer.stdout)["stages"]
    return [road.root / stage["folder"] for stage in stages if stage["do"] not in ("report", "certificate")]


def ours(folder: Path, warm: Path, example: Path | None = None) -> Work:
    """All ranks of a stage, and its manifest. Done once before in another folder: stock is given its words, models and indexes
    before the clock runs, too. `example`: a stage of the same kind with less to do, for that first time."""
    from curation.pipeline import finish, run_rank
    from curation.ranks import num_ranks

    def work(folder: Path = folder) -> None:
        for rank in range(num_ranks(read_stage(folder))):
            run_rank(folder, rank)
        finish(folder)

    shutil.rmtree(warm, ignore_errors=True)
    write_stage(replace(read_stage(example or folder), folder=warm))
    work(warm)
    return work


def _stock(name: str, stages: dict[str, Stage], road: Road, size: Size) -> Way | None:
    stage, scratch = stages[name], size.scratch / "road_stock"
    if name == "extract":
        return Way(stock_road.extract, (road.raw, stage.params["min_chars"])) if road.name == "html" else None
    documents = Path(stages["decontaminate" if name == "tokenize" else name].input("documents"))
    if name == "clean":
        from curation.filters.language import find_language_model

        return Way(stock_road.keep, (documents, stock_road.quality, find_language_model()))
    if name == "math":
        limit = stage.params["filters"]["math_classifier"]["min_score"]
        return Way(stock_road.keep, (documents, stock_road.math_score, stages["classifier"].folder / "model.bin", limit))
    if name == "dedup":
        return Way(stock_road.dedup, (documents, scratch))
    if name == "decontaminate":
        files = {role.partition("/")[2]: Path(stage.input(role)) for role in stage.inputs if role.startswith("benchmarks/")}
        whole = size.scratch / "road_documents"  # datatrove reads no rows of other shards
        shutil.rmtree(whole, ignore_errors=True)
        write_with_texts(documents / DOCUMENTS, whole / DOCUMENTS)
        return Way(stock_road.keep, (whole, stock_road.uncontaminated, files, scratch))
    return Way(stock_road.tokenize, (stages["decontaminate"].folder, _tokenizer(size) / "tokenizer.json", scratch))


def _documents_in(stage: Stage) -> int:
    counts = read_manifest(stage.folder)["counts"]
    return int(counts.get("documents_in") or sum(counts["documents"].values()))


def _agreement(stage: Stage, stock_ids: list[str]) -> dict[str, Any]:
    if stage.do not in ("filter", "dedup", "decontaminate"):
        return {}
    documents = Path(stage.input("documents"))
    asked, kept = _ids(documents)[: stock_road.NUM_DOCUMENTS], set(_ids(stage.folder))
    stock_kept = set(stock_ids)
    return {
        "kept": sum(id_ in kept for id_ in asked) / len(asked),
        "stock_kept": len(stock_kept) / len(asked),
        "agree": sum((id_ in kept) == (id_ in stock_kept) for id_ in asked) / len(asked),
    }


def _ids(folder: Path) -> list[str]:
    ids: list[str] = pq.read_table(folder / DOCUMENTS, columns=["id"])["id"].to_pylist()
    return ids
