"""How the command line speaks: tables and one line a mistake on the console, one JSON object where it is asked for."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.markup import escape

from slurm.completion import OverrideType, PageType

console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
complaints = Console(stderr=True, highlight=False)


def tells_mistakes(command: Callable[..., Any]) -> Callable[..., Any]:
    """A user's mistake (ValueError) becomes one line and exit status 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (json.JSONDecodeError, UnicodeDecodeError):  # ours, although Python calls them ValueError
            raise
        except ValueError as error:
            complain("error:", str(error))
            sys.exit(2)

    return wrapped


def takes_page(command: Callable[..., Any]) -> Callable[..., Any]:
    """PAGE and overrides, of which something may be mistaken."""
    overrides = click.argument("overrides", nargs=-1, type=OverrideType())
    return click.argument("page", type=PageType())(overrides(tells_mistakes(command)))


def complain(what: str, text: str) -> None:
    """One line on standard error. The text is not read as markup: paths and logs hold brackets."""
    complaints.print(f"[red]{what}[/] {escape(text)}", soft_wrap=True)


as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON object.")
under_root = click.option("--root", default="runs", help="Folder of the results.")


def print_json(record: dict[str, Any]) -> None:
    click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2))


def shown(path: Path) -> str:
    """Relative to where the user stands, if below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
