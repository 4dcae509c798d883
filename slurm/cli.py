"""The command line. Exit status: 0 done, 1 failed, 2 the user's mistake, 75 interrupted but resumable."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from recipes.load import groups, pages
from recipes.stage import write_stage
from slurm.completion import OverrideType, PageType
from slurm.console import as_json, complain, console, print_json, shown, takes_page, tells_mistakes
from slurm.doctor.cli import doctor
from slurm.drill.command import drill
from slurm.mix.command import mix
from slurm.plan import Plan, plan, refuse_problems, train_recipe
from slurm.questions import diff, spike, trace, why
from slurm.queue.cli import submit_command
from slurm.readiness import readiness
from slurm.release.command import release, verify_release
from slurm.release.sums import is_bundle
from slurm.status.command import status
from slurm.sweep.command import sweep
from slurm.transparency import transparency


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="midtrain")
def main() -> None:
    """Raw mathematics pages, QA and chain-of-thought data in; an RL-ready base model out.

    \b
    midtrain show                                   pages and config groups
    midtrain plan train/demo                        what would be done, and what is done
    midtrain run train/demo                         do it (again: goes on where it was)
    midtrain run train/demo branch=demo_long        only one branch
    midtrain plan train/octothinker_3b branch=long cluster=h100
    midtrain sweep sweep/demo                       one page at many points: what they share, and their results
    midtrain why https://example.org/page           what became of a document
    midtrain release train/demo                     its checkpoints with all that proves where they are from
    midtrain diff curate/demo_web "curate/demo_web seed=2"

    Overrides are Hydra's: key=value, group=option, ~key; DATASET:key=value reaches a dataset's page.
    Shell completion: eval "$(_MIDTRAIN_COMPLETE=bash_source midtrain)"
    """


@main.command()
@click.argument("page", type=PageType(), required=False)
@click.argument("overrides", nargs=-1, type=OverrideType())
@as_json
@tells_mistakes
def show(page: str | None, overrides: tuple[str, ...], json_: bool) -> None:
    """A page as it will be read, every default filled in; without PAGE all pages, sweeps and groups.

    \b
    midtrain show
    midtrain show curate/demo_web stages.dedup.min_jaccard=0.8
    """
    from recipes.load import load
    from recipes.sweep import sweeps

    if page is None:
        record: dict[str, Any] = {"pages": pages(), "sweeps": sweeps(), "groups": groups()}
    else:
        record = load(page, overrides).model_dump(mode="json")
    if json_:
        print_json(record)
    else:
        click.echo(yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=120).rstrip())


@main.command("plan")
@takes_page
@click.option("--write", is_flag=True, help="Write each stage's folder with its recipe.yaml, for jobs of your own.")
@as_json
def plan_command(page: str, overrides: tuple[str, ...], write: bool, json_: bool) -> None:
    """Stages in the order of work: done, resumable or missing; documents, tokens, epochs, device-hours and price with their
    range, bytes on the disk. Of training the learning rate, drawn over the tokens seen. Exit status 2 if something must be
    mended before this can run.

    \b
    midtrain plan train/octothinker_3b branch=long cluster=h100
    midtrain plan train/demo demo_web:stages.math.filters.math_classifier.min_score=0.7
    """
    from slurm.describe import describe_plan
    from slurm.learning_rates import learning_rates, print_learning_rates
    from slurm.plan_table import print_plan

    planned = plan(page, overrides)
    if write:
        refuse_problems(planned)
        for stage in planned.stages:
            write_stage(stage)
    record = describe_plan(planned) | {"learning_rates": learning_rates(planned)}
    if json_:
        print_json(record)
    else:
        print_plan(console, record)
        print_learning_rates(console, record["learning_rates"])
    sys.exit(2 if planned.problems else 0)


@main.command()
@takes_page
def run(page: str, overrides: tuple[str, ...]) -> None:
    """Does all stages on this machine. Run it again at any time: finished stages are skipped, others go on.

    \b
    midtrain run train/demo
    midtrain run curate/demo_web root=/data/runs stages.math.filters.math_classifier.min_score=0.7
    """
    sys.exit(make(plan(page, overrides)))


def make(planned: Plan) -> int:
    """Runs a plan and says where the results lie. Returns its exit status."""
    from slurm.results import link_results
    from slurm.walk import walk

    status = walk(planned)
    link_results(planned)
    if status == 0:
        folder = planned.stages[-1].folder.parent
        click.echo(f"report       {shown(folder / 'report.html')}")
        for link in sorted((folder / "export").glob("*")) if (folder / "export").is_dir() else []:
            click.echo(f"checkpoint   {shown(link)}")
    return status


@main.command()
@takes_page
@click.option("--signer", type=click.Path(path_type=Path), help="Public ssh key that a bundle must be signed by.")
@as_json
def verify(page: str, overrides: tuple[str, ...], signer: Path | None, json_: bool) -> None:
    """Re-hashes the outputs of a finished run, or the files of a released bundle with all that they prove, and names every one
    that changed (exit status 1 then).

    \b
    midtrain verify train/demo
    midtrain verify runs/train/demo/release/long
    """
    if signer is not None or is_bundle(Path(page)):
        verify_release(Path(page), overrides, signer, json_)
    from slurm.describe import describe_verification

    record = describe_verification(plan(page, overrides))
    if json_:
        print_json(record)
    else:
        for row in record["stages"]:
            for problem in row["changed"]:
                complain("changed:", f"{shown(Path(row['folder']))}/{problem}")
        files = sum(row["files"] for row in record["stages"])
        size = sum(row["bytes"] for row in record["stages"])
        verdict = "unchanged" if record["unchanged"] else "NOT as they were made"
        verdict = verdict if record["stages"] else "nothing to verify"
        console.print(f"{files:,} files of {len(record['stages'])} finished stages ({size:,} bytes): {verdict}")
        if record["unfinished"]:
            console.print(f"not finished, so not verified: {', '.join(record['unfinished'])}")
    sys.exit(0 if record["unchanged"] and record["stages"] else 1)


@main.command()
@takes_page
def report(page: str, overrides: tuple[str, ...]) -> None:
    """One static HTML page of what is finished so far; a finished page's report is made by `run`.

    \b
    midtrain report train/demo
    """
    from recipes.report.make import render
    from recipes.stage import write_atomically
    from slurm.results import link_results

    planned = plan(page, overrides)
    last = planned.stages[-1]
    if last.is_finished:
        link_results(planned)
        click.echo(shown(last.folder.parent / "report.html"))
        return
    made = [stage for stage in planned.stages if stage.do != "report"]
    finished = [stage.folder for stage in made if stage.is_finished]
    missing = [f"{stage.page}/{stage.name}" for stage in made if not stage.is_finished]
    if not finished:
        raise ValueError(f"nothing of {page} is finished; make it with: midtrain run {page}")
    draft = last.folder.parent / "report_draft.html"
    write_atomically(draft, render(page, finished, missing=missing).encode())
    click.echo(shown(draft))


@main.command()
@takes_page
@click.option("--to", type=click.Path(path_type=Path), help="Copy the checkpoints into this folder (one folder a branch).")
def export(page: str, overrides: tuple[str, ...], to: Path | None) -> None:
    """The Hugging Face checkpoints of a train page, after the parity gate; makes what is missing.

    \b
    midtrain export train/demo
    midtrain export train/octothinker_3b branch=long --to /models/octothinker
    """
    planned = plan(page, overrides)
    ends = train_recipe(planned, "export").ends
    if not planned.is_finished:
        status = make(planned)
        if status:
            sys.exit(status)
    for name in ends:
        folder = next(stage.folder for stage in planned.stages if stage.name == f"export_{name}") / "hf"
        if to is not None:
            target = to / name
            if target.exists():
                raise ValueError(f"--to: {target} exists already; remove it or choose another folder")
            shutil.copytree(folder, target)
            folder = target
        click.echo(shown(folder))


for command in (trace, spike, why, diff, submit_command, status, sweep, mix, doctor, drill, release, readiness, transparency):
    main.add_command(command)

if __name__ == "__main__":
    main()
