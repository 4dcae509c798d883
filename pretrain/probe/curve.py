"""What is kept of each step of a run, and of its answers to held-out problems."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pretrain.probe.reward import TROUBLE
from recipes.pass_at_k import wilson
from recipes.schema.prove import ProbeRun

CURVE, ANSWERS = "steps.jsonl", "held_out.jsonl"
BEFORE, AFTER = "before", "after"
MEASURED = {
    "reward": "reward",
    "reward_std": "reward_std",
    "length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
    "no_gradient": "frac_reward_zero_std",  # share of groups whose rewards are all the same
    "entropy": "entropy",
    "kl": "kl",
    "clipped": "clip_ratio/region_mean",
    "loss": "loss",
    "grad_norm": "grad_norm",
}
DIGITS = 6


def row(told: Mapping[str, Any], params: ProbeRun) -> dict[str, Any]:
    """Of what TRL tells of a step. Shares are of its rollouts or groups; times are left out, as they are never the same."""
    rollouts = params.questions * params.rollouts
    figures = {name: told[key] for name, key in MEASURED.items() if key in told}
    return {
        "step": told["step"] // params.updates,
        "rollouts": rollouts,
        "right": round(told["right"] / rollouts, DIGITS),
        "boxed": round(told["boxed"] / rollouts, DIGITS),
        **{name: None if figure is None else round(float(figure), DIGITS) for name, figure in figures.items()},
        "groups_all_right": round(told["groups_all_right"] / params.questions, DIGITS),
        "groups_all_wrong": round(told["groups_all_wrong"] / params.questions, DIGITS),
    }


def grades(told: Iterable[Mapping[str, Any]], rollouts: int) -> dict[str, Any]:
    """Counts of all rollouts, as other stages count grades."""
    rows = list(told)
    total = {name: round(sum(row[name] for row in rows)) for name in ("right", "disputed", *TROUBLE)}
    counted: dict[str, Any] = {"correct": total["right"], "wrong": rollouts * len(rows) - total["right"]}
    if total["disputed"]:
        counted["disputed"] = {"rollouts": total["disputed"]}
    trouble = {name: total[name] for name in TROUBLE if total[name]}
    return counted | ({"trouble": trouble} if trouble else {})


def held_out(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The share that is right, its interval over problems, and how long and how often cut off answers were."""
    mean = sum(answer["right"] for answer in answers) / len(answers)
    problems = {answer["problem"] for answer in answers}
    low, high = wilson(mean, len(problems))
    return {
        "right": round(mean, DIGITS),
        "low": round(low, DIGITS),
        "high": round(high, DIGITS),
        "problems": len(problems),
        "tokens": round(sum(answer["tokens"] for answer in answers) / len(answers), 2),
        "truncated": round(sum(answer["finish"] == "length" for answer in answers) / len(answers), DIGITS),
    }
