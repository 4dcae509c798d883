"""`midtrain drill`: rehearses on a virtual cluster what the jobs of a page may suffer, and shows that they make the same."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slurm.completion import OverrideType, PageType
from slurm.console import as_json, complain, complaints, console, print_json, tells_mistakes

if TYPE_CHECKING:
    from slurm.drill.rehearsal import Rehearsal

DEMO = "train/demo"
SHORT_DEMO = (  # one dataset, one branch, few steps: it is about jobs, and each rehearsal does it again
    "stages.stable.blend={demo_web: 1.0}",
    "stages.decay.blend={demo_web: 1.0}",
    "validation={web: demo_web}",
    "validation_sequences=8",
    "demo_data:stages.sample.num_pages=400",
    "demo_data:stages.sample.num_problems=600",
    "demo_web:stages.classifier.epochs=40",
    "stages.stable.steps=16",
    "stages.stable.lr.warmup_steps=2",
    "stages.decay.steps=6",
    "cadence.checkpoint_every_steps=4",
)


@click.command()
@click.argument("page", type=PageType(), default=DEMO)
@click.argument("overrides", nargs=-1, type=OverrideType())
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option(
    "--room",
    "rooms",
    multiple=True,
    type=click.Choice(["curation", "pretrain"]),
    help="Strike only data's stages (curation) or training's (pretrain).",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Keep results here; else a temporary folder is used and removed.")
@as_json
@tells_mistakes
def drill(
    page: str, overrides: tuple[str, ...], faults: tuple[str, ...], rooms: tuple[str, ...], folder: Path | None, json_: bool
) -> None:
    """Rehearses on this machine, on a virtual Slurm cluster, what may happen to the jobs of a page: preemption, time limit,
    scancel, SIGKILL of a rank, node power loss, slurmctld restart, full disk. After each, every file of the struck stage and of
    those made from it must be the undisturbed run's. Exit status 1 if one is not. Needs root, and Slurm installed.

    \b
    midtrain drill
    midtrain drill train/demo stages.stable.steps=40 --fault preemption --room pretrain

    Without overrides, train/demo is shortened.
    """
    from slurm.drill.drill import Asked, check
    from slurm.drill.drill import drill as rehearse_all
    from slurm.drill.faults import FAULTS
    from slurm.drill.scene import Stuck
    from slurm.virtual.daemons import check_machine

    shortened = page == DEMO and not overrides
    asked = Asked(page, SHORT_DEMO if shortened else overrides, faults or tuple(FAULTS), rooms or ("curation", "pretrain"))
    check(asked)
    check_machine()
    if shortened:
        complaints.print(f"{page} is shortened: {escape(' '.join(SHORT_DEMO))}", soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    place = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="midtrain_drill_"))
    try:
        with complaints.status("a virtual cluster starts") as progress:
            found = rehearse_all(asked, place, lambda what: progress.update(escape(what)))
    except Stuck as error:
        complain("failed:", f"{error}; results lie in {place}")
        sys.exit(1)
    is_equal = all(entry.is_equal for entry in found)
    if json_:
        print_json(
            {"page": page, "overrides": asked.overrides, "equal": is_equal, "rehearsals": [_record(entry) for entry in found]}
        )
    else:
        print_table(console, found)
    if folder is None and is_equal:
        shutil.rmtree(place)
    elif not is_equal:
        complain("not equal;", f"results lie in {place}")
    sys.exit(0 if is_equal else 1)


def print_table(to: Console, found: "Sequence[Rehearsal]") -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("fault", "struck", "what its jobs did", "started again", "files", "s"):
        table.add_column(header, justify="right" if header in ("files", "s") else "left", overflow="fold")
    for entry in found:
        verdict = (
            f"[green]{entry.num_files} equal[/]"
            if entry.is_equal
            else f"[red]{len(entry.different)} of {entry.num_files} not equal[/]"
        )
        table.add_row(
            entry.fault,
            escape(f"{entry.stage}, {entry.struck}"),
            escape("\n".join(entry.did)) or "went on",
            _again(entry),
            verdict,
            f"{entry.seconds:.0f}",
        )
    to.print(table)
    for entry in found:
        if entry.problem:
            complain(f"{entry.fault}:", entry.problem)
        for path in entry.different[:5]:
            complain(f"{entry.fault}:", f"differs: {path}")


def _again(entry: "Rehearsal") -> str:
    by_itself = [f"{reason} {number}" for reason, number in entry.restarts.items()]
    return ", ".join([*by_itself, *(["submitted again"] if entry.submitted_again else [])]) or "no"


def _record(entry: "Rehearsal") -> dict[str, object]:
    return asdict(entry) | {"equal": entry.is_equal}
