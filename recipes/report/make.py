"""Makes the report: one HTML file that needs nothing else, from the manifests of finished stages, their losses, and documents
drawn from what they kept and dropped.

The same results give the same bytes: times are those of the stages, never of the report.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment

from recipes.manifest import publish
from recipes.report import figures
from recipes.report.averages import read_averages
from recipes.report.clusters import cluster_sizes
from recipes.report.concerns import find_concerns
from recipes.report.evaluation import read_evaluation
from recipes.report.foretold import read_foretold
from recipes.report.formulas import has_formulas, katex_scripts, katex_style, mark_formulas, script_hash
from recipes.report.funnel import read_datasets
from recipes.report.held_out import held_out_plots, held_out_table
from recipes.report.lineage import lineage_svg
from recipes.report.probe import read_probe
from recipes.report.proven import colours_of
from recipes.report.readiness import failed_checks, read_readiness
from recipes.report.record import Record, flat, read_records
from recipes.report.samples import Samples, samples_of
from recipes.report.scores import histograms
from recipes.report.sheet import environment, style
from recipes.report.training import plots, read_blends, read_checkpoints, read_runs
from recipes.stage import MANIFEST, read_stage, write_atomically

REPORT = "report.html"
MAX_FILES = 40  # outputs listed a stage; the manifest has all
MAX_ROWS = 60  # of a table of benchmarks or canaries
SIZE_PLACE, SIZE_BYTES = "{size of this page}", 8  # of what stands there in the end: 1.23 MB


def make_report(folder: Path) -> None:
    """Writes report.html into a report stage's folder and publishes the stage. ValueError names an unfinished input."""
    started = time.time()
    stage = read_stage(folder)
    for role, entry in stage.inputs.items():
        if not (Path(entry.location) / MANIFEST).is_file():
            raise ValueError(
                f"{stage.page}/{stage.name}: input {role!r} is not finished: {entry.location}; run {stage.page} again"
            )
    page = render(stage.page, [Path(entry.location) for entry in stage.inputs.values()])
    write_atomically(stage.folder / REPORT, page.encode())
    publish(stage, counts={"stages": len(stage.inputs)}, started=started)


def render(title: str, folders: Sequence[Path], *, missing: Sequence[str] = ()) -> str:
    """The page of the finished stages in `folders`. `missing`: names of stages not finished yet; the page says so."""
    records = read_records(folders)
    runs, datasets = read_runs(records), read_datasets(records)
    checkpoints = read_checkpoints(records, runs)
    samples = {record.made: _marked(samples_of(record)) for dataset in datasets for record in dataset.records}
    scripts = katex_scripts() if any(_has_formulas(drawn) for drawn in samples.values()) else []
    asked = colours_of(records, checkpoints)
    colours = {run.record.made: run.colour for run in runs} | {c.record.made: c.colour for c in checkpoints}
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            css=style() + (katex_style() if scripts else ""),
            scripts=scripts,
            katex_bytes=sum(len(part) for part in (*scripts, katex_style())) if scripts else 0,
            script_hashes=[script_hash(script) for script in scripts],
            samples=samples,
            histograms={dataset.page: histograms(dataset.records) for dataset in datasets},
            clusters=[(record, sizes) for record in records if (sizes := cluster_sizes(record))],
            records=records,
            missing=list(missing),
            runs=runs,
            datasets=[dataset for dataset in datasets if dataset.steps],
            others=[dataset for dataset in datasets if not dataset.steps],
            checkpoints=checkpoints,
            validation=held_out_table(runs),
            plots=[*plots(runs), *held_out_plots(runs)],
            readiness=read_readiness(records, asked),
            averages=read_averages(records),
            blends=read_blends(runs),
            evaluation=read_evaluation(records, asked),
            probe=read_probe(records, asked),
            asked=asked,
            failing=[record for record in records if failed_checks(record)],
            foretold=read_foretold(runs),
            concerns=find_concerns(records, datasets, runs, checkpoints, missing),
            lineage=lineage_svg(records, colours),
            software=_software(records),
            totals=_totals(records, [dataset.tokens for dataset in datasets]),
            max_files=MAX_FILES,
            max_rows=MAX_ROWS,
            size_place=SIZE_PLACE,
        )
    )
    before, _, behind = page.rpartition(SIZE_PLACE)  # the last one: a document's text may hold these words too
    return before + figures.size(len((before + behind).encode()) + SIZE_BYTES) + behind


def _marked(drawn: Sequence[Samples]) -> list[Samples]:
    """Samples with their formulas marked for drawing."""
    return [replace(kind, rows=[row | {"text": mark_formulas(row["text"])} for row in kind.rows]) for kind in drawn]


def _has_formulas(drawn: Sequence[Samples]) -> bool:
    return any(has_formulas(row["text"]) for kind in drawn for row in kind.rows)


def _environment() -> Environment:
    made = environment()
    made.filters |= {"flat": flat, "pretty": _pretty, "anchor": _anchor}
    return made


def _totals(records: Sequence[Record], dataset_tokens: Iterable[Any]) -> dict[str, Any]:
    """Sums over all stages. Nothing known: None, which the page shows as a dash."""
    tokens = [amount for amount in dataset_tokens if amount is not None]
    trained = [record.number("counts", "tokens") for record in records if record.do == "train"]
    began = sorted(str(record.at("started")) for record in records if record.at("started"))
    ended = sorted(str(record.at("ended")) for record in records if record.at("ended"))
    return {
        "dataset_tokens": sum(tokens) if tokens else None,
        "num_datasets": len(tokens),
        "trained_tokens": sum(amount or 0 for amount in trained) if trained else None,
        "seconds": sum(record.number("seconds") or 0 for record in records),
        "began": began[0] if began else None,
        "ended": ended[-1] if ended else None,
    }


def _software(records: Sequence[Record]) -> list[tuple[dict[str, Any], list[str]]]:
    """Distinct sets of versions, each with the stages made with it."""
    sets: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for record in records:
        versions = record.tree("software")
        sets.setdefault(json.dumps(versions, sort_keys=True, default=str), (versions, []))[1].append(record.name)
    return list(sets.values())


def _pretty(tree: Any) -> str:
    return figures.clean(json.dumps(tree, indent=2, ensure_ascii=False, default=str))


def _anchor(name: str) -> str:
    """A name as the id of an element."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
