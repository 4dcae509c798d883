"""Deduplication becomes stages. An index of other documents that does not fit is a problem of the plan: the stages would find
it only after all signatures were made.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.banding import band_files, banding, read_banding
from recipes.stage import RECIPE, Input, Stage, is_finished, made, read_stage

if TYPE_CHECKING:
    from slurm.curation_stages import Page

INDEX = "dedup_index"
WAY_OUT = "name made:curate/PAGE/dedup_index, with `index: true` in the dedup stage of that page, or such a stage's folder"


def dedup(page: "Page", name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Ranks share the work by shards, then by keys; one process says who stays; then shards again (curation/dedup)."""
    rule = {"keep": params["keep"], "url": params["url"], "source_order": list(page.recipe.sources)}
    rule["source_order"] = rule["source_order"] if "source" in params["keep"] else []
    banded = {key: params[key] for key in ("ngram", "num_bands", "rows_per_band")} | rule | {"seed": page.recipe.seed}
    against = {}
    for key, path in params["against"].items():
        where = f"stages.{name}.against.{key}"
        entry = against[f"against/{key}"] = page.planner.locate(path, where)
        if problem := _misfit(page, path, entry, banding(banded)):
            page.planner.outside.problem(f"{where}: {path} {problem}")
    signatures = page.stage(f"{name}_signatures", "dedup_signatures", banded | page.sharded, inputs)
    yield signatures
    found = {"signatures": made(signatures), **against}
    candidates = page.stage(f"{name}_candidates", "dedup_candidates", page.sharded, found)
    yield candidates
    checked = {"min_jaccard": params["min_jaccard"]} | page.sharded
    pairs = page.stage(f"{name}_pairs", "dedup_pairs", checked, {**found, "candidates": made(candidates)})
    yield pairs
    clusters = page.stage(f"{name}_clusters", "dedup_clusters", rule, {**found, "pairs": made(pairs)})
    yield clusters
    decided = {"signatures": made(signatures), "clusters": made(clusters)}
    if params["index"]:
        yield page.stage(f"{name}_index", INDEX, page.sharded, decided)
    yield page.stage(name, "dedup", page.sharded, inputs | decided, **page.limits)


def _misfit(page: "Page", path: str, entry: Input, wanted: dict[str, int]) -> str:
    """Why documents cannot be compared with this index; empty if they can, or if `locate` has told that it is not there."""
    if entry.identity.startswith("missing:"):
        return ""
    try:
        found = _banding_planned(page, entry) if entry.stage else _banding_there(Path(entry.location))
    except (OSError, ValueError) as error:
        return str(error)
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if not different:
        return ""
    theirs, ours = (", ".join(f"{key} {given.get(key)}" for key in different) for given in (found, wanted))
    if "hashes" in different:
        return f"was made by another version of midtrain, with {theirs} where this one has {ours}; make the index again"
    return f"was made with {theirs}, where this page has {ours}; set both alike, and make again what is changed"


def _banding_planned(page: "Page", entry: Input) -> dict[str, int]:
    planned = {str(stage.folder): stage for stage in page.planner.ordered}
    stage = planned[str(entry.stage)]
    if stage.do != INDEX or entry.location != entry.stage:
        raise ValueError(f"is no index of documents that are kept; {WAY_OUT}")
    return banding(planned[str(stage.inputs["signatures"].stage)].params)


def _banding_there(folder: Path) -> dict[str, int]:
    """Of a folder from outside. Signatures look like an index, but hold documents that were dropped: its recipe tells."""
    if (folder / RECIPE).is_file():
        stage = read_stage(folder)
        if stage.do != INDEX:
            raise ValueError(f"is a stage of kind {stage.do}, not an index of documents that are kept; {WAY_OUT}")
        if not is_finished(folder):
            raise ValueError(f"is an index that is not finished; finish it with: midtrain run {stage.page}")
    try:
        found = read_banding(folder)
    except (OSError, ValueError) as error:
        raise ValueError(f"holds an index whose {band_files(folder)[0]} cannot be read ({error}); make it again") from error
    if not found:
        raise ValueError(f"holds no index; {WAY_OUT}")
    return found
