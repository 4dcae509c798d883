"""Tables of a fit and a proposal on the console, from their records."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slurm.mix.proposal import MOVE


def print_fit(console: Console, record: dict[str, Any]) -> None:
    console.print(f"{record['runs']} runs of {record['blends']} blends of {', '.join(record['sources'])}")
    if record["unfinished"]:
        console.print(f"left out, not finished: {escape(', '.join(record['unfinished']))}")
    table = _table("target", "law", "error", "explained", "rank", "noise of seeds", "share of variance")
    for target in record["targets"]:
        for i, score in enumerate(sorted(target["scores"], key=lambda score: score["error"])):
            chosen = score["law"] == target["law"]
            row = [
                score["law"] + (" ★" if chosen else ""),
                _figure(score["error"]),
                f"{score['explained']:.0%}",
                f"{score['rank']:.2f}",
            ]
            row = [f"[bold]{cell}[/]" if chosen else cell for cell in row]
            table.add_row(escape(target["name"]) if i == 0 else "", *row, *(_noise(target["noise"]) if i == 0 else ("", "")))
    console.print(table)
    is_asked = all(len(target["scores"]) == 1 for target in record["targets"])
    console.print(f"★ {'the law that --law asks for' if is_asked else 'the law that is used, as its error is the lowest'}")
    console.print("error: root mean square of predictions of blends that a law has not seen, all laws on the same folds")
    for target in record["targets"]:
        if target["noise"]["deviation"] is None:
            console.print(f"{escape(target['name'])}: no blend was run twice, so that nothing tells what a seed changes")
        if target["is_noise"]:
            console.print(f"[yellow]{escape(target['name'])}: noise[/]: no law predicts a blend that it has not seen")


def print_proposal(console: Console, record: dict[str, Any]) -> None:
    table = _table("source", "own", "proposed", f"effect of {MOVE:.0%} more", "95 % interval")
    for effect in record["effects"]:
        source = effect["source"]
        told = "noise" if effect["is_noise"] else ""
        table.add_row(
            escape(source),
            f"{record['own'][source]:.4f}",
            f"{record['blend'][source]:.4f}",
            f"{effect['change']:+.2g}",
            f"{effect['low']:+.2g} to {effect['high']:+.2g} {told}".rstrip(),
        )
    console.print(table)
    console.print("[dim]effects are of one source at a time, the others giving way alike: they do not add up to the gain[/]")
    colour = "green" if record["verdict"] == "gain" else "yellow"
    interval = f"95 % interval {_figure(record['low'])} to {_figure(record['high'])}"
    gain = f"{_figure(record['gain'])} {record['better']} than the own blend is expected"
    console.print(f"sought: {escape(record['sought'])}")
    console.print(f"[{colour}]{record['verdict']}[/]: {gain}, {interval}")
    if record["why_noise"]:
        console.print(f"noise, because {record['why_noise']}")
    for remark in record["remarks"]:
        console.print(f"- {escape(remark)}")


def _noise(noise: dict[str, Any]) -> tuple[str, str]:
    if noise["deviation"] is None:
        return "not known", "not known"
    return _figure(noise["deviation"]), f"{noise['share_of_variance']:.0%}"


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="left" if column == "law" else "right")
    return table
