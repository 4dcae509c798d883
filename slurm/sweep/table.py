"""A sweep as a person sees it on the console: its points, what they share, and the results with the swept values only."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recipes.report.sweep import figure, state_of
from slurm.display import human

STYLES = {"done": "[green]done[/]", "missing": "[dim]missing[/]"}


def print_sweep(console: Console, record: dict[str, Any]) -> None:
    _print_rows(console, record["results"])
    for text in record["warnings"]:
        console.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)
    for text in record["problems"]:
        console.print(f"[red]before this can run:[/] {escape(text)}", soft_wrap=True)
    own = sorted({point["own"] for point in record["points"]})
    told = f"{own[0]}" if len(own) == 1 else f"{own[0]} to {own[-1]}"
    console.print(
        f"{len(record['points'])} points of {escape(record['page'])}: {record['stages']} stages instead of "
        f"{record['stages_alone']}, {told} of each point's own; {record['done']} are done"
    )
    left = record["left"]
    if left["stages"]:
        console.print(f"training {human(record['tokens'])} tokens; {left['device_hours']:,.2f} device-hours left to run")


def _print_rows(console: Console, results: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    has_ends = any(row["end"] for row in results["rows"])
    for axis in [*results["axes"], *(["branch"] if has_ends else []), "state"]:
        table.add_column(escape(axis))
    for metric in results["metrics"]:
        table.add_column(escape(metric["name"].replace("_", " ")), justify="right")
    for row in results["rows"]:
        swept = [escape(row["swept"].get(axis, "")) for axis in results["axes"]]
        state = STYLES.get(state_of(row), f"[yellow]{state_of(row)}[/]")
        cells = [_cell(metric["name"], row["cells"].get(metric["name"])) for metric in results["metrics"]]
        table.add_row(*swept, *([escape(row["end"])] if has_ends else []), state, *cells)
    console.print(table)
    if any("difference" in cell for row in results["rows"] for cell in row["cells"].values()):
        chance = "bold: beyond twice its standard error" if _is_repeated(results) else "no seeds were repeated: it may be chance"
        console.print(f"[dim]★ best; differences to {escape(results['control'])} ({chance})[/]")


def _cell(metric: str, cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "[dim]–[/]"
    text = figure(metric, cell["mean"]) + (" ★" if cell["is_best"] else "")
    if cell["spread"] is not None:
        text += f" ± {figure(metric, cell['spread'])}"
    if "difference" in cell:
        told = figure(metric, cell["difference"], signed=True)
        text += f" [bold]{told}[/]" if cell["is_clear"] else f" [dim]{told}[/]"
    return text


def _is_repeated(results: dict[str, Any]) -> bool:
    return any(metric["noise"] is not None for metric in results["metrics"])
