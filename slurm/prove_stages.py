"""A prove page becomes stages: what is asked of each checkpoint, one stage a checkpoint; of a probe, one a run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from recipes.schema import ProveRecipe
from recipes.schema.evaluation import Evaluation
from recipes.schema.probe import Arm
from recipes.stage import Input, Stage, made
from slurm.planner import Planner

SHOTS = Path(__file__).parents[1] / "pretrain" / "generation" / "shots"


@dataclass
class Page:
    """A prove page while it is expanded."""

    planner: Planner
    recipe: ProveRecipe
    runs: dict[str, Input] = field(default_factory=dict)  # of the probe

    def expand(self) -> Iterator[Stage]:
        checkpoints = {name: self._checkpoint(name, path) for name, path in self.recipe.checkpoints.items()}
        for kind in (self._evaluate, self._ready, self._probe):
            for name, checkpoint in checkpoints.items():
                yield from kind(name, checkpoint)
        yield from self._judge()

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
            inputs = {}
            for benchmark, spec in asked.benchmarks.items():
                key = f"evaluation.benchmarks.{benchmark}"
                inputs[f"benchmark/{benchmark}"] = self.planner.locate(asked.place(spec.path), f"{key}.path")
                if spec.shots is not None:
                    inputs[f"shots/{benchmark}"] = self.planner.locate(shots_file(asked, spec.shots.path), f"{key}.shots.path")
            yield self._stage(f"evaluate_{name}", "evaluate", asked.params(), checkpoint, inputs)

    def _ready(self, name: str, checkpoint: Input) -> Iterator[Stage]:
        """Answers, which cost hours, and the card that judges them, which costs nothing."""
        asked = self.recipe.readiness
        if asked is not None:
            files = {role: self.planner.locate(path, f"readiness.{key}") for role, (key, path) in asked.files.items()}
            answers = self._stage(f"answers_{name}", "answers", asked.of_answers(), checkpoint, files)
            yield answers
            limits = {"limits": asked.limits.model_dump(mode="json")}
            inputs = {"checkpoint": checkpoint, "answers": made(answers)}
            yield self.planner.stage(self.recipe, f"readiness_{name}", "pretrain", "readiness", limits, inputs)

    def _probe(self, name: str, checkpoint: Input) -> Iterator[Stage]:
        """A stage a run, so that runs go on side by side, and one that is killed takes no other with it."""
        asked = self.recipe.probe
        if asked is not None and name in (asked.checkpoints or self.recipe.checkpoints):
            problems = {"problems": self.planner.locate(asked.problems, "probe.problems")}
            for arm in get_args(Arm):
                for run in range(1, asked.seeds + 1):
                    params = {**asked.of_a_run(), "arm": arm, "run": run}
                    stage = self._stage(f"probe_{name}_{arm}_{run}", "probe", params, checkpoint, problems)
                    self.runs[f"run/{name}/{arm}/{run}"] = made(stage)
                    yield stage

    def _judge(self) -> Iterator[Stage]:
        """Compares the runs of a probe, when all are there."""
        asked = self.recipe.probe
        if asked is not None:
            params = {"seed": self.recipe.seed, "collapse": asked.collapse.model_dump(mode="json")}
            yield self.planner.stage(self.recipe, "probe_verdict", "pretrain", "probe_verdict", params, self.runs)

    def _stage(self, name: str, do: str, params: dict[str, Any], checkpoint: Input, inputs: dict[str, Input]) -> Stage:
        recipe = self.recipe
        params = {"seed": recipe.seed, "engine": recipe.engine.model_dump(mode="json"), **params}
        run = {"serving": recipe.serving.model_dump(mode="json")}
        return self.planner.stage(recipe, name, "pretrain", do, params, {"checkpoint": checkpoint, **inputs}, run)


def shots_file(asked: Evaluation, name: str) -> str:
    """The file of worked examples that this package ships under a name; else a path of the page."""
    shipped = SHOTS / f"{name}.jsonl"
    return str(shipped) if shipped.is_file() else asked.place(name)
