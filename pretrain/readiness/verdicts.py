"""What the figures of a card are held against: pass, concern, fail, or not measured. There is no total: a checkpoint that never
stops is not mended by a high pass@k.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pretrain.intervals import Figure
from recipes.schema.readiness import Limit, Limits

Verdict = Literal["pass", "concern", "fail", "not measured"]
Side = Literal["below", "above"]
FEW = 8  # problems
GRADES: tuple[Verdict, ...] = ("not measured", "pass", "concern", "fail")  # the worst of several counts


@dataclass(frozen=True)
class Check:
    """`told`: what was found, in a sentence; figures speak for themselves."""

    verdict: Verdict
    told: str = ""
    figure: Figure | None = None
    limit: Limit | None = None
    beyond: Side | None = None  # the limit's bad side

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {"verdict": self.verdict}
        if self.told:
            found["told"] = self.told
        if self.figure is not None:
            found["figure"] = asdict(self.figure)
        if self.limit is not None:
            found["limit"] = {"beyond": self.beyond, **self.limit.model_dump(mode="json")}
        return found


def judge(figure: Figure | None, limit: Limit, beyond: Side) -> Check:
    """A failure where the whole interval lies beyond the limit; a concern where an end of it lies beyond either limit: too few
    problems exclude nothing."""
    if figure is None:
        return Check("not measured", "", None, limit, beyond)

    def is_beyond(value: float, end: float | None) -> bool:
        return end is not None and (value > end if beyond == "above" else value < end)

    good, bad = (figure.low, figure.high) if beyond == "above" else (figure.high, figure.low)
    fails = is_beyond(good, limit.fail)
    worries = is_beyond(bad, limit.concern) or is_beyond(bad, limit.fail)
    return Check("fail" if fails else "concern" if worries else "pass", "", figure, limit, beyond)


def _of_enough(check: Check) -> Check:
    """Of a figure that is no share: a few problems show nothing of its spread, and how far it can be off nobody knows."""
    if check.figure is None or check.figure.problems >= FEW:
        return check
    return replace(check, verdict="concern", told=f"of {check.figure.problems} problems only, too few to tell")


def of_figures(found: dict[str, Figure | None], limits: Limits) -> dict[str, Check]:
    """By what `pretrain/readiness/measures.py` tells of sampled answers."""
    return {
        "pass_at_1": judge(found.get("right"), limits.min_pass_at_1, "below"),
        "mixed_groups": judge(found.get("mixed_groups"), limits.min_mixed_groups, "below"),
        "boxed": judge(found.get("boxed"), limits.min_boxed, "below"),
        "stopped": judge(found.get("stopped"), limits.min_stopped, "below"),
        "truncated": judge(found.get("truncated"), limits.max_truncated, "above"),
        "loops": judge(found.get("loops"), limits.max_loops, "above"),
        "entropy": _of_enough(judge(found.get("entropy"), limits.min_entropy, "below")),
        "disputed": judge(found.get("disputed"), limits.max_disputed, "above"),
        "forced_gain": judge(found.get("forced_gain"), limits.max_forced_gain, "above"),
        "contamination": judge(found.get("completed_more"), limits.max_completed, "above"),
    }


def worst(verdicts: list[Verdict]) -> Verdict:
    return max(verdicts, key=GRADES.index, default="not measured")
