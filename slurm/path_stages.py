"""The stages that make paths of reasoning: traces are resumed, joined to graphs, and paths drawn from these."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.special_tokens import ids_of
from recipes.schema import DECIDES_ANSWERS, CurateRecipe, SamplePathsStage, TrainRecipe
from recipes.stage import Input, Stage

if TYPE_CHECKING:
    from slurm.curation_stages import Page


def resume_traces(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Which model answers is part of the stage's identity; where it runs is not."""
    inputs["prompt/back"] = page.prompt(params.pop("return_prompt"), f"stages.{name}.return_prompt")
    endpoint = params.pop("endpoint")
    params |= {key: endpoint.pop(key) for key in DECIDES_ANSWERS}
    seeded = params | {"seed": page.recipe.seed} | page.sharded
    yield page.stage(name, "resume_traces", seeded, inputs, endpoint=endpoint, **page.limits)


def sample_paths(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    inputs["tokenizer"] = page.planner.locate(str(page.recipe.tokenizer), "tokenizer")
    yield page.stage(name, "sample_paths", params | {"seed": page.recipe.seed} | page.sharded, inputs, **page.limits)


def marks_of(recipe: CurateRecipe) -> dict[str, list[str]]:
    """What the tokenize stage of a page must know of the special tokens in its paths, in the order of their ids; nothing on
    other pages, where a special token that is spelt out is text."""
    tokens = [list(spec.special_tokens.values()) for spec in recipe.stages.values() if isinstance(spec, SamplePathsStage)]
    return {"special_tokens": tokens[-1]} if tokens and tokens[-1] else {}


def misplaced_marks(recipe: TrainRecipe, pages: Mapping[str, object], tokenizer: Path) -> Iterator[str]:
    """Datasets whose special tokens would have other ids in the model than in their token files. The ids are the tokenizer's
    own; those that it lacks, or may lack while it is not made yet, come behind its vocabulary in the order of either page."""
    file = tokenizer / "tokenizer.json"
    known = ids_of(json.loads(file.read_text())) if file.is_file() else {}
    blends = [blend for name in recipe.trainings for branch in recipe.runs_of(name) for blend in [recipe.blend_of(name, branch)]]
    for dataset in dict.fromkeys([*(name for blend in blends for name in blend), *recipe.validation.values()]):
        page = pages[f"curate/{dataset}"]
        assert isinstance(page, CurateRecipe)
        lacking = [token for token in marks_of(page).get("special_tokens", []) if token not in known]
        if lacking != recipe.special_tokens[: len(lacking)]:
            yield (
                f"special_tokens: dataset {dataset!r} has paths with special tokens, whose ids are those behind the tokenizer's "
                f"vocabulary in this order; begin the list of the train page with them: {json.dumps(lacking, ensure_ascii=False)}"
            )
