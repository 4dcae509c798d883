"""Points of a sweep become plans, and the plans one: a stage that several points need has one folder, and is made once.

Nothing is copied and no fingerprint changes: a point alone, as its own page with its overrides, finds the same stages.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from recipes.schema import Sweep, TrainRecipe, nearest
from recipes.stage import Stage
from recipes.sweep import Point, load_sweep, points_of
from slurm.plan import Plan, plan

MAX_NAMES = 4  # of points told in one line


@dataclass(frozen=True)
class PlannedPoint:
    sweep: Sweep
    point: Point
    plan: Plan

    @property
    def work(self) -> list[Stage]:
        """All stages but the report."""
        return [stage for stage in self.plan.stages if stage.do != "report"]

    @property
    def ends(self) -> dict[str, Stage]:
        """What the point is judged by: the stages that are exported, by branch; of a curate page its tokens or last stage."""
        stages, recipe = {str(stage.folder): stage for stage in self.work}, self.plan.recipe
        own = [stage for stage in self.work if stage.page == recipe.page]
        if not isinstance(recipe, TrainRecipe):
            tokens = [stage for stage in own if stage.do == "tokenize"]
            return {"": tokens[-1] if tokens else own[-1]}
        chosen = {f"export_{name}": name for name in self.sweep.ends or recipe.ends}
        return {chosen[s.name]: stages[s.inputs["checkpoint"].stage or ""] for s in own if s.name in chosen}


@dataclass(frozen=True)
class SweepPlan:
    """`merged` has every stage once, in an order in which all can be made."""

    sweep: Sweep
    points: list[PlannedPoint]
    merged: Plan

    @property
    def root(self) -> Path:
        return self.merged.stages[0].folder.parents[2]

    @property
    def point_of(self) -> dict[str, str]:
        """By folder, the point of each stage that no other point needs."""
        points: dict[str, list[str]] = {}
        for one in self.points:
            for stage in one.plan.stages:
                points.setdefault(str(stage.folder), []).append(one.point.name)
        return {folder: names[0] for folder, names in points.items() if len(names) == 1}

    @property
    def num_stages_alone(self) -> int:
        """If every point were made by itself."""
        return sum(len(planned.plan.stages) for planned in self.points)


def plan_sweep(name: str, overrides: Iterable[str] = ()) -> SweepPlan:
    """Plans all points. ValueError names every point that its page refuses, before anything is made."""
    sweep = load_sweep(name, overrides)
    points: list[PlannedPoint] = []
    refused: dict[str, list[str]] = {}
    for point in points_of(sweep):
        try:
            planned = plan(sweep.page, point.overrides)
            _refuse_unknown_ends(sweep, planned)
            points.append(PlannedPoint(sweep, point, planned))
        except ValueError as error:
            refused.setdefault(str(error), []).append(point.name)
    if refused:
        told = _told(refused, len(points) + sum(len(names) for names in refused.values()))
        raise ValueError("\n  ".join([f"{', '.join(dict.fromkeys([sweep.name, sweep.page]))}:", *told]))
    _refuse_twins(points)
    _refuse_other_places(points)
    return SweepPlan(sweep, points, merge([planned.plan for planned in points], [planned.point.name for planned in points]))


def merge(plans: list[Plan], names: list[str]) -> Plan:
    """The stages of all plans, each once. Problems and warnings of single plans are told with their names."""
    stages: dict[str, Stage] = {}
    for stage in (stage for planned in plans for stage in planned.stages):
        key = str(stage.folder)
        stages[key] = _keeping_both(stages[key], stage) if key in stages else stage
    recipes = {page: recipe for planned in reversed(plans) for page, recipe in planned.recipes.items()}  # the first point's wins
    problems, warnings = _gathered(names, [p.problems for p in plans]), _gathered(names, [p.warnings for p in plans])
    return Plan(plans[0].page, list(stages.values()), recipes, problems, warnings)


def _keeping_both(one: Stage, other: Stage) -> Stage:
    """A stage keeps the checkpoints that any point begins from."""
    steps = sorted({*one.run.get("branch_points", ()), *other.run.get("branch_points", ())})
    return replace(one, run={**one.run, "branch_points": steps}) if steps else one


def _gathered(names: list[str], told: list[list[str]]) -> list[str]:
    """Every text once, those of all points first."""
    by_text: dict[str, list[str]] = {}
    for name, texts in zip(names, told, strict=True):
        for text in texts:
            by_text.setdefault(text, []).append(name)
    return _told(dict(sorted(by_text.items(), key=lambda entry: len(entry[1]) < len(names))), len(names))


def _told(by_text: dict[str, list[str]], num_points: int) -> list[str]:
    """A line a text, with the points it is about, if not all."""
    found = []
    for text, names in by_text.items():
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        found.append(text if len(names) == num_points else f"{', '.join(names[:MAX_NAMES])}{more}: {text}")
    return found


def _refuse_unknown_ends(sweep: Sweep, planned: Plan) -> None:
    there = planned.recipe.ends if isinstance(planned.recipe, TrainRecipe) else []
    for name in sweep.ends:
        if name not in there:
            raise ValueError(f"ends names {name!r}; {nearest(name, there)}")


def _refuse_twins(points: list[PlannedPoint]) -> None:
    known: dict[frozenset[str], str] = {}
    for planned in points:
        made = frozenset(str(stage.folder) for stage in planned.work)
        if made in known:
            raise ValueError(
                f"points {known[made]!r} and {planned.point.name!r} make the same, stage for stage: what they differ in changes "
                "nothing that is made; take one of them out"
            )
        known[made] = planned.point.name


def _refuse_other_places(points: list[PlannedPoint]) -> None:
    first = points[0]
    for planned in points:
        for key in ("root", "cluster"):
            if getattr(planned.plan.recipe, key) != getattr(first.plan.recipe, key):
                raise ValueError(
                    f"points {first.point.name!r} and {planned.point.name!r} differ in {key}, but a sweep is made in one place; "
                    f"set {key}=… for all"
                )
