"""All that a checkpoint's files and answers show, each figure with its interval (figures.json), and nothing of what it is held
against. Plain data: the same answers give the same bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pretrain.intervals import SHARE, Figure, interval
from pretrain.readiness import measures
from pretrain.readiness.answers import Answer
from pretrain.readiness.verdicts import Check
from recipes.fingerprint import file_hash
from recipes.schema import Readiness
from recipes.stage import Stage

Groups = list[list[Answer]]


def of_nothing(stage: Stage, checks: Mapping[str, Check]) -> dict[str, Any]:
    """Of a checkpoint that could not be asked."""
    return _record(stage, checks, {"counts": {"problems": 0, "answers": 0}, "figures": {}})


def of_answers(
    stage: Stage,
    params: Readiness,
    seed: int,
    checks: Mapping[str, Check],
    *,
    free: Groups,
    forced: Groups | None,
    completed: dict[str, Any] | None,
    spent: dict[str, Any] | None,
) -> dict[str, Any]:
    """`free` and `forced`: answers by problem, in the same order. `completed`: of the contamination probe."""
    fit = _prompts_fit(free)
    if fit.verdict == "fail":
        return of_nothing(stage, {**checks, "prompts_fit": fit})
    figures = measures.figures(free, seed)
    told: dict[str, Any] = {"counts": _counts(free, forced), "figures": figures, "pass_at_k": measures.solved(free, seed)}
    if forced is not None and params.forced is not None:
        opening = params.forced.opening.strip()
        opens = [[answer.text.lstrip().startswith(opening) for answer in group] for group in free]
        figures["opens_a_derivation"] = interval([sum(group) / len(group) for group in opens], seed, SHARE)
        figures["forced_gain"] = measures.gain(forced, free, seed)
        told["forced"] = {"figures": measures.figures(forced, seed), "pass_at_k": measures.solved(forced, seed)}
    told["lengths"] = measures.lengths([answer for group in free for answer in group], params.max_tokens)
    if completed is not None:
        figures["completed_more"] = completed["completed"]["difference"]
        told["contamination"] = completed
    if spent is not None:
        told["budgets"] = spent
    return _record(stage, {**checks, "prompts_fit": fit}, told)


def _prompts_fit(free: Groups) -> Check:
    """A prompt that leaves no room for a token counts as answered wrong, without an end."""
    long = sum(group[0].finish == "too_long" for group in free)
    if not long:
        return Check("pass", "every prompt leaves room for an answer")
    if long == len(free):
        return Check("fail", "no prompt leaves room for a token within the positions that config.json names")
    return Check("concern", f"{long} of {len(free)} prompts leave no room for a token")


def _record(stage: Stage, checks: Mapping[str, Check], told: dict[str, Any]) -> dict[str, Any]:
    folder = Path(stage.input("checkpoint"))
    return {
        "checkpoint": {file.name: file_hash(file) for file in sorted(folder.iterdir()) if file.is_file()},
        "checks": {name: check.record() for name, check in checks.items()},
        **_plain(told),
    }


def _counts(free: Groups, forced: Groups | None) -> dict[str, Any]:
    answers = [answer for group in [*free, *(forced or [])] for answer in group]
    disputed = Counter("only_math_verify" if answer.by_math_verify else "only_text" for answer in answers if answer.is_disputed)
    right = sum(answer.is_right for answer in answers)
    grades = {
        "correct": right,
        "wrong": len(answers) - right,
        "disputed": dict(sorted(disputed.items())),
        "trouble": dict(sorted(Counter(answer.trouble for answer in answers if answer.trouble).items())),
    }
    finishes = dict(sorted(Counter(answer.finish for answer in answers).items()))
    return {
        "problems": len(free),
        "answers": len(answers),
        "tokens": sum(answer.tokens for answer in answers),
        "finish": finishes,
        "grades": grades,
    }


def _plain(told: Any) -> Any:
    if isinstance(told, Figure):
        return asdict(told)
    if isinstance(told, Mapping):
        return {key: _plain(value) for key, value in told.items()}
    if isinstance(told, Sequence) and not isinstance(told, str):
        return [_plain(value) for value in told]
    return told
