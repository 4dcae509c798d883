"""What the expansion of a page, into curation or training stages, needs of the planner."""

from pathlib import Path
from typing import Any, Protocol

from recipes.schema import Recipe
from recipes.stage import Input, Stage
from slurm.inputs import Outside


class Planner(Protocol):
    outside: Outside
    root: Path  # of all results
    recipes: dict[str, Recipe]  # every page that the plan needs
    ordered: list[Stage]  # all that were planned, those of other pages too

    def stages_of(self, page: str) -> dict[str, Stage]: ...

    def locate(self, path: str, key: str) -> Input: ...

    def stage(
        self,
        recipe: Recipe,
        name: str,
        room: str,
        do: str,
        params: dict[str, Any],
        inputs: dict[str, Input],
        run: dict[str, Any] | None = None,
    ) -> Stage: ...
