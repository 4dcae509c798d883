"""What a person sees: tables of plans and states, and live bars while stages run."""

import time
from collections import deque
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from recipes.stage import Stage
from slurm.describe import progress_of
from slurm.results import summary
from slurm.run import Runner

STATES = {"done": "[green]done[/]", "resumable": "[yellow]resumable[/]", "missing": "[dim]missing[/]"}
PACE_SECONDS = 30.0  # of the latest progress that a rate is measured over
PLAIN_SECONDS = 20.0  # between lines about a running stage where there is no terminal


def human(number: float | None) -> str:
    """1234567 -> 1.23M; None -> empty."""
    if number is None:
        return ""
    for limit, sign in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            return f"{number / (1e3 if sign == 'k' else limit):.4g}{sign}"
    return f"{number:,.0f}"


def print_plan(console: Console, record: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("page", "stage", "fingerprint", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("documents", "tokens", "device-hours"):
        table.add_column(column, justify="right")
    table.add_column("epochs")
    page = None
    for row in record["stages"]:
        epochs = "  ".join(f"{name} {value:.2f}" for name, value in row.get("epochs", {}).items() if value is not None)
        hours = row.get("device_hours")
        table.add_row(
            row["page"] if row["page"] != page else "",
            row["stage"],
            row["fingerprint"],
            STATES[row["state"]],
            human(row["documents"]),
            human(row["tokens"]),
            "" if hours is None else f"{hours:,.2f}" if hours < 100 else f"{hours:,.0f}",
            epochs,
        )
        page = row["page"]
    console.print(table)
    if record["sizes"]:
        _print_sizes(console, record)
    for text in record["warnings"]:
        console.print(f"[yellow]note:[/] {escape(text)}", highlight=False, soft_wrap=True)
    _print_problems(console, record)
    done = sum(row["state"] == "done" for row in record["stages"])
    console.print(
        f"{done} of {len(record['stages'])} stages done; training {human(record['tokens'])} tokens, "
        f"{record['device_hours_left']:,.2f} device-hours left to run",
        highlight=False,
    )


def _print_problems(console: Console, record: dict[str, Any]) -> None:
    for text in record["problems"]:
        console.print(f"[red]before this can run:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _print_sizes(console: Console, record: dict[str, Any]) -> None:
    """Memory on the page's own GPUs by its parts, and all training of the page on more or fewer GPUs."""
    first = next(row for row in record["stages"] if row["do"] == "train")
    if "memory_gib" in first:
        parts = [f"{name} {size:.1f}" for name, size in first["memory_gib"].items() if name != "total"]
        total = first["memory_gib"]["total"]
        told = f"memory of the fullest GPU: {' + '.join(parts)} = {total:.1f} GiB; times at {first['mfu']:.0%} of the peak"
        every = first["recomputing_all"]
        told += (
            f"\nwith parallelism.recompute_layers={every['recompute_layers']} (all): {every['memory_gib']:.1f} GiB, "
            f"{every['step_seconds']:.2f} s a step instead of {first['step_seconds']:.2f}"
        )
        console.print(f"\n{told}", highlight=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("GPUs", "data-parallel", "micro-batches", "GiB a GPU", "step", "tokens/s", "hours", "GPU-hours"):
        table.add_column(column, justify="right")
    for row in record["sizes"]:
        gpus = f"{row['gpus']:,}{' (here)' if row['is_page'] else ''}"
        if "problem" in row:
            continue
        table.add_row(
            gpus,
            f"{row['data_parallel']:,}",
            f"{row['num_microbatches']:,}",
            f"{row['memory_gib']:.1f}{'' if row['fits'] else ' [red]too much[/]'}",
            f"{row['step_seconds']:.2f} s",
            human(row["tokens_per_second"]),
            f"{row['hours']:,.1f}",
            f"{row['gpu_hours']:,.0f}",
        )
    console.print(table)
    for row in record["sizes"]:
        if "problem" in row:
            console.print(f"{row['gpus']:,} GPUs: {escape(row['problem'])}", highlight=False, soft_wrap=True)
    console.print()


def print_status(console: Console, record: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("page", "stage", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("progress", justify="right")
    table.add_column("seconds", justify="right")
    for row in record["stages"]:
        progress = row.get("progress")
        words = ""
        if progress and progress["unit"]:
            total = f" of {progress['total']:,}" if progress["total"] else ""
            words = f"{progress['done']:,}{total} {progress['unit']}, {progress['age']:.0f} s ago"
        seconds = f"{row['seconds']:,.1f}" if "seconds" in row else ""
        table.add_row(row["page"], row["stage"], STATES[row["state"]], words, seconds)
    console.print(table)
    _print_problems(console, record)
    console.print(f"{record['done']} of {record['total']} stages done", highlight=False)


class Pace:
    """How fast a stage has been of late. What was done before this run looked counts for nothing, nor does the time until the
    first progress: imports and compilers."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, int]] = deque()  # when, and how far it was then

    def speed(self, now: float, count: int) -> float | None:
        """None until there is something to measure."""
        if not self.seen or count > self.seen[-1][1]:
            self.seen.append((now, count))
        while len(self.seen) > 3 and self.seen[1][0] < now - PACE_SECONDS:
            self.seen.popleft()
        (since, before), (last, done) = self.seen[min(1, len(self.seen) - 1)], self.seen[-1]
        return (done - before) / (last - since) if last > since else None


class Live:
    """Bars of the running stages, each with its rate and remaining time; a line for every stage that ends."""

    def __init__(self, console: Console):
        self.console = console
        self.runner: Runner | None = None
        self.tasks: dict[str, TaskID] = {}
        self.paces: dict[str, Pace] = {}
        self.spoken: dict[str, float] = {}
        self.progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[done]}", justify="right"),
            TextColumn("[dim]{task.fields[rate]}", justify="right"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Live":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def on_event(self, kind: str, stage: Stage, text: str) -> None:
        name = f"{stage.page}/{stage.name}"
        if kind == "started":
            self.tasks[str(stage.folder)] = self.progress.add_task(name, total=None, done="", rate="", eta="")
            self.spoken[str(stage.folder)] = time.monotonic()
            return
        self.progress.remove_task(self.tasks.pop(str(stage.folder)))
        if kind == "done":
            self.console.print(f"[green]✓[/] {name:<34} {summary(stage)}", highlight=False)
        else:
            self.console.print(f"[red]✗ {name}[/]: {escape(text)}", highlight=False, soft_wrap=True)

    def tick(self) -> None:
        assert self.runner is not None
        for key, work in self.runner.works.items():
            progress = progress_of(work.stage)
            if progress["unit"] and progress["time"] >= work.started:
                self._show(key, f"{work.stage.page}/{work.stage.name}", progress)

    def _show(self, key: str, name: str, progress: dict[str, Any]) -> None:
        now, count, total, unit = time.monotonic(), progress["done"], progress["total"], progress["unit"]
        speed = self.paces.setdefault(key, Pace()).speed(now, count)
        rate = f"{human(speed) if speed >= 10 else f'{speed:.2g}'} {unit}/s" if speed else ""
        eta = f"eta {timedelta(seconds=round((total - count) / speed))}" if speed and total else ""
        done = human(count) + (f"/{human(total)}" if total else f" {unit}")
        self.progress.update(self.tasks[key], completed=count, total=total, done=done, rate=rate, eta=eta)
        if not self.console.is_terminal and now - self.spoken[key] > PLAIN_SECONDS:
            self.spoken[key] = now
            self.console.print(f"  {name}: {done} {rate} {eta}".rstrip(), highlight=False)
