"""What is done about a step that looks wrong: stop, leave its update out, or go back and leave its batches out. No torch.

Guards decide by the figures of the step and by the rows of `metrics.jsonl` before it, and by nothing else: a run that was
interrupted decides again as it did. A rewind goes back to the weights of a certain step, wherever they are read from: any
checkpoint before it will do, from which the steps up to there are done again. Data never go back: the batch after the last one
that was looked at comes next, so a batch that was left out stays out.

`guards.jsonl`, an output where anything was decided, has the rewinds as they came, then the skipped steps.
"""

import json
import math
import statistics
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pretrain.agreement import first_decides
from pretrain.metrics import METRICS, finite, read_journal
from recipes.manifest import sync
from recipes.schema import Guards, Then
from recipes.stage import write_atomically

GUARDS = "guards.jsonl"
SEVERITY: tuple[Then, ...] = ("skip", "rewind", "stop")


@dataclass(frozen=True)
class Alarm:
    """A guard's finding in one step: `value` is above `limit`, or no number."""

    guard: str
    then: Then
    value: float
    limit: float | None
    why: str

    def as_row(self) -> dict[str, Any]:
        """JSON has no NaN: the value of what is no number stands in `why`."""
        return asdict(self) | {"value": finite(self.value)}


def judge(guards: Guards, losses: Sequence[float], loss: float, grad_norm: float) -> Alarm | None:
    """Of a step, by the losses before it whose updates were made. Where several guards object, the sternest is heard."""
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        value = grad_norm if math.isfinite(loss) else loss
        return Alarm("non_finite", guards.non_finite, value, None, f"loss {loss}, gradient norm {grad_norm}: no number")
    alarms = []
    spike, bound = guards.loss_spike, guards.grad_norm
    if spike is not None and len(losses) >= spike.of_last_steps:
        last = list(losses)[-spike.of_last_steps :]
        mean, std = statistics.fmean(last), statistics.pstdev(last)
        limit = mean + spike.above_stds * std
        if loss > limit:
            why = f"loss {loss:.4f} is above {limit:.4f}: {mean:.4f} in the last {len(last)} steps, standard deviation {std:.4f}"
            alarms.append(Alarm("loss_spike", spike.then, loss, limit, why))
    if bound is not None and grad_norm > bound.above:
        why = f"gradient norm {grad_norm:.4g} is above {bound.above:g}"
        alarms.append(Alarm("grad_norm", bound.then, grad_norm, bound.above, why))
    return max(alarms, key=lambda alarm: SEVERITY.index(alarm.then), default=None)


def batch_of_step(step: int, rewinds: Sequence[dict[str, Any]]) -> int:
    """Which batch in the order of the data a step is given; both count from 1."""
    for rewind in reversed(rewinds):
        if step > rewind["to_step"]:
            return int(rewind["next_batch"] + step - rewind["to_step"] - 1)
    return step


def read_rewinds(folder: Path) -> list[dict[str, Any]]:
    """Of a training stage, in the order they came."""
    return [row for row in read_journal(folder / GUARDS) if row["then"] == "rewind"]


class Guard:
    """A stage's guards and what they have decided. The same on every process: what they look at is."""

    def __init__(self, guards: Guards, rows: Iterable[dict[str, Any]], decisions: Sequence[dict[str, Any]]) -> None:
        """`rows` of the journal and `decisions` taken, up to where training goes on."""
        self.guards = guards
        self.losses: deque[float] = deque(maxlen=guards.loss_spike.of_last_steps if guards.loss_spike else 0)
        self.skips_in_a_row = 0
        self.rewinds = [row for row in decisions if row["then"] == "rewind"]
        self.skips = [row for row in decisions if row["then"] == "skip"]
        for row in rows:
            self._remember(row["loss"], is_skipped="skipped" in row)

    def judge(self, loss: float, grad_norm: float) -> Alarm | None:
        """As the page says, but stop where it allows no further skip or rewind."""
        alarm, guards = judge(self.guards, self.losses, loss, grad_norm), self.guards
        if alarm is None:
            return None
        if alarm.then == "skip" and self.skips_in_a_row == guards.max_skips:
            return replace(alarm, then="stop", why=f"{alarm.why}, after guards.max_skips={guards.max_skips} skips in a row")
        if alarm.then == "rewind" and len(self.rewinds) == guards.max_rewinds:
            return replace(alarm, then="stop", why=f"{alarm.why}, after guards.max_rewinds={guards.max_rewinds} rewinds")
        return alarm

    def note(self, step: int, loss: float, alarm: Alarm | None) -> None:
        """A step that counts: its update was made, or left out for an alarm."""
        if alarm is not None:
            self.skips.append({"step": step, **alarm.as_row()})
        self._remember(loss, is_skipped=alarm is not None)

    def _remember(self, loss: float, *, is_skipped: bool) -> None:
        self.skips_in_a_row = self.skips_in_a_row + 1 if is_skipped else 0
        if not is_skipped:
            self.losses.append(loss)

    def batch_of(self, step: int) -> int:
        return batch_of_step(step, self.rewinds)

    def target(self, step: int) -> int:
        """The step that a rewind in `step` goes back to."""
        return max(0, step - self.guards.rewind_steps)

    def rewind(self, step: int, alarm: Alarm, abandoned: Sequence[dict[str, Any]]) -> None:
        """`abandoned`: the journal's rows of the steps that did not happen, with the one that the alarm is about."""
        to = self.target(step)
        row = {"step": step, **alarm.as_row(), "to_step": to, "next_batch": self.batch_of(step) + 1}
        row["abandoned"] = [{**given, "batch": self.batch_of(given["step"])} for given in abandoned]
        self.skips = [skip for skip in self.skips if skip["step"] <= to]
        self.rewinds.append(row)

    def needed_checkpoint(self, steps: Collection[int]) -> set[int]:
        """Of the checkpoints of these steps the one that a rewind in a later step may begin from, if there may be one."""
        if not steps or not self.guards.rewinds or len(self.rewinds) == self.guards.max_rewinds:
            return set()
        before = [step for step in steps if step <= self.target(max(steps) + 1)]
        return {max(before)} if before else set()

    def write(self, folder: Path) -> None:
        """On the disk when it returns. No file where nothing was decided."""
        rows = [*self.rewinds, *self.skips]
        if rows:
            write_atomically(folder / GUARDS, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        else:
            (folder / GUARDS).unlink(missing_ok=True)
        sync(folder)


def open_guard(folder: Path, guards: Guards, step: int) -> Guard:
    """As it stands after `step`. All processes call this together; the first one reads, and forgets skips that will be decided
    again."""

    def read() -> Guard:
        rows = [row for row in read_journal(folder / METRICS) if row["step"] <= step]
        decisions = read_journal(folder / GUARDS)
        guard = Guard(guards, rows, [row for row in decisions if row["then"] == "rewind" or row["step"] <= step])
        if len(decisions) > len(guard.rewinds) + len(guard.skips):
            guard.write(folder)
        return guard

    return first_decides(read)
