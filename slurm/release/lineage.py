"""All stages that a released checkpoint comes from, found in a plan by what each stage reads."""

from dataclasses import dataclass
from pathlib import Path

from recipes.schema import TrainRecipe
from recipes.stage import Input, Stage
from slurm.plan import Plan


@dataclass(frozen=True)
class Lineage:
    """`stages`: the export and everything before it, in the order of work. `certificates`: of contamination, planned for the
    datasets among them."""

    end: str
    export: Stage
    stages: list[Stage]
    certificates: list[Stage]

    @property
    def trained(self) -> list[Stage]:
        return [stage for stage in self.stages if stage.room == "pretrain"]

    @property
    def curated(self) -> list[Stage]:
        return [stage for stage in self.stages if stage.room == "curation"]

    @property
    def base(self) -> Input:
        return self.export.inputs["config"]


def lineage(plan: Plan, end: str) -> Lineage:
    """Of one end of a train page. ValueError names the stages that are not finished."""
    by_folder = {str(stage.folder): stage for stage in plan.stages}
    export = next(stage for stage in plan.stages if stage.page == plan.page and stage.name == f"export_{end}")
    found, waiting = {str(export.folder)}, [export]
    while waiting:
        folders = {entry.stage for entry in waiting.pop().inputs.values() if entry.stage is not None}
        waiting += [by_folder[folder] for folder in folders - found if folder in by_folder]
        found |= folders
    stages = [stage for stage in plan.stages if str(stage.folder) in found]
    unfinished = [f"{stage.page}/{stage.name}" for stage in stages if not stage.is_finished]
    if unfinished:
        raise ValueError(f"{plan.page}: {', '.join(unfinished)} not finished; make what is missing with: midtrain run {plan.page}")
    certificates = [
        stage for stage in plan.stages if stage.do == "certificate" and stage.inputs["tokens"].stage in {str(s.folder) for s in stages}
    ]
    return Lineage(end, export, stages, certificates)


def ends(plan: Plan, branch: str | None) -> list[str]:
    """Those to release: all of a train page, or the named one."""
    if not isinstance(plan.recipe, TrainRecipe):
        raise ValueError(f"{plan.page} makes a dataset, not a model; release takes a train page")
    if branch is None:
        return plan.recipe.ends
    if branch not in plan.recipe.ends:
        raise ValueError(f"--branch {branch}: {plan.page} has no such end; it has {', '.join(plan.recipe.ends)}")
    return [branch]


def name_of(folder: Path) -> str:
    """PAGE/STAGE-FINGERPRINT, as manifests name what made an input."""
    return "/".join(folder.parts[-3:])
