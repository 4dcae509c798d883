"""A page becomes stages in the order of work, each with its fingerprint, its folder and whether it is done.

Planning reads pages, input files and manifests of finished stages, and nothing else: no torch, no datatrove, no network. Inputs
that are not there are listed as problems; running refuses while there are any.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import curation
import pretrain
from curation.unreadable import beyond_limits
from recipes.fingerprint import fingerprint
from recipes.load import load, pages
from recipes.manifest import read_summary
from recipes.report import VERSION as REPORT_VERSION
from recipes.schema import CurateRecipe, Recipe, TrainRecipe, nearest
from recipes.stage import LOGS, Input, Stage, made
from slurm.curation_stages import Page as CuratePage
from slurm.inputs import Outside
from slurm.prove_stages import Page as ProvePage
from slurm.train_stages import Page as TrainPage

VERSIONS = {**curation.VERSIONS, **pretrain.VERSIONS, "report": REPORT_VERSION}


@dataclass
class Plan:
    """Stages in the order of work: those of other pages first. `recipes` holds every page the plan needs."""

    page: str
    stages: list[Stage]
    recipes: dict[str, Recipe]
    problems: list[str]
    warnings: list[str]

    @property
    def recipe(self) -> Recipe:
        return self.recipes[self.page]

    @property
    def is_finished(self) -> bool:
        return all(stage.is_finished for stage in self.stages)


def state(stage: Stage) -> str:
    """done: its manifest exists; resumable: it was begun; missing: nothing there."""
    if stage.is_finished:
        return "done"
    return "resumable" if (stage.folder / LOGS).is_dir() else "missing"


def refuse_problems(planned: Plan) -> None:
    if planned.problems:
        raise ValueError("this cannot run yet:\n  " + "\n  ".join(planned.problems))


def train_recipe(planned: Plan, command: str) -> TrainRecipe:
    """Of a page that makes models. ValueError names the command that needs one."""
    if isinstance(planned.recipe, TrainRecipe):
        return planned.recipe
    is_dataset = isinstance(planned.recipe, CurateRecipe)
    told = "makes a dataset, not a model" if is_dataset else "asks what models can do, and makes none"
    raise ValueError(f"{planned.page} {told}; {command} takes a train page")


def plan(page: str, overrides: tuple[str, ...] = (), recipes: Mapping[str, Recipe] | None = None) -> Plan:
    """Plans a page with all pages it needs. `PAGE:key=value` overrides a page that this one pulls in
    (`demo_web:stages.math.filters.math_classifier.min_score=0.7`). `recipes`: pages that are planned as they are here."""
    planner = _Planner(page, overrides, dict(recipes or {}))
    planner.stages_of(page)
    planner.check_finished()
    planner.add_report()
    return Plan(page, planner.ordered, planner.recipes, planner.outside.problems, planner.outside.warnings)


@dataclass
class _Planner:
    page: str
    overrides: tuple[str, ...]
    recipes: dict[str, Recipe] = field(default_factory=dict)
    planned: dict[str, dict[str, Stage]] = field(default_factory=dict)
    ordered: list[Stage] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        own: list[str] = []
        self.others: dict[str, list[str]] = {}
        for override in self.overrides:
            name, colon, rest = override.partition(":")
            if colon and "=" not in name:
                page = name.lstrip("~+")
                target = page if "/" in page else f"curate/{page}"
                self.others.setdefault(target, []).append(name.removesuffix(page) + rest)  # ~PAGE:key is ~key of that page
            else:
                own.append(override)
        if self.page not in self.recipes:
            self.recipes[self.page] = load(self.page, own)
        for target in self.others:
            if target not in pages():
                raise ValueError(f"override for page {target!r}: there is no such page; {nearest(target, pages())}")
        self.root = Path(self.recipes[self.page].root).absolute()
        self.outside = Outside(self.root)

    # ------------------------------------------------------------------------------------------------ pages

    def stages_of(self, page: str) -> dict[str, Stage]:
        """Plans a page once; the pages it names come before it."""
        if page in self.planned:
            return self.planned[page]
        if page in self._open:
            raise ValueError(f"pages need each other in a circle: {' -> '.join([*self._open, page])}")
        if page not in self.recipes:
            first = self.recipes[self.page]
            recipe = load(page, self.others.get(page, []))
            # a page that was pulled in runs where the first one runs
            self.recipes[page] = recipe.model_copy(update={"cluster": first.cluster, "root": first.root})
        self._open.append(page)
        recipe = self.recipes[page]
        stages: dict[str, Stage] = {}
        self.planned[page] = stages
        for stage in self._expanded(recipe, stages):
            stages[stage.name] = stage
            self.ordered.append(stage)
        self._open.pop()
        return stages

    def _expanded(self, recipe: Recipe, stages: dict[str, Stage]) -> Iterator[Stage]:
        if isinstance(recipe, TrainRecipe):
            return TrainPage(self, recipe, stages).expand()
        if isinstance(recipe, CurateRecipe):
            return CuratePage(self, recipe).expand()
        return ProvePage(self, recipe).expand()

    def check_finished(self) -> None:
        """Limits of what may be unreadable are no part of a stage's identity: a finished one may be beyond a tightened limit."""
        for stage in self.ordered:
            if stage.room == "curation" and stage.is_finished:
                manifest = read_summary(stage.folder)
                if problem := beyond_limits(stage, manifest["counts"], manifest["names"]):
                    self.outside.problem(problem)

    def add_report(self) -> None:
        """The last stage of the page that was asked for: its report, from the manifests of all stages."""
        recipe = self.recipes[self.page]
        inputs = {f"{s.page}/{s.name}": Input(str(s.folder), s.fingerprint, str(s.folder)) for s in self.ordered}
        self.ordered.append(self.stage(recipe, "report", "recipes", "report", {}, inputs))

    def stage(
        self,
        recipe: Recipe,
        name: str,
        room: str,
        do: str,
        params: dict[str, Any],
        inputs: dict[str, Input],
        run: dict[str, Any] | None = None,
    ) -> Stage:
        identities = {role: entry.identity for role, entry in inputs.items()}
        identity = fingerprint(do=do, version=VERSIONS[do], params=params, inputs=identities)
        return Stage(
            page=recipe.page,
            name=name,
            room=room,
            do=do,
            version=VERSIONS[do],
            params=params,
            inputs=inputs,
            run={"cluster": recipe.cluster.model_dump(mode="json"), **(run or {})},
            fingerprint=identity,
            folder=self.root / recipe.page / f"{name}-{identity}",
        )

    # ------------------------------------------------------------------------------------------------ inputs

    def locate(self, path: str, key: str) -> Input:
        """A path on a page. `made:PAGE/STAGE/...` is what another page makes, all else comes from outside."""
        if not path.startswith("made:"):
            return self.outside.locate(path, key)
        parts = path.removeprefix("made:").split("/")
        page, name, inside = "/".join(parts[:2]), (parts[2:3] or [""])[0], "/".join(parts[3:])
        if page not in pages():
            raise ValueError(f"{key}={path}: there is no page {page!r}; {nearest(page, pages())}")
        stages = self.stages_of(page)
        if name not in stages:
            raise ValueError(f"{key}={path}: {page} has no stage {name!r}; {nearest(name, list(stages))}")
        return made(stages[name], inside)
