"""What a run tells while it trains: journals, progress, the lines of its log. The first process speaks, the others are silent."""

import logging
import math
import resource
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

from pretrain import cost, ledger, observers
from pretrain.guards import Alarm
from pretrain.metrics import METRICS, ON_THE_WAY, SPEED, VALIDATION, Journal, finite, read_journal
from pretrain.parallel import Layout
from pretrain.preflight import Job
from recipes.stage import Reports

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Of a step: the mean loss a token and the gradient's norm over all processes, the learning rate, what a guard objected to,
    whether any process was asked to stop, and whether its checkpoint is kept for ever."""

    loss: float
    grad_norm: float
    lr: float
    alarm: Alarm | None
    must_stop: bool
    is_branch_point: bool


class Stopwatch:
    """Where the seconds since the last report went."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.steps = 0
        self.spent: dict[str, float] = {}
        self.began = self.last = time.perf_counter()

    def lap(self, what: str) -> None:
        now = time.perf_counter()
        self.spent[what] = self.spent.get(what, 0.0) + now - self.last
        self.last = now

    def a_step(self) -> dict[str, float]:
        """Seconds a step, as a whole and by what they were spent on."""
        whole = time.perf_counter() - self.began
        split = {f"{name}_seconds": round(seconds / self.steps, 5) for name, seconds in self.spent.items()}
        stall = self.spent.get("data", 0.0) / whole
        return {"step_seconds": round(whole / self.steps, 5), **split, "stall_share": round(stall, 5)}


class Watch:
    """Rows of steps that will be done again are taken off. What is measured before the first step is measured again, too."""

    def __init__(self, job: Job, layout: Layout, step: int) -> None:
        self.job, self.is_first = job, layout.is_first
        self.stopwatch = Stopwatch()
        if not self.is_first:
            return
        folder, params = job.folder, job.params
        self.metrics = Journal(folder / METRICS, keep_to_step=step)
        self.validations = Journal(folder / VALIDATION, keep_to_step=step or -1)
        self.on_the_way = Journal(folder / ON_THE_WAY, keep_to_step=step)
        self.speed = Journal(folder / SPEED, keep_to_step=None)
        self.progress = Reports(folder, 0, "steps")
        self.mirrors = observers.open_mirrors(job, step)
        length = ledger.read_index(folder).attended_length
        self.flops = {
            "mfu": cost.flops_per_token(params.model, length),
            "mfu_full_attention": cost.flops_per_token(params.model, length, is_causal=False),
        }
        self.peak_flops = job.cluster.peak_tflops * 1e12 * layout.world_size

    def row(self, step: int, done: Outcome) -> dict[str, Any]:
        tokens = step * self.job.tokens_per_step
        row = {"step": step, "loss": finite(done.loss), "grad_norm": finite(done.grad_norm), "lr": done.lr, "tokens_seen": tokens}
        return row if done.alarm is None else row | {"skipped": done.alarm.guard}

    def step(self, step: int, done: Outcome) -> None:
        self.stopwatch.steps += 1
        if done.alarm is not None:
            log.warning("step %s: %s; its update is left out", f"{step:,}", done.alarm.why)
        if not self.is_first:
            return
        row = self.row(step, done)
        self.metrics.write(**row)
        self._mirror("train", row)
        self.progress(step, self.job.params.steps)

    def report(self, step: int, done: Outcome, peak_memory: int) -> None:
        """The speed of the steps since the last report. Memory in bytes: `peak_memory` of this process' device, and what this
        process holds in the host's."""
        if self.is_first:
            spent = self.stopwatch.a_step()
            steps, seconds = self.job.params.steps, spent["step_seconds"]
            rate = self.job.tokens_per_step / seconds
            mfu = {name: round(rate * flops / self.peak_flops, 5) for name, flops in self.flops.items()}
            host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            row = {"step": step, "steps": self.stopwatch.steps, "tokens_per_second": round(rate, 1), **mfu, **spent}
            row |= {"peak_memory": peak_memory, "peak_memory_host": host}
            self.speed.write(**row)
            self._mirror("speed", row)
            log.info(
                "step %*s/%s | tokens %s | loss %.4f | lr %.2e | grad %.2f | %s tok/s | mfu %4.1f | eta %s",
                len(f"{steps:,}"), f"{step:,}", f"{steps:,}", _short(step * self.job.tokens_per_step), done.loss, done.lr,
                done.grad_norm, _short(rate), 100 * mfu["mfu"], _duration((steps - step) * seconds),
            )  # fmt: skip
        self.stopwatch.restart()

    def validation(self, step: int, name: str, loss: float, tokens: int, text_bytes: int) -> None:
        """`text_bytes`: of the text that these tokens are. Bits per byte compare models of different tokenizers: the loss a
        token in bits, times L_T / L_B (Gao et al. 2020, arXiv 2101.00027, section 3.1)."""
        if self.is_first:
            journal = self.validations if step in (0, self.job.params.steps) else self.on_the_way
            bits = loss * tokens / math.log(2) / text_bytes
            row = {"step": step, "name": name, "loss": loss, "bits_per_byte": bits, "tokens": tokens, "bytes": text_bytes}
            journal.write(**row)
            self._mirror(f"validation/{name}", row)
            log.info("validation %s | loss %.4f on %s tokens | %.4f bits per byte", name, loss, f"{tokens:,}", bits)

    def sync(self) -> None:
        if self.is_first:
            for journal in (self.metrics, self.validations):
                journal.sync()

    def close(self) -> None:
        if self.is_first:
            for journal in (self.metrics, self.validations, self.on_the_way, self.speed):
                journal.close()
            for mirror in self.mirrors:
                mirror.close()

    def _mirror(self, kind: str, row: dict[str, Any]) -> None:
        for mirror in self.mirrors:
            mirror.write(row["step"], dict(observers.figures(kind, row)))


def speed(folder: Path) -> dict[str, float]:
    """Medians over a finished run's reports, without the first, which holds the start; of memory the most. `seconds`: of all
    steps together, those that were done twice and saving included, validation and starts not."""
    rows = read_journal(folder / SPEED)
    seconds = sum(row["step_seconds"] * row["steps"] for row in rows)
    rows = rows[1:] or rows
    medians = ("tokens_per_second", "mfu", "mfu_full_attention", "step_seconds", "stall_share")
    found = {name: statistics.median(row[name] for row in rows) for name in medians if rows}
    most = {name: max(row[name] for row in rows) for name in ("peak_memory", "peak_memory_host") if rows}
    return {"seconds": round(seconds, 3), **found, **most}


def _short(number: float) -> str:
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((i for i, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value}{unit}" for value, unit in parts[first : first + 2])
