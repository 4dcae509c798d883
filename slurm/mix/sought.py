"""What a search is for: a weighted sum of targets that is to become low, and how it is told where scores are to become high."""

import math
from collections.abc import Sequence

Importance = dict[
    str, float
]  # by target: a positive weight is of what is to become low, a negative one of what is to become high


def importances(given: Sequence[str]) -> Importance:
    """Of NAME or NAME=WEIGHT each."""
    chosen: Importance = {}
    for text in given:
        name, _, weight = text.rpartition("=") if "=" in text else (text, "", "1")
        try:
            chosen[name] = float(weight)
        except ValueError:
            raise ValueError(f"--target {text}: {weight!r} is no number; write it as NAME or NAME=WEIGHT") from None
        if not math.isfinite(chosen[name]) or chosen[name] == 0.0:
            raise ValueError(
                f"--target {text}: a weight of {weight} seeks nothing; write {name} for a loss, {name}=-1 for a score"
            )
    return chosen


def all_alike(told: str, targets: Sequence[str], *, are_losses: bool) -> Importance:
    """The mean of all targets, for want of a choice. ValueError where nothing says that low is good of them."""
    if not are_losses:
        raise ValueError(
            f"{told} has {', '.join(targets)}, and does not say what is to become low or high; say --target NAME for a loss "
            "and --target NAME=-1 for a score"
        )
    return dict.fromkeys(targets, 1.0 / len(targets))


def better(importance: Importance) -> str:
    """What a gain is: lower losses, higher scores, or, where both are sought, a better sum."""
    signs = {weight > 0 for weight in importance.values()}
    return "better" if len(signs) > 1 else "lower" if signs == {True} else "higher"


def as_told(importance: Importance) -> Importance:
    """The weights of the sum that people see: of scores alone the sum itself, and not its negative, so that up is up."""
    return {name: abs(weight) for name, weight in importance.items()} if better(importance) == "higher" else importance


def in_words(importance: Importance) -> str:
    """low 0.5 × web, 0.5 × qa and high 1 × gsm8k."""
    signs = {"low": 1.0, "high": -1.0}
    parts = {word: [f"{abs(w):.3g} × {name}" for name, w in importance.items() if w * sign > 0] for word, sign in signs.items()}
    return " and ".join(f"{word} {', '.join(names)}" for word, names in parts.items() if names)
