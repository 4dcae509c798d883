"""What planning, submitting and watching a 100 TB crawl cost the command line: seconds, memory, files opened, calls to Slurm.

    python -m slurm.benchmark [--ranks 100000] [--json]

Twenty datasets, one of them a crawl of 100,000 shards, under three model sizes of three branches each; nothing is submitted, and
what lies on the disk is made for the occasion, half-way through the crawl. Figures of one machine: compare within a run.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from curation.benchmark.measure import peak_mb
from curation.ranks import num_ranks
from recipes.load import load, pages
from recipes.manifest import publish, rank_file
from recipes.schema import CurateRecipe
from recipes.stage import Stage, progress_file, report_progress
from slurm.console import as_json, console, print_json
from slurm.plan import Plan, plan
from slurm.queue import dag, records
from slurm.queue.live import LiveJob
from slurm.queue.script import script
from slurm.queue.submit import submit
from slurm.status.describe import describe_status
from slurm.status.table import print_status

SIZES = ("1b", "3b", "8b")
NUM_DATASETS = 20
CRAWL = "crawl_math_web"
TOKENIZER = "hf://meta-llama/Llama-3.2-1B"
COUNTED = {"open": "files_opened", "os.listdir": "folders_listed", "os.scandir": "folders_listed", "subprocess.Popen": "programs"}
_counts: Counter[str] = Counter()


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if event in COUNTED:
        _counts[COUNTED[event]] += 1


@contextmanager
def _measured(record: dict[str, Any]) -> Iterator[None]:
    before, wall, cpu = Counter(_counts), time.perf_counter(), time.process_time()
    yield
    record["seconds"] = round(time.perf_counter() - wall, 3)
    record["cpu_seconds"] = round(time.process_time() - cpu, 3)
    record["peak_megabytes"] = round(peak_mb())
    record |= {name: _counts[name] - before[name] for name in dict.fromkeys(COUNTED.values())}


# ---------------------------------------------------------------------------------------------------- on paper


def overrides(root: Path, ranks: int) -> tuple[str, ...]:
    """A blend of twenty datasets, all tokenized alike, and what a cluster's page must say."""
    recipes = {page.removeprefix("curate/"): load(page) for page in pages() if page.startswith("curate/")}
    datasets = [name for name, recipe in recipes.items() if isinstance(recipe, CurateRecipe) and recipe.tokenizer]
    chosen = [CRAWL, *(name for name in datasets if name != CRAWL)][:NUM_DATASETS]
    shares = ", ".join(f"{name}: {1 / len(chosen)}" for name in chosen)
    return (
        f"root={root}",
        "branch=[short,long,hybrid]",
        "cluster=h100",
        "cluster.slurm.cpu.partition=cpu",
        "cluster.slurm.gpu.partition=gpu",
        f"stages.stable.blend={{{shares}}}",
        f"{CRAWL}:shards={ranks}",
        *(f"{name}:tokenizer={TOKENIZER}" for name in chosen),
    )


def merged(plans: list[Plan]) -> list[Stage]:
    """Stages that several plans share come once."""
    return list({stage.folder: stage for planned in plans for stage in planned.stages}.values())


def plan_all(root: Path, ranks: int) -> tuple[list[Plan], dict[str, Any]]:
    given, record = overrides(root, ranks), dict[str, Any]()
    with _measured(record):
        plans = [plan(f"train/octothinker_{size}", given) for size in SIZES]
    stages = merged(plans)
    datasets = {page for planned in plans for page in planned.recipes if page.startswith("curate/")}
    return plans, record | {"datasets": len(datasets), "stages": len(stages), "ranks": sum(map(num_ranks, stages))}


def submit_all(stages: list[Stage]) -> dict[str, Any]:
    """Every script is filled, and nothing is submitted: a job is one call of sbatch."""
    record: dict[str, Any] = {}
    with _measured(record):
        outcomes = submit(stages, dry_run=True)
        size = sum(len(script(outcome.job)) for outcome in outcomes)
    sizes = [outcome.job.num_elements for outcome in outcomes]
    calls = sum(outcome.did == "submitted" for outcome in outcomes)
    limit = max(outcome.job.slurm.max_array_size for outcome in outcomes)
    return record | {
        "sbatch_calls": calls,
        "largest_array": max(sizes),
        "max_array_size": limit,
        "elements": sum(sizes),
        "script_bytes": size,
    }


