"""`midtrain status`: once, or drawn again until nothing is live."""

import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from slurm.console import as_json, console, print_json, takes_page

SECONDS = 5.0  # between two questions to Slurm: a login node has other guests


@click.command()
@takes_page
@click.option("--watch", is_flag=True, help="Draw it again every few seconds, until no job waits or runs.")
@as_json
def status(page: str, overrides: tuple[str, ...], watch: bool, json_: bool) -> None:
    """How far each stage is, which jobs are at it, and of what has stopped why and what to do. Works without Slurm, and on any
    machine that sees the results. Exit status 1 if --watch ends and something has failed.

    \b
    done, missing      finished; or not begun
    resumable          begun, and no job is at it: run or submit it again
    queued, running    its jobs wait in Slurm's queue, or work
    failing, failed    some of its jobs have failed, while others go on; or none is left
    lost               its job is gone without a word
    waiting            for a stage that has stopped
    submitted          to Slurm, which does not answer here

    \b
    midtrain status train/demo
    midtrain status train/octothinker_3b branch=long cluster=h100 --watch
    midtrain status train/demo --json
    """
    from slurm.plan import plan
    from slurm.status.describe import describe_status
    from slurm.status.table import print_status

    if watch and json_:
        raise ValueError("--watch draws on a terminal; without it --json gives one object")
    planned = plan(page, overrides)
    submit = shlex.join(["midtrain", "submit", page, *overrides])

    def look() -> dict[str, Any]:
        return describe_status(planned, submit)

    if watch:
        sys.exit(_watch(look))
    record = look()
    if json_:
        print_json(record)
    else:
        print_status(console, record)


def _watch(look: Callable[[], dict[str, Any]]) -> int:
    """A terminal that is too low shows what fits: pages that are done, or not begun, take a line each."""
    from rich.live import Live

    from slurm.status.table import status_view

    record = look()
    is_live = record["is_live"]
    with Live(status_view(record, console.width), console=console, auto_refresh=False) as drawn:
        while is_live:
            time.sleep(SECONDS)
            before, record = record, look()
            is_live = record["is_live"] or before["is_live"]  # twice nothing: one stage may have ended, and the next not begun
            drawn.update(status_view(record, console.width), refresh=True)
    return 1 if record["stopped"] else 0
