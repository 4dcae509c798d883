"""`midtrain sweep`: one page at many points, planned, run here or queued, and what came of it."""

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from rich.markup import escape

from slurm.completion import OverrideType, PageType
from slurm.console import as_json, console, print_json, shown, tells_mistakes

if TYPE_CHECKING:
    from slurm.sweep.plan import SweepPlan


class SweepType(PageType):
    """A sweep page, or a page that overrides sweep, completed by the shell."""

    name = "sweep"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from recipes.sweep import sweeps

        found = [CompletionItem(sweep) for sweep in sweeps() if sweep.startswith(incomplete)]
        return found + super().shell_complete(ctx, param, incomplete)


@click.command()
@click.argument("name", type=SweepType())
@click.argument("overrides", nargs=-1, type=OverrideType())
@click.option("--run", is_flag=True, help="Make all points on this machine, then the report.")
@click.option("--submit", is_flag=True, help="Queue what is missing of all points.")
@click.option("--status", is_flag=True, help="Stages and jobs of all points, and why what stopped has stopped.")
@click.option("--report", is_flag=True, help="Write the page, the table as CSV and all figures as JSON.")
@click.option("--dry-run", is_flag=True, help="With --submit: print what would be queued, and queue nothing.")
@as_json
@tells_mistakes
def sweep(name: str, overrides: tuple[str, ...], dry_run: bool, json_: bool, **asked_for: bool) -> None:
    """Plans a page at many points and shows what came of each so far: the swept values, held-out losses, differences.

    NAME is a sweep page, the path of a sweep's .yaml file, or a page whose overrides have several values. What points share is
    made once. An axis called seed repeats points.

    \b
    midtrain sweep sweep/demo                                       points, what is shared, results so far
    midtrain sweep sweep/demo --run                                 make them here; again: goes on
    midtrain sweep sweep/decay_qa_share cluster=h100 --submit       queue them, then look with --status
    midtrain sweep train/demo branch=demo_short,demo_long stages.decay.lr.peak=1e-3,3e-3
    midtrain sweep train/demo "stages.decay.seed=range(1,4)" --report
    """
    from slurm.sweep.describe import describe_sweep, write_results
    from slurm.sweep.plan import plan_sweep
    from slurm.sweep.table import print_sweep

    asked = _one_of(asked_for, dry_run=dry_run)
    if json_ and asked == "run":
        raise ValueError("--run tells how it goes, which is no JSON; ask with --json when it has ended")
    planned = plan_sweep(name, overrides)
    command = shlex.join(["midtrain", "sweep", name, *overrides])
    if asked == "submit":
        _submit(planned, command, dry_run=dry_run, json_=json_)
        return
    if asked == "status":
        _tell_status(planned, command, json_=json_)
        return
    status = 0
    if asked == "run":
        from slurm.walk import walk

        status = walk(planned.merged, planned.point_of)
    record = describe_sweep(planned)
    if json_:
        print_json(record)
    else:
        print_sweep(console, record)
    if asked is not None:
        click.echo(f"report       {shown(write_results(planned, record))}", err=json_)
    sys.exit(status or (2 if record["problems"] and asked is None else 0))


def _one_of(asked_for: dict[str, bool], *, dry_run: bool) -> str | None:
    """What is to be done beside planning: one thing at a time, of which only --submit can be tried dry."""
    asked = [action for action, is_asked in asked_for.items() if is_asked]
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(f'--{action}' for action in asked)} are given at once; ask for one after the other")
    if dry_run and asked != ["submit"]:
        raise ValueError("--dry-run goes with --submit alone; without both, midtrain sweep only plans, and makes nothing")
    return asked[0] if asked else None


def _tell_status(planned: "SweepPlan", command: str, *, json_: bool) -> None:
    """As `midtrain status` of a page; stages that one point alone needs are told with it."""
    from slurm.status.describe import describe_status
    from slurm.status.table import print_status

    points, plan = planned.point_of, planned.merged
    named = [replace(s, name=f"{s.name} of {points[str(s.folder)]}") if str(s.folder) in points else s for s in plan.stages]
    record = describe_status(replace(plan, stages=named), f"{command} --submit")
    if json_:
        print_json(record)
    else:
        print_status(console, record)


def _submit(planned: "SweepPlan", command: str, *, dry_run: bool, json_: bool) -> None:
    """Each stage once, whichever points need it."""
    from slurm.plan import refuse_problems
    from slurm.queue.cli import as_record, print_jobs, print_scripts
    from slurm.queue.submit import submit

    refuse_problems(planned.merged)
    outcomes = submit(planned.merged.stages, dry_run=dry_run)
    if json_:
        jobs = [as_record(outcome, dry_run=dry_run) for outcome in outcomes]
        print_json({"sweep": planned.sweep.name, "dry_run": dry_run, "jobs": jobs})
        return
    print_jobs(outcomes, planned.sweep.page, planned.point_of, dry_run=dry_run)
    if dry_run:
        print_scripts(outcomes)
    else:
        console.print(f"look with: {escape(command)} --status", soft_wrap=True)
