"""A prove page becomes stages: what is asked of each checkpoint, one stage a checkpoint; of a probe, one a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.schema import ProveRecipe
from recipes.stage import Input, Stage
from slurm.planner import Planner


@dataclass
class Page:
    """A prove page while it is expanded."""

    planner: Planner
    recipe: ProveRecipe

    def expand(self) -> Iterator[Stage]:
        checkpoints = {name: self._checkpoint(name, path) for name, path in self.recipe.checkpoints.items()}
        for kind in (self._evaluate, self._ready, self._probe):
            for name, checkpoint in checkpoints.items():
                yield from kind(name, checkpoint)

    def _checkpoint(self, name: str, path: str) -> Input:
        """What is no export, or no folder of Hugging Face's, is told before the queue."""
        key = f"checkpoints.{name}"
        found = self.planner.locate(path, key)
        folder = Path(found.location)
        if found.stage is None and folder.is_dir() and not (folder / "config.json").is_file():
            self.planner.outside.problem(f"{key}: {path} is no Hugging Face folder: it has no config.json")
        return found

    def _evaluate(self, name: str, checkpoint: Input) -> Iterator[Stage]:
        asked = self.recipe.evaluation
        if asked is not None:
            benchmarks = {
                f"benchmark/{benchmark}": self.planner.locate(spec.path, f"evaluation.benchmarks.{benchmark}.path")
                for benchmark, spec in asked.benchmarks.items()
            }
            yield self._stage(f"evaluate_{name}", "evaluate", asked.model_dump(mode="json"), checkpoint, benchmarks)

    def _ready(self, name: str, checkpoint: Input) -> Iterator[Stage]:
        asked = self.recipe.readiness
        if asked is not None:
            problems = {"problems": self.planner.locate(asked.problems, "readiness.problems")}
            yield self._stage(f"readiness_{name}", "readiness", asked.model_dump(mode="json"), checkpoint, problems)

    def _probe(self, name: str, checkpoint: Input) -> Iterator[Stage]:
        asked = self.recipe.probe
        if asked is not None:
            problems = {"problems": self.planner.locate(asked.problems, "probe.problems")}
            yield self._stage(f"probe_{name}", "probe", asked.model_dump(mode="json"), checkpoint, problems)

    def _stage(self, name: str, do: str, params: dict[str, Any], checkpoint: Input, inputs: dict[str, Input]) -> Stage:
        recipe = self.recipe
        params = {"seed": recipe.seed, "engine": recipe.engine.model_dump(mode="json"), **params}
        run = {"serving": recipe.serving.model_dump(mode="json")}
        return self.planner.stage(recipe, name, "pretrain", do, params, {"checkpoint": checkpoint, **inputs}, run)