# ---------------------------------------------------------------------------------------------------- half-way through the crawl


def look(planned: Plan) -> dict[str, Any]:
    crawl = next(stage for stage in planned.stages if stage.page == f"curate/{CRAWL}" and num_ranks(stage) > 1)
    live = _half_way(planned, crawl)
    record: dict[str, Any] = {}
    with _measured(record):
        told = describe_status(planned, "midtrain submit", lambda: live)
        with console.capture() as capture:
            print_status(console, told)
    [row] = [row for row in told["stages"] if row["folder"] == str(crawl.folder)]
    return record | {"ranks": row["ranks"], "state": row["state"], "lines": len(capture.get().splitlines())}


def _half_way(planned: Plan, crawl: Stage) -> dict[str, list[LiveJob]]:
    """Other datasets are finished; of the crawl 60 % of the elements are, and as many run as may run at once."""
    live: dict[str, list[LiveJob]] = {}
    for number, job in enumerate(dag.jobs(planned.stages)):
        stage = job.stage
        if stage.page.startswith("curate/") and stage.page != crawl.page:
            if not stage.is_finished:
                files = [{"path": f"documents/{n:05d}.parquet", "bytes": 1, "sha256": "0" * 64} for n in range(num_ranks(stage))]
                publish(stage, counts={}, started=time.time(), files=files)
            continue
        id_ = str(1000 + number)
        records.append(stage.folder, records.Submitted(id_, job.name, job.part, "", job.num_elements))
        if stage is crawl and job.part == "ranks":
            live[job.name] = _array_at_work(job, id_)
        else:
            live[job.name] = [LiveJob(id_, tuple(range(job.num_elements)), "PENDING", "Dependency", "", None, job.name)]
    return live


def _array_at_work(job: dag.Job, id_: str) -> list[LiveJob]:
    stage, done = job.stage, job.num_elements * 6 // 10
    at_work = range(done, min(done + job.num_at_once, job.num_elements))
    for folder in (rank_file(stage.folder, 0).parent, progress_file(stage.folder, 0).parent):
        folder.mkdir(parents=True)
    for element in range(at_work.stop):
        began = records.Began(f"{id_}_{element}", "ranks", 0, [f"node{element % 96}"])
        records.append(stage.folder, began)
        ranks = job.ranks_of(element)
        for rank in ranks if element < done else ranks[: len(ranks) // 2]:
            os.mknod(rank_file(stage.folder, rank))
            os.mknod(progress_file(stage.folder, rank))  # a finished rank's is not looked into
        if element in at_work:
            report_progress(stage.folder, ranks[len(ranks) // 2], 400, 1000, "documents")
    running = [LiveJob(id_, (element,), "RUNNING", "None", f"node{element % 96}", 3600, job.name) for element in at_work]
    waiting = LiveJob(id_, tuple(range(at_work.stop, job.num_elements)), "PENDING", "JobArrayTaskLimit", "", None, job.name)
    return [*running, waiting]


@click.command()
@click.option("--ranks", default=100_000, show_default=True, help="Shards of the crawl.")
@as_json
def main(ranks: int, json_: bool) -> None:
    """Plans, submits (on paper) and looks at a crawl with all that is trained on it."""
    sys.addaudithook(_count)
    with tempfile.TemporaryDirectory() as folder:
        plans, planned = plan_all(Path(folder), ranks)
        record = {"plan": planned, "submit": submit_all(merged(plans)), "status": look(plans[-1])}
    if json_:
        print_json(record)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "seconds", "CPU s", "peak MB", "files", "folders", "programs", "what"):
        table.add_column(column, justify="left" if column in ("", "what") else "right")
    for name, row in record.items():
        figures = [row[key] for key in ("seconds", "cpu_seconds", "peak_megabytes", *dict.fromkeys(COUNTED.values()))]
        rest = {key: value for key, value in row.items() if value not in figures}
        table.add_row(name, *(f"{figure:,}" for figure in figures), ", ".join(f"{key} {value}" for key, value in rest.items()))
    console.print(table)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
