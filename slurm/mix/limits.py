"""How much of a blend a source may be: what a person says, and what its tokens are good for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.schema import TrainParams, nearest
from recipes.stage import Stage
from slurm.epochs import WORTH, Recipes, tokens_of

DIGITS = 4  # of a share on a page
SLACK = 1e-9


@dataclass(frozen=True)
class Limits:
    """(sources,) the lowest and highest share of each; `why` tells of those below 1 what makes them so."""

    sources: list[str]
    lowest: np.ndarray
    highest: np.ndarray
    why: dict[str, str]

    def hold(self, shares: np.ndarray) -> np.ndarray:
        """(blends,) whether each is within."""
        within = (shares >= self.lowest - SLACK) & (shares <= self.highest + SLACK)
        return np.asarray(within.all(axis=-1))

    def broken_by(self, blend: np.ndarray) -> list[str]:
        """What a blend is beyond, in words."""
        rows = zip(self.sources, blend, self.lowest, self.highest)
        return [
            f"{name}={share:.4g} is outside {low:.4g} to {high:.4g}{self.why.get(name, '')}"
            for name, share, low, high in rows
            if not low - SLACK <= share <= high + SLACK
        ]

    def binding(self, blend: np.ndarray) -> list[str]:
        """Sources whose share is at a limit that a person or their tokens have set."""
        near = 10.0 ** (1 - DIGITS)
        return [
            f"{name} is at its {which} share, {limit:.4g}{self.why.get(name, '') if which == 'highest' else ''}"
            for name, share, low, high in zip(self.sources, blend, self.lowest, self.highest)
            for which, limit, trivial in (("lowest", low, 0.0), ("highest", high, 1.0))
            if limit != trivial and abs(share - limit) <= near
        ]


def limits(sources: Sequence[str], given: Sequence[str] = (), most: Mapping[str, tuple[float, str]] | None = None) -> Limits:
    """`given`: NAME=LOW:HIGH, NAME=:HIGH or NAME=LOW:. `most`: the highest share of a source that its tokens allow, and why."""
    lowest, highest, why = np.zeros(len(sources)), np.ones(len(sources)), dict[str, str]()
    for name, (share, told) in (most or {}).items():
        if share < 1.0:
            highest[list(sources).index(name)], why[name] = share, told
    for text in given:
        name, low, high = _read(text)
        if name not in sources:
            raise ValueError(f"--limit {text}: there is no source {name!r}; {nearest(name, list(sources))}")
        i = list(sources).index(name)
        lowest[i] = low
        if high < highest[i]:
            highest[i], why[name] = high, " (--limit)"
    if (lowest > highest).any() or lowest.sum() > 1.0 or highest.sum() < 1.0:
        rows = zip(sources, lowest, highest)
        told = ", ".join(f"{name} {low:.3g} to {high:.3g}{why.get(name, '')}" for name, low, high in rows)
        raise ValueError(f"no blend is within these limits: {told}; widen --limit, or raise --max-epochs")
    return Limits(list(sources), lowest, highest, why)


def _read(text: str) -> tuple[str, float, float]:
    name, _, span = text.partition("=")
    low, colon, high = span.partition(":")
    try:
        ends = float(low or 0.0), float(high or 1.0)
    except ValueError:
        ends = (1.0, 0.0)
    if not colon or not 0.0 <= ends[0] <= ends[1] <= 1.0:
        raise ValueError(f"--limit {text}: write it as NAME=LOW:HIGH with shares between 0 and 1, such as web=0.3:0.8 or qa=:0.2")
    return name, *ends


def rounded(shares: np.ndarray, within: Limits | None = None) -> np.ndarray:
    """Shares as a page writes them: DIGITS digits that sum to 1. What is missing goes to those that lost most by rounding, but
    for those that it would lift over their limit."""
    units = shares * 10**DIGITS
    whole = np.floor(units + 1e-6)
    missing = round(10**DIGITS - whole.sum())
    order = np.argsort(whole - units, kind="stable")
    if within is not None:
        order = order[(whole + 1 <= within.highest * 10**DIGITS + 1e-6)[order]]
    whole[order[:missing]] += 1
    return np.asarray(np.round(whole / 10**DIGITS, DIGITS))


def written(blend: Mapping[str, float]) -> str:
    """As an override has it: {web:0.7,qa:0.3}. Sources without a share are left out, as pages want it."""
    return "{" + ",".join(f"{name}:{share:.{DIGITS}f}".rstrip("0") for name, share in blend.items() if share > 0) + "}"


def most_by_tokens(
    stage: Stage, find: Callable[[str], Stage], recipes: Recipes, *, tokens: int | None = None, max_epochs: float = WORTH
) -> dict[str, tuple[float, str]]:
    """The highest share of each source of a training stage in a run of `tokens` (None: the stage's own): what it has,
    `max_epochs` times, less what the stages before have seen of it. `find` gives the stage of a folder. Sources of which nothing
    tells how much they have are left out."""
    params = TrainParams.model_validate(stage.params)
    whole = tokens or params.steps * params.global_batch_size * params.sequence_length
    seen = _seen_before(stage, find)
    most = {}
    for source in params.blend:
        has, _ = tokens_of(stage, source, recipes)
        if has:
            left = max(0.0, max_epochs * has - seen.get(source, 0.0)) / whole
            before = f" less {seen[source]:,.0f} seen before" if seen.get(source) else ""
            most[source] = (left, f" ({max_epochs:g} times its {has:,} tokens{before}, in {whole:,})")
    return most


def _seen_before(stage: Stage, find: Callable[[str], Stage]) -> dict[str, float]:
    """Tokens of each dataset on the way to a stage, as blends ask for them. Behind an average, the way of its first member."""
    before = find(stage.inputs["init"].stage or "") if stage.params.get("init_from_stage") else None
    if before is None:
        return {}
    if before.do == "average":
        member = next(entry for role, entry in before.inputs.items() if role.startswith("checkpoint/"))
        before = find(member.stage or "")
    params = TrainParams.model_validate(before.params)
    tokens = (stage.params.get("init_step") or params.steps) * params.global_batch_size * params.sequence_length
    seen = _seen_before(before, find)
    return seen | {name: seen.get(name, 0.0) + share * tokens for name, share in params.blend.items()}
