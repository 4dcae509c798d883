"""The classifier's loop among the stages of a page: a drawn sample, scores, what is chosen by them and who uses the choice."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from recipes.schema import nearest
from recipes.stage import Input, Stage, made

if TYPE_CHECKING:
    from slurm.curation_stages import Page

_DROPS_ALONE = ("filter", "dedup")  # what they pass on was there before, text and all, in the shard of the same rank
_SCORES = {"score": ("model", "scores"), "features": ("model/math_classifier", "features")}  # their model, and where scores lie


def draw(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Keys by rank, a choice among all of them, then the ranks pass on what was chosen."""
    documents, sites = {"documents": inputs["documents"]}, params.pop("sites")
    listed = {} if sites is None else {"sites": page.sites(sites, f"stages.{name}.sites")}
    keys = page.stage(f"{name}_keys", "draw_keys", params | {"seed": page.recipe.seed} | page.sharded, documents | listed)
    yield keys
    choice = page.stage(f"{name}_choice", "draw_choice", params | {"num_ranks": page.recipe.shards}, {"keys": made(keys)})
    yield choice
    yield page.stage(name, "draw", page.sharded, documents | {"choice": made(choice)}, **page.limits)


def score(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    inputs["model"] = page.model(params.pop("model"), f"stages.{name}.model")
    inputs |= scored_before(page, inputs["documents"], inputs["model"], "scores")
    yield page.stage(name, "score", page.sharded, inputs, **page.limits)


def reads_scores(do: str, page: "Page", name: str, params: dict[str, Any], _inputs: dict[str, Input]) -> Iterator[Stage]:
    scores = params.pop("scores")
    scored = [other for other, stage in page.stages.items() if stage.do == "score"]
    if scores not in scored:
        raise ValueError(f"stages.{name}.scores={scores}: no score stage above it has this name; {nearest(scores, scored)}")
    yield page.stage(name, do, params | {"num_ranks": page.recipe.shards}, {"scores": made(page.stages[scores])})


def scored_before(page: "Page", documents: Input, model: Input, role: str) -> dict[str, Input]:
    """`role`: the scores that an earlier stage of the page gave by this model to these documents, or to more of which these are
    left. Nothing where there is no such stage."""
    known = set(_left_of(page, documents))
    for stage in page.stages.values():
        by, where = _SCORES.get(stage.do, ("", ""))
        if by in stage.inputs and stage.inputs[by].identity == model.identity and stage.inputs["documents"].stage in known:
            return {role: made(stage, where)}
    return {}


def _left_of(page: "Page", documents: Input) -> Iterator[str | None]:
    """The folders of the stage that made the documents, and of those before it whose documents they are."""
    made_by = {str(stage.folder): stage for stage in page.stages.values()}
    folder = documents.stage
    yield folder
    while folder in made_by and made_by[folder].do in _DROPS_ALONE:
        folder = made_by[folder].inputs["documents"].stage
        yield folder


def chosen_by(page: "Page", name: str, model: Input) -> Input:
    """The stage that chose the min_score of a filter: choose_threshold on scores of the same model, on this page or else on the
    model's; else the train_classifier stage that made the model, by its target_recall."""
    planned = {str(stage.folder): stage for stage in [*page.planner.ordered, *page.stages.values()]}
    trained = planned.get(str(model.stage))
    for where in (page.recipe.page, trained.page if trained else ""):
        found = [stage for stage in planned.values() if stage.page == where and _scored_by(stage, planned) == model.identity]
        if len(found) > 1:
            chose = ", ".join(stage.name for stage in found)
            raise ValueError(
                f"stages.{name}: min_score=chosen, but several stages of {where} chose a threshold for the model: {chose}; "
                "leave one choose_threshold stage, or set min_score to a number"
            )
        if found:
            return _noted(page, name, found[0])
    if trained is not None and trained.do == "train_classifier":
        return _noted(page, name, trained)
    raise ValueError(
        f"stages.{name}: min_score=chosen, but nothing chose a threshold for {model.location}: put a score stage with this model "
        "and a choose_threshold stage above it, name a train_classifier stage as model, or set min_score to a number"
    )


def _scored_by(stage: Stage, planned: dict[str, Stage]) -> str | None:
    """The identity of the model by whose scores the stage chooses a threshold."""
    return planned[str(stage.inputs["scores"].stage)].inputs["model"].identity if stage.do == "choose_threshold" else None


def _noted(page: "Page", name: str, stage: Stage) -> Input:
    page.planner.outside.warn(f"{page.recipe.page}/{name}: min_score is chosen by {stage.page}/{stage.name}")
    return made(stage)
