"""What a person sees while stages run: live bars, and a line for every stage that ends."""

import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from recipes.stage import Stage
from slurm.results import summary
from slurm.run import Runner
from slurm.status.progress import progress_of

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

    def __init__(self, console: Console, points: Mapping[str, str] | None = None):
        """`points`: of a sweep, by folder, for stages that one point alone needs."""
        self.console = console
        self.points = points or {}
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

    def _name(self, stage: Stage) -> str:
        point = self.points.get(str(stage.folder))
        return f"{stage.page}/{stage.name}" + (f" of {point}" if point else "")

    def on_event(self, kind: str, stage: Stage, text: str) -> None:
        name = escape(self._name(stage))
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
                self._show(key, escape(self._name(work.stage)), progress)

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
