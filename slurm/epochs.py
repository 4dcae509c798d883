"""How often training sees a dataset: tokens asked for, over those that it has, or that its page expects until it is made.

Up to four times, repeated tokens are worth about as much as new ones; beyond, ever less (Muennighoff et al. 2023, 2305.16264,
section 5; FineMath's ablations end to gain at ten). Plans warn over WORTH, and refuse what is over a page's `max_epochs`.
"""

from collections.abc import Mapping
from pathlib import Path

from recipes.manifest import read_summary
from recipes.schema import CurateRecipe, Recipe, TrainParams
from recipes.stage import Stage, is_finished

WORTH = 4
Recipes = Mapping[str, Recipe]  # by page


def tokens_of(stage: Stage, dataset: str, recipes: Recipes) -> tuple[int | None, bool]:
    """Tokens that training has of a dataset, and whether they are only what its page expects. None: nothing tells."""
    folder = Path(stage.inputs[f"dataset/{dataset}"].location)
    if is_finished(folder):
        return int(read_summary(folder)["counts"]["tokens"]["train"]), False
    page = recipes.get(f"curate/{dataset}")
    expected = page.expected_tokens if isinstance(page, CurateRecipe) else None
    return expected, expected is not None


def epochs_of(stage: Stage, params: TrainParams, recipes: Recipes) -> dict[str, float | None]:
    """Of each dataset of the blend, in this stage alone."""
    tokens = params.steps * params.global_batch_size * params.sequence_length
    epochs: dict[str, float | None] = {}
    for dataset, share in params.blend.items():
        has, _ = tokens_of(stage, dataset, recipes)
        epochs[dataset] = round(share * tokens / has, 3) if has else None
    return epochs


def beyond_limit(stage: Stage, params: TrainParams, limit: float, recipes: Recipes, seen: Mapping[str, float]) -> list[str]:
    """Datasets above `limit` epochs, a page's `max_epochs`; `seen`: tokens of each by the stages before, which count too."""
    problems = []
    tokens = params.steps * params.global_batch_size * params.sequence_length
    for dataset, share in params.blend.items():
        has, is_expected = tokens_of(stage, dataset, recipes)
        asked = seen.get(dataset, 0.0) + share * tokens
        if has and asked > limit * has:
            told = "is expected to have" if is_expected else "has"
            problems.append(
                f"{stage.name}: {dataset} would be seen {asked / has:.1f} times in all, above max_epochs={limit:g}: "
                f"{asked:,.0f} tokens are asked for and it {told} {has:,}; lower its share, add data, or raise max_epochs"
            )
    return problems
