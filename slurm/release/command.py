"""`midtrain release`, and what `midtrain verify` says of a bundle."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from slurm.console import complain, console, print_json, shown, takes_page
from slurm.release.sums import is_bundle

if TYPE_CHECKING:
    from slurm.plan import Plan


@click.command()
@takes_page
@click.option("--branch", help="One end of the page; all of them without it.")
@click.option(
    "--to", type=click.Path(path_type=Path), help="Folder for the bundles, one a branch; release/ beside the page's stages."
)
@click.option(
    "--allow", multiple=True, metavar="WHAT", help="Release without it: a kind of certificate, or contamination/DATASET."
)
@click.option("--sign", "key", metavar="KEY", help="Sign with this key: a private ssh key's file, or a name of a key of gpg.")
def release(
    page: str, overrides: tuple[str, ...], branch: str | None, to: Path | None, allow: tuple[str, ...], key: str | None
) -> None:
    """A bundle a branch: the exported model with its card, the records and certificates of all that it comes from, and
    SHA256SUMS. Refuses, with exit status 1, while a certificate that the page asks for is missing, stale or failed.

    \b
    midtrain release train/demo
    midtrain release train/octothinker_3b branch=long --branch long --to /models --sign ~/.ssh/id_ed25519
    midtrain release train/demo --allow contamination/demo_qa
    midtrain verify runs/train/demo/release/long
    """
    from slurm.plan import plan
    from slurm.release.lineage import ends
    from slurm.release.make import Refused, check_allowed
    from slurm.release.make import release as make

    planned = plan(page, overrides)
    named = ends(planned, branch)
    check_allowed(allow, _subjects(planned))
    target = to or planned.stages[-1].folder.parent / "release"
    is_refused = False
    for end in named:
        try:
            folder, without = make(planned, end, target.absolute() / end, allow=allow, key=key)
        except Refused as refused:
            is_refused = True
            for flaw in refused.flaws:
                complain("refused:", f"{end}: {flaw.name}: {flaw.reason}; or release without it: --allow {flaw.name}")
            continue
        click.echo(shown(folder))
        for flaw in without:
            complain("released without", f"{flaw.name}: {flaw.reason}")
    sys.exit(1 if is_refused else 0)


def _subjects(planned: "Plan") -> list[str]:
    """Of certificates: datasets and stages, those of other pages with their page."""
    trained = [stage for stage in planned.stages if stage.room == "pretrain"]
    datasets = dict.fromkeys(dataset for stage in trained for dataset in stage.params.get("blend", ()))
    return [*datasets, *(stage.name if stage.page == planned.page else f"{stage.page}/{stage.name}" for stage in trained)]


def verify_release(folder: Path, overrides: tuple[str, ...], signer: Path | None, json_: bool) -> NoReturn:
    """Ends the program: exit status 1 if anything is not as it was released."""
    from slurm.release.verify import verify_bundle

    if not is_bundle(folder):
        raise ValueError(f"--signer: {folder} is no released bundle, which alone is signed; it has no SHA256SUMS")
    if overrides:
        raise ValueError(f"{folder} is a released bundle, which takes no overrides: {' '.join(overrides)}")
    record = verify_bundle(folder, signer)
    if json_:
        print_json(record)
    else:
        _print(record)
    sys.exit(0 if record["unchanged"] else 1)


def _print(record: dict[str, Any]) -> None:
    for what, texts in (("changed:", record["changed"]), ("wrong:", record["wrong"])):
        for text in texts:
            complain(what, text)
    for row in record["released_without"]:
        complain("released without", f"{row['certificate']}/{row['subject']}: {row['reason']}")
    verdict = "unchanged, and its records and certificates hold" if record["unchanged"] else "NOT as it was released"
    signed = record["signed"] or "not signed"
    console.print(f"{record['files']:,} files ({record['bytes']:,} bytes): {verdict}; {signed}", markup=False)
