"""Blends to run: drawn around a page's own, within the limits of its sources, with the own one repeated for the noise of seeds.

Draws are Dirichlet's with the own blend as mean, r ~ Dir(a · own), as RegMix (arXiv 2407.01492) and Olmix (arXiv 2602.12237) do;
the variance of a share p is p (1 − p) / (a + 1). A draw beyond a limit is drawn again, never moved onto it: what is left is the
same distribution within the limits. Olmix finds that runs must grow with the number of sources, not with its square.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.schema import nearest
from recipes.stage import Stage
from slurm.epochs import WORTH
from slurm.mix.limits import Limits, limits, most_by_tokens, rounded, written
from slurm.plan import Plan, train_recipe

CONCENTRATION = 20.0
POINTS_PER_SOURCE = 6
REPEATS = 4
OWN = "own"
PATIENCE = 2000  # draws a blend that is kept


@dataclass(frozen=True)
class Centre:
    """The training stage whose blend is searched: `key` is where the page sets its blend."""

    stage: Stage
    key: str
    limits: Limits

    @property
    def sources(self) -> list[str]:
        return self.limits.sources

    @property
    def blend(self) -> np.ndarray:
        return np.array([self.stage.params["blend"][source] for source in self.sources])


def centre(
    planned: Plan, name: str | None, given: Sequence[str] = (), *, tokens: int | None = None, max_epochs: float | None = None
) -> Centre:
    """`name`: a training stage, as it is run (decay_short); None: the page's last one. ValueError where that is not one, and
    where the own blend is beyond the limits."""
    recipe = train_recipe(planned, "sample")
    runs = {stage.name: stage for stage in planned.stages if stage.page == planned.page and stage.do == "train"}
    last = [run for stage in list(recipe.trainings)[-1:] for run in recipe.runs_of(stage).values()]
    if name is None and len(last) > 1:
        raise ValueError(f"{planned.page} ends with {len(last)} branches; take one (branch=NAME), or name the run with --stage")
    chosen = name or last[0]
    if chosen not in runs:
        raise ValueError(f"--stage {chosen}: {planned.page} has no such training run; {nearest(chosen, list(runs))}")
    stage, folders = runs[chosen], {str(entry.folder): entry for entry in planned.stages}
    epochs = max_epochs or recipe.max_epochs or WORTH
    most = most_by_tokens(stage, folders.__getitem__, planned.recipes, tokens=tokens, max_epochs=epochs)
    sources = list(stage.params["blend"])
    found = Centre(stage, f"stages.{recipe.stage_of(chosen)}", limits(sources, given, most))
    broken = found.limits.broken_by(found.blend)
    if broken:
        raise ValueError(f"the page's own blend is beyond the limits: {'; '.join(broken)}; change the blend or the limit")
    return found


def draw(own: np.ndarray, within: Limits, number: int, *, concentration: float = CONCENTRATION, seed: int = 0) -> np.ndarray:
    """(number, sources) blends as pages write them, all different."""
    random = np.random.default_rng(seed)
    kept: dict[tuple[float, ...], np.ndarray] = {tuple(own): own}
    for _ in range(PATIENCE * number):
        blend = rounded(random.dirichlet(concentration * own), within)
        if within.hold(blend):
            kept.setdefault(tuple(blend), blend)
        if len(kept) > number:
            return np.array(list(kept.values())[1:])
    raise ValueError(
        f"of {PATIENCE * number:,} draws only {len(kept) - 1} are within the limits; widen them, or draw nearer to the own blend "
        f"with a --concentration above {concentration:g}"
    )


def sweep_page(page: str, overrides: Sequence[str], middle: Centre, blends: np.ndarray, *, repeats: int) -> dict[str, object]:
    """A page of recipes/sweep: the own blend `repeats` times with seeds of their own, which a sweep tells as one with its spread,
    then the drawn ones."""
    points: dict[str, list[str]] = {}
    for i in range(repeats):
        seed = [f"{middle.key}.seed={middle.stage.params['seed'] + i}"] if i else []
        points[f"own_{i + 1}" if i else OWN] = [_override(middle, middle.blend), *seed]
    for i, blend in enumerate(blends, 1):
        points[f"drawn_{i:03d}"] = [_override(middle, blend)]
    return {"page": page, "overrides": list(overrides), "points": points, "metrics": ["validation"], "control": OWN}


def _override(middle: Centre, blend: np.ndarray) -> str:
    return f"{middle.key}.blend={written(dict(zip(middle.sources, blend.tolist())))}"


def own_blend(given: str, options: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """A blend by its name in recipes/blend, or as it is written in an override: {web:0.7,qa:0.3}."""
    if given in options:
        return options[given]
    pairs = [pair.partition(":") for pair in given.strip("{} ").split(",")]
    try:
        blend = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        blend = {}
    if abs(sum(blend.values()) - 1.0) > 1e-6:
        raise ValueError(
            f"{given!r} is no blend whose shares sum to 1; write {{web:0.7,qa:0.3}}, or {nearest(given, list(options))}"
        )
    return blend
