"""`midtrain submit`: a page into Slurm's queue, and the jobs that it became as a table."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurm.console import as_json, console, print_json, shown, takes_page

if TYPE_CHECKING:
    from slurm.queue.submit import Outcome

COLOURS = {"done": "green", "live": "cyan", "submitted": "bold"}


@click.command("submit")
@takes_page
@click.option("--dry-run", is_flag=True, help="Submit nothing; print the jobs, what waits for which, and every script.")
@as_json
def submit_command(page: str, overrides: tuple[str, ...], dry_run: bool, json_: bool) -> None:
    """Puts all stages into Slurm's queue, each behind those that it reads, and returns. Do it again at any time: what is done is
    skipped, what waits or runs in the queue is left alone, what failed is submitted again.

    \b
    midtrain submit train/octothinker_3b branch=long cluster=h100 --dry-run
    midtrain submit curate/demo_web cluster=cpu root=/shared/runs cluster.slurm.cpu.partition=cpu
    """
    from slurm.plan import plan, refuse_problems
    from slurm.queue.submit import submit

    planned = plan(page, overrides)
    refuse_problems(planned)
    outcomes = submit(planned.stages, dry_run=dry_run)
    if json_:
        print_json({"page": page, "dry_run": dry_run, "jobs": [as_record(outcome, dry_run=dry_run) for outcome in outcomes]})
        return
    print_jobs(outcomes, page, dry_run=dry_run)
    if dry_run:
        print_scripts(outcomes)
    else:
        tell(outcomes, shlex.join(["midtrain", "status", page, *overrides]))


def as_record(outcome: "Outcome", *, dry_run: bool) -> dict[str, Any]:
    from slurm.queue.script import script, script_file

    job = outcome.job
    record: dict[str, Any] = {
        "page": job.stage.page,
        "stage": job.stage.name,
        "part": job.part,
        "name": job.name,
        "did": outcome.did,
        "jobs": outcome.ids,
        "elements": outcome.elements,
        "num_elements": job.num_elements,
        "needs": [need.name for need in job.needs],
        "after": outcome.after,
        "script": str(script_file(job)),
    }
    return record | {"text": script(job)} if dry_run and outcome.did != "done" else record


def print_jobs(outcomes: "list[Outcome]", page: str, points: Mapping[str, str] | None = None, *, dry_run: bool = False) -> None:
    """One row a job: what it is, what became of it, and what it waits for. `points`: of a sweep, by folder, whose a stage is."""
    from rich.markup import escape
    from rich.table import Table

    own = points or {}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("stage", "part", "elements", "nodes", "", "job", "after"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        job = outcome.job
        count = f"{job.num_elements:,}, {job.num_at_once:,} at once" if job.num_elements else ""
        nodes = job.cluster.nodes if job.is_training else 1
        told = "to submit" if dry_run and outcome.did == "submitted" else outcome.did
        table.add_row(
            escape(" of ".join(filter(None, [short(job.stage.page, job.stage.name, page), own.get(str(job.stage.folder))]))),
            job.part,
            count,
            str(nodes),
            f"[{COLOURS[outcome.did]}]{told}[/]",
            " ".join(outcome.ids),
            _after(outcome, page),
        )
    console.print(table)


def short(owner: str, name: str, page: str) -> str:
    """A stage's name, with its page where that is another."""
    return name if owner == page else f"{owner.removeprefix('curate/')}/{name}"


def _after(outcome: "Outcome", page: str) -> str:
    """What it waits for that is not done; the report waits for all, which needs no list."""
    job = outcome.job
    if outcome.did == "done":
        return ""
    waits = [need for need in job.needs if not need.stage.is_finished]
    names = [f"{short(need.stage.page, need.stage.name, page)}{'' if need.part == 'main' else f':{need.part}'}" for need in waits]
    return " ".join(names) if len(names) <= 4 else f"{len(names)} jobs"


def print_scripts(outcomes: "list[Outcome]") -> None:
    from slurm.queue.script import script, script_file

    for outcome in outcomes:
        if outcome.did == "submitted":
            click.echo(f"\n# ---- {shown(script_file(outcome.job))}")
            click.echo(script(outcome.job), nl=False)


def tell(outcomes: "list[Outcome]", status: str) -> None:
    """How many went, and the command that looks next."""
    counts = {did: sum(outcome.did == did for outcome in outcomes) for did in ("submitted", "live", "done")}
    told = ", ".join(f"{count} {did}" for did, count in counts.items() if count)
    folder = shown(Path(outcomes[-1].job.stage.folder.parent))
    console.print(f"{told}; results come to {folder}; look with:\n{status}", soft_wrap=True, markup=False)
