"""All stages that a released checkpoint comes from, found in a plan by what each stage reads."""

from dataclasses import dataclass
from pathlib import Path

from recipes.stage import Input, Stage, read_stage
from slurm.plan import Plan, train_recipe
from slurm.release.readiness import find_card

NUM_NAMED = 5  # stages that lack, in an error


@dataclass(frozen=True)
class Lineage:
    """`stages`: the export, the finished certificates of what it was trained on, and all before them, in the order of work.
    `certificates`: all that are planned, of every dataset on the way."""

    end: str
    export: Stage
    stages: list[Stage]
    certificates: list[Stage]
    prove: str | None = None  # the page that its readiness card is asked of
    card: Stage | None = None
    why_no_card: str = ""

    @property
    def trained(self) -> list[Stage]:
        return [stage for stage in self.stages if stage.do in ("train", "average", "export")]

    @property
    def base(self) -> Input:
        return self.export.inputs["config"]


def lineage(plan: Plan, end: str) -> Lineage:
    """Of one end of a train page. ValueError names the stages that are not finished."""
    export = next(stage for stage in plan.stages if stage.page == plan.page and stage.name == f"export_{end}")
    way = _way_to([export], plan)
    unfinished = [f"{stage.page}/{stage.name}" for stage in way if not stage.is_finished]
    if unfinished:
        rest = f" and {len(unfinished) - NUM_NAMED:,} more" if len(unfinished) > NUM_NAMED else ""
        told = f"{', '.join(unfinished[:NUM_NAMED])}{rest}"
        raise ValueError(f"{told} not finished; make what is missing with: midtrain run {plan.page}")
    folders = {str(stage.folder) for stage in way}
    certificates = [stage for stage in plan.stages if stage.do == "certificate" and stage.inputs["tokens"].stage in folders]
    found = _way_to([export, *(one for one in certificates if one.is_finished)], plan)
    prove = train_recipe(plan, "release").release.prove
    card, why = find_card(plan, export, prove) if prove else (None, "")
    stages = [*found, *_before(card, _folders(found))] if card else found
    return Lineage(end, export, stages, certificates, prove, card, why)


def _way_to(last: list[Stage], plan: Plan) -> list[Stage]:
    """These stages and all that they read, in the order of work."""
    by_folder = {str(stage.folder): stage for stage in plan.stages}
    waiting, found = list(last), {str(stage.folder) for stage in last}
    while waiting:
        folders = {entry.stage for entry in waiting.pop().inputs.values() if entry.stage in by_folder}
        waiting += [by_folder[folder] for folder in sorted(folders - found)]
        found |= folders
    return [stage for stage in plan.stages if str(stage.folder) in found]


def _before(stage: Stage, known: set[str]) -> list[Stage]:
    """A stage of another page with all that it read and that is not known, in the order of work, from their folders alone."""
    found: list[Stage] = []
    for folder in (entry.stage for entry in stage.inputs.values()):
        if folder is not None and folder not in known:
            found += _before(read_stage(folder), known | _folders(found))
    return found if str(stage.folder) in known | _folders(found) else [*found, stage]


def _folders(stages: list[Stage]) -> set[str]:
    return {str(stage.folder) for stage in stages}


def ends(plan: Plan, branch: str | None) -> list[str]:
    """Those to release: all of a train page, or the named one."""
    known = train_recipe(plan, "release").ends
    if branch is None:
        return known
    if branch not in known:
        raise ValueError(f"--branch {branch}: {plan.page} has no such end; it has {', '.join(known)}")
    return [branch]


def name_of(folder: Path) -> str:
    """PAGE/STAGE-FINGERPRINT, as manifests name what made an input."""
    return "/".join(folder.parts[-3:])
