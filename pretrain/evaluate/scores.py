"""What the answers to a benchmark come to, and the mean over benchmarks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from pretrain.evaluate.answers import SCORED
from pretrain.generation.parts import Row
from recipes.pass_at_k import wilson
from recipes.schema.evaluation import Benchmark
from recipes.score_interval import mean_of

DIGITS = 6


def score(rows: Sequence[Row], benchmark: Benchmark, shots: int) -> dict[str, Any]:
    """`mean`: the share of items that are right, with Wilson's interval. `shots`: worked examples that every item was
    given. Of answers that were written, `truncated`: cut off at the page's number of tokens or the model's positions; `ended`:
    by an end of text; `stopped`: by a stop string."""
    num = len(rows)
    right = sum(row["is_right"] for row in rows)
    finish = Counter(row["finish"] for row in rows)
    low, high = wilson(right / num, num)
    found: dict[str, Any] = {
        "kind": benchmark.kind,
        "grade": benchmark.grade,
        "template": benchmark.template,
        "shots": shots,
        "items": num,
        "right": right,
        **_rounded({"mean": right / num, "low": low, "high": high}),
        "no_answer": _share(not row["answer"] for row in rows),
        "too_long": round(finish["too_long"] / num, DIGITS),
    }
    written = [row for row in rows if row["finish"] not in (SCORED, "too_long")]
    if written:
        found["tokens"] = round(fmean(row["tokens"] for row in written), 1)
        for name, end in (("truncated", "length"), ("ended", "eos"), ("stopped", "stop")):
            found[name] = round(finish[end] / len(written), DIGITS)
        found["disputed"] = sum(row["by_math_verify"] not in (None, row["by_text"]) for row in rows)
    return found


def means(scores: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By kind of benchmark: the mean over them, each counting the same, and its interval."""
    found = {}
    for kind in sorted({score["kind"] for score in scores.values()}):
        parts = [(row["mean"], row["low"], row["high"]) for row in scores.values() if row["kind"] == kind]
        mean, low, high = mean_of(parts)
        found[kind] = {**_rounded({"mean": mean, "low": low, "high": high}), "benchmarks": len(parts)}
    return found


def grades(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts, as stages of a dataset keep them."""
    counts: dict[str, Any] = {"correct": sum(row["is_right"] for row in rows)}
    counts["wrong"] = len(rows) - counts["correct"]
    pairs = [(row["by_math_verify"], row["by_text"]) for row in rows if row["by_math_verify"] is not None]
    disputed = Counter("only_math_verify" if math else "only_text" for math, text in pairs if math != text)
    trouble = Counter(row["trouble"] for row in rows if row["trouble"])
    return counts | {"disputed": dict(sorted(disputed.items())), "trouble": dict(sorted(trouble.items()))}


def _share(truths: Any) -> float:
    return round(fmean(truths), DIGITS)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, DIGITS) for name, figure in figures.items()}
