"""The stages of rejection sampling: answers are asked for, judged, and checked by what a weaker model makes of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from recipes.schema import DECIDES_ANSWERS
from recipes.stage import Input, Stage, made

if TYPE_CHECKING:
    from slurm.curation_stages import Page


def asks(do: str, page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Which model answers is part of the stage's identity; where it runs is not."""
    endpoint = params.pop("endpoint")
    params |= {key: endpoint.pop(key) for key in DECIDES_ANSWERS}
    yield page.stage(name, do, params | {"seed": page.recipe.seed} | page.sharded, inputs, endpoint=endpoint, **page.limits)


def keep_verified(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """The documents by rank, then one table of all; other values of k judge nothing anew."""
    pass_at = params.pop("pass_at")
    verified = page.stage(name, "keep_verified", params | page.sharded, inputs, **page.limits)
    yield verified
    yield page.stage(f"{name}_pass_at_k", "pass_at_k", {"pass_at": pass_at}, {"verified": made(verified)})
