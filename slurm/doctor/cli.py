"""`midtrain doctor`."""

import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape

from slurm.completion import OverrideType
from slurm.console import as_json, complaints, console, print_json, tells_mistakes, under_root
from slurm.doctor.check import Check

ANY_PAGE = "train/demo"  # the cluster is read as every page reads it
SIGNS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]–[/]"}


@click.command()
@click.argument("overrides", nargs=-1, type=OverrideType())
@under_root
@click.option("--wait", "seconds", default=120.0, show_default=True, help="Seconds that a job may wait in the queue.")
@as_json
@tells_mistakes
def doctor(overrides: tuple[str, ...], root: str, seconds: float, json_: bool) -> None:
    """Is the cluster what its page says? From a login node, a line a check, with what mends it: partitions, limits, array size,
    nodes, a root that all nodes see, Python there, GPUs, an all-reduce over two nodes. Submits a small job of a minute for each
    kind of jobs that the page tells apart: of curation, of training, of what asks a model. Exit status 1 if something failed, 2
    if the page must say more or no Slurm answers.

    \b
    midtrain doctor cluster=h100 --root /scratch/me/runs
    midtrain doctor cluster=cpu cluster.slurm.cpu.partition=batch --json
    """
    from recipes.load import load
    from slurm.doctor.examination import examine

    cluster = load(ANY_PAGE, overrides).cluster
    checks: list[Check] = []
    for check in examine(cluster, Path(root).absolute(), seconds=seconds, tell=_tell):
        checks.append(check)
        if not json_:
            _print(check)
    if json_:
        print_json({"checks": [asdict(check) for check in checks], "ok": all(check.verdict != "failed" for check in checks)})
    wrong = {check.name for check in checks if check.verdict == "failed"}
    sys.exit(2 if wrong & {"page", "Slurm"} else 1 if wrong else 0)


def _tell(text: str) -> None:
    complaints.print(f"[dim]{escape(text)}[/]", soft_wrap=True)


def _print(check: Check) -> None:
    mend = f"\n    [yellow]mend:[/] {escape(check.mend)}" if check.mend else ""
    console.print(f"{SIGNS[check.verdict]} [bold]{escape(check.name)}[/]: {escape(check.told)}{mend}", soft_wrap=True)
