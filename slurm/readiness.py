"""`midtrain readiness`: can reinforcement learning begin from these checkpoints, check by check."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from recipes.load import pages
from slurm.console import as_json, console, print_json, shown, tells_mistakes

if TYPE_CHECKING:
    from slurm.plan import Plan

ANY = "prove/checkpoint"  # the page of checkpoints that stand on no page
NO_WORDS = ("null", "true", "false", "nan", "inf")  # what Hydra's grammar takes for values
COLOURS = {"pass": "green", "concern": "yellow", "fail": "red", "not measured": "dim"}


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="PAGE|CHECKPOINT... [OVERRIDES]...")
@as_json
@tells_mistakes
def readiness(words: tuple[str, ...], json_: bool) -> None:
    """The readiness card of a page's checkpoints, or of Hugging Face folders; makes what is missing. Prints a verdict a check and
    where the cards lie; exit status 1 if any check failed.

    \b
    midtrain readiness prove/demo
    midtrain readiness runs/train/demo/export/long hf://org/model readiness.samples=8
    midtrain readiness /models/mine readiness=demo engine.dtype=float32
    """
    from slurm.plan import plan, refuse_problems
    from slurm.results import link_results
    from slurm.walk import walk

    planned = plan(*page_of(words))
    if not any(stage.do == "readiness" for stage in planned.stages):
        raise ValueError(f"{planned.page} asks for no readiness card; name a page of recipes/prove that has `readiness:`")
    refuse_problems(planned)
    console.stderr = json_  # what is being made is told beside the object
    status = 0 if planned.is_finished else walk(planned)
    link_results(planned)
    cards = cards_of(planned)
    if json_:
        print_json(cards)
    elif cards:
        _print(cards)
        _print_places(planned)
    if status:  # what is there is told all the same: the next run has less to make
        sys.exit(status)
    has_failed = any(check["verdict"] == "fail" for card in cards.values() for check in card["checks"].values())
    sys.exit(1 if has_failed else 0)


def page_of(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(page, overrides). Checkpoints are put on the page that takes any."""
    overrides = tuple(word for word in words if _is_override(word))
    named = [word for word in words if word not in overrides]
    if not named:
        raise ValueError(f"name a page of recipes/prove or a Hugging Face folder beside {' '.join(words)}")
    if named[0] in pages():
        if len(named) > 1:
            raise ValueError(f"{named[0]} is a page, which names its checkpoints itself; leave {' '.join(named[1:])} out")
        return named[0], overrides
    checkpoints = ",".join(f"{name}:{_quoted(path)}" for name, path in _names(named).items())
    return ANY, (f"checkpoints={{{checkpoints}}}", *overrides)


def cards_of(planned: "Plan") -> dict[str, Any]:
    """By checkpoint, of those that have one."""
    made = [stage for stage in planned.stages if stage.do == "readiness" and stage.is_finished]
    found = {stage.name.removeprefix("readiness_"): stage for stage in made}
    return {name: orjson.loads((stage.folder / "card.json").read_bytes()) for name, stage in found.items()}


def _print_places(planned: "Plan") -> None:
    """The page's own report.html leads to the newest one, which soon is another's."""
    for stage in planned.stages:
        if stage.do == "readiness" and stage.is_finished:
            click.echo(f"card         {shown(stage.folder / 'card.json')}")
        if stage.do == "report" and stage.is_finished:
            click.echo(f"report       {shown(stage.folder / 'report.html')}")


def _is_override(word: str) -> bool:
    return ("=" in word or word.startswith(("~", "+"))) and not Path(word).exists()


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Each checkpoint by the last part of its path that says something, numbered where two are alike."""
    found: dict[str, str] = {}
    for path in paths:
        parts = [part for part in re.split(r"[/:]", path.partition("@")[0]) if part not in ("", ".", "..", "hf")]
        name = re.sub(r"\W+", "_", re.sub(r"-[0-9a-f]{12}$", "", parts[-1]) if parts else "", flags=re.ASCII).strip("_")
        name = name if name and not name[0].isdigit() and name.lower() not in NO_WORDS else f"checkpoint_{name}".rstrip("_")
        same = [other for other in found if re.fullmatch(rf"{name}(_\d+)?", other)]
        found[f"{name}_{len(same) + 1}" if same else name] = path
    return found


def _quoted(path: str) -> str:
    """For Hydra's grammar: a backslash says something only before a quote, before `${` and at the end."""
    escaped = re.sub(r"(\\*)(\$\{|'|$)", lambda found: found[1] * 2 + ("\\" + found[2] if found[2] else ""), path)
    return f"'{escaped}'"


def _print(cards: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("check", *cards, box=None, header_style="bold", pad_edge=False)
    names = dict.fromkeys(name for card in cards.values() for name in card["checks"])
    for name in names:
        cells = [card["checks"].get(name) for card in cards.values()]
        table.add_row(name.replace("_", " "), *(_cell(check) if check else "" for check in cells))
    console.print(table)
    for name, card in cards.items():
        for check, found in card["checks"].items():
            if found["verdict"] in ("fail", "concern") and "told" in found:
                console.print(f"{escape(name)}, {check.replace('_', ' ')}: {escape(found['told'])}")


def _cell(check: dict[str, Any]) -> str:
    verdict = check["verdict"]
    mean = f" {check['figure']['mean']:.3g}" if "figure" in check else ""
    return f"[{COLOURS[verdict]}]{verdict}[/]{mean}"
