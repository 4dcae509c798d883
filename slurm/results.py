"""Where results lie: links to the newest finished ones, stages by their names, and what a finished stage did in a few words."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.manifest import read_summary
from recipes.resume import doubt
from recipes.stage import Stage, read_stage

if TYPE_CHECKING:
    from slurm.plan import Plan


def find_stage(name: str, root: Path) -> Stage:
    """The newest stage folder of PAGE/STAGE, or the folder itself."""
    if (Path(name) / "recipe.yaml").is_file():
        return read_stage(Path(name))
    page, _, stage = name.rpartition("/")
    found = [read_stage(file.parent) for file in (root / page).glob(f"{stage}-*/recipe.yaml")] if page and stage else []
    named = [entry for entry in found if entry.name == stage]
    if not named:
        there = sorted({file.parent.name.rpartition("-")[0] for file in (root / page).glob("*/recipe.yaml")}) if page else []
        hint = f"stages there: {', '.join(there)}" if there else "run its page first, or name the results with --root"
        raise ValueError(f"there is no stage {name!r} under {root}; {hint}")
    return max(named, key=lambda entry: (entry.is_finished, (entry.folder / "recipe.yaml").stat().st_mtime))


def link_results(plan: "Plan") -> None:
    """`<root>/<page>/report.html` and `export/<branch>`: links to the newest finished ones, of pages that were pulled in too."""
    for stage in plan.stages:
        if stage.is_finished:
            link_result(stage)


def link_result(stage: Stage) -> None:
    """Of a finished stage, if it is one that a person looks at."""
    page_folder = stage.folder.parent
    if stage.do == "report":
        _link(page_folder / "report.html", stage.folder / "report.html")
    if stage.do == "export":
        _link(page_folder / "export" / stage.name.removeprefix("export_"), stage.folder / "hf")


def _link(link: Path, target: Path) -> None:
    pointed_at = os.path.relpath(target, link.parent)
    if link.is_symlink() and os.readlink(link) == pointed_at:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.symlink_to(pointed_at)
    os.replace(temporary, link)


def summary(stage: Stage) -> str:
    """What a finished stage did, in a few words."""
    manifest = read_summary(stage.folder)
    counts, seconds = manifest["counts"], manifest["seconds"]
    if "documents_in" in counts:
        kept = counts.get("documents_out")
        words = f"{counts['documents_in']:,} documents" + (f" → {kept:,}" if kept is not None else "")
    elif stage.do == "tokenize":
        words = f"{sum(counts['tokens'].values()):,} tokens"
    elif stage.do == "train":
        words = f"{counts['steps']:,} steps, {counts['tokens']:,} tokens, loss {manifest['details']['loss']['last']:.3f}"
        words += ", changed by an interruption: midtrain status says how" if doubt(manifest["details"]) else ""
    elif stage.do == "average":
        losses = "  ".join(f"{name} {loss:.3f}" for name, loss in manifest["details"]["validation"].items())
        words = f"{counts['checkpoints']:,} checkpoints  {losses}"
    elif stage.do == "export":
        words = f"logits differ by {manifest['details']['parity']['max_difference']:.1e} at most"
    elif stage.do == "certificate":
        words = f"{counts['items_hit']:,} benchmark items hit, {counts['canaries']:,} canaries planted"
    elif stage.do == "probe":
        share = manifest["details"]["probe"]["held_out"]
        before, after = (share[when]["right"] for when in ("before", "after"))
        words = f"{counts['steps']:,} steps, held-out answers right {before:.1%} → {after:.1%}"
    elif stage.do == "probe_verdict":
        found = manifest["details"]["probe"]["checkpoints"]
        words = ", ".join(f"{name}: {checkpoint['verdict']}" for name, checkpoint in found.items())
    elif stage.do == "evaluate":
        words = f"{counts['items']:,} items, {counts['grades']['correct']:,} right"
    elif stage.do == "answers":
        words = f"{counts['answers']:,} answers to {counts['problems']:,} problems"
    elif stage.do == "readiness":
        verdicts = Counter(check["verdict"] for check in manifest["details"]["readiness"]["checks"].values())
        words = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("pass", "concern", "fail") if verdicts[verdict])
    else:
        words = ""
    return f"{words}  {seconds:.1f} s".strip()
