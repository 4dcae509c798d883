"""The stages that choose few documents, in the manner of s1: what no model solves, a topic for each, and a draw among all."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.selection.topic_list import find_topics, read_topics
from recipes.schema import DECIDES_ANSWERS
from recipes.stage import Input, Stage, made

if TYPE_CHECKING:
    from slurm.curation_stages import Page

_MEASURED = ("topic", "trace", "seed_set", "origin")  # of a select stage: another total draws anew and measures nothing

Params = dict[str, Any]
Inputs = dict[str, Input]


def drop_solved(page: "Page", name: str, params: Params, inputs: Inputs) -> Iterator[Stage]:
    """Which models answer and grade is part of the stage's identity; where they run is not."""
    run = {}
    prompts = {"solver": inputs.pop("prompt"), "judge": page.prompt(params.pop("judge_prompt"), f"stages.{name}.judge_prompt")}
    for key, prompt in prompts.items():
        endpoint = params[key]
        if endpoint is not None:
            params[key] = {decisive: endpoint.pop(decisive) for decisive in DECIDES_ANSWERS}
            run[key], inputs[f"prompt/{key}"] = endpoint, prompt
    yield page.stage(name, "drop_solved", params | {"seed": page.recipe.seed} | page.sharded, inputs, **run, **page.limits)


def label_topic(page: "Page", name: str, params: Params, inputs: Inputs) -> Iterator[Stage]:
    topics = find_topics(params.pop("topics"))
    if Path(topics).is_file():
        read_topics(Path(topics))  # what is wrong with it is said now, not in the queue
    inputs["topics"] = page.planner.locate(topics, f"stages.{name}.topics")
    endpoint, field = params.pop("endpoint"), params.pop("field")
    if endpoint is None:
        del inputs["prompt"]
        yield page.stage(name, "label_topic", {"field": field} | page.sharded, inputs, **page.limits)
        return
    params |= {key: endpoint.pop(key) for key in DECIDES_ANSWERS}
    seeded = params | {"seed": page.recipe.seed} | page.sharded
    yield page.stage(name, "label_topic", seeded, inputs, endpoint=endpoint, **page.limits)


def select(page: "Page", name: str, params: Params, inputs: Inputs) -> Iterator[Stage]:
    """Keys by rank, a draw among all of them, then the ranks pass on what was drawn."""
    measured = dict(inputs)
    if page.recipe.tokenizer is not None:
        measured["tokenizer"] = page.planner.locate(page.recipe.tokenizer, "tokenizer")
    keys = page.stage(f"{name}_keys", "select_keys", {key: params.pop(key) for key in _MEASURED} | page.sharded, measured)
    yield keys
    drawn = params | {"seed": page.recipe.seed, "num_ranks": page.recipe.shards}
    choice = page.stage(f"{name}_choice", "select_choice", drawn, {"keys": made(keys)})
    yield choice
    yield page.stage(name, "select", page.sharded, {**inputs, "choice": made(choice)}, **page.limits)
