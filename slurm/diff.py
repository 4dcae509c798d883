"""Two roads compared: what was asked differently, what was put in, with which code, and what came out of it.

A road is a page with overrides, or a stage folder with all that it was made from: a dataset or a training run. Stages of the
road's own page are matched by name, those of other pages by page and name. Manifests are compared leaf by leaf; documents of
datasets by id (`slurm/kept.py`).
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.load import pages
from recipes.manifest import read_manifest
from recipes.report.funnel import Dataset, Step, read_datasets
from recipes.report.record import Record
from recipes.stage import Input, Stage, read_stage
from slurm.forecast import FORECAST
from slurm.kept import compare_documents
from slurm.leaves import differences, flat
from slurm.plan import plan
from slurm.results import find_stage
from slurm.training_diff import compare_training

IN_FUNNEL = ("documents_in", "documents_out", "characters_in", "characters_out", "dropped", "details")


@dataclass(frozen=True)
class Road:
    """Stages in the order of work by their names for matching; `records` of those that are finished."""

    name: str
    page: str
    stages: dict[str, Stage]
    records: dict[str, Record]

    @property
    def own_records(self) -> list[Record]:
        return [record for record in self.records.values() if record.page == self.page]

    @property
    def is_finished(self) -> bool:
        return len(self.records) == len(self.stages)

    @property
    def datasets(self) -> list[Dataset]:
        return read_datasets(list(self.records.values()))


def read_road(given: str, root: Path) -> Road:
    """`given`: a page with its overrides in one argument, PAGE/STAGE (the newest), both with their results under `root`; or a
    stage folder."""
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise ValueError(f"{given!r} cannot be read ({error}); put quotation marks in pairs") from None
    if words and words[0] in pages():
        planned = plan(words[0], (f"root={root}", *words[1:]))
        return _road(given, planned.page, [stage for stage in planned.stages if stage.do != "report"])
    if len(words) != 1:
        raise ValueError(f"{given!r} is no page with overrides, no PAGE/STAGE and no stage folder; see: midtrain show")
    last = find_stage(words[0], root)
    return _road(given, last.page, list(_behind(last, {})))


def compare(one: Road, other: Road) -> dict[str, Any]:
    """All that differs, each as {stage, key, a, b}; what is not there is None. Documents that only one keeps are told where
    both roads are of datasets and differ."""
    if one.page != other.page and (_holds(one, other.page) or _holds(other, one.page)):
        one, other = _by_page_and_name(one), _by_page_and_name(other)  # a training run and a dataset that it reads
    one, other = _with_ends_matched(one, other)
    names = list(dict.fromkeys([*one.stages, *other.stages]))
    same = {name: stage.fingerprint for name, stage in one.stages.items()} == {
        name: stage.fingerprint for name, stage in other.stages.items()
    }
    unfinished = [side for side, road in (("a", one), ("b", other)) if not road.is_finished]
    return {
        "a": {"name": one.name, "finished": len(one.records), "stages": len(one.stages)},
        "b": {"name": other.name, "finished": len(other.records), "stages": len(other.stages)},
        "same": same,
        "stages": [_stage_row(name, one.stages.get(name), other.stages.get(name)) for name in names],
        "params": _params(names, one, other),
        "inputs": [row for name in names for row in _input_rows(name, one.stages.get(name), other.stages.get(name))],
        "versions": differences(names, one.stages, other.stages, lambda stage: {"version": stage.version})
        + differences(["software"], {"software": one}, {"software": other}, _software),
        "run": differences(names, one.stages, other.stages, _runs),
        "funnel": _funnel(one, other),
        "reasons": [row for name in names for row in _reason_rows(name, one, other)],
        "figures": differences(names, one.records, other.records, _figures),
        "unfinished": unfinished,
        "training": compare_training(one.stages, other.stages, one.records, other.records),
        "documents": None if same or unfinished else compare_documents(one.own_records, other.own_records),
    }


def _runs(stage: Stage) -> dict[str, Any]:
    """Where a stage ran and how; what its plan foretold follows from that."""
    return flat({key: value for key, value in stage.run.items() if key != FORECAST})


# ---------------------------------------------------------------------------------------------------- roads


def _road(name: str, page: str, stages: Sequence[Stage]) -> Road:
    named = {stage.name if stage.page == page else f"{stage.page}/{stage.name}": stage for stage in stages}
    finished = {key: Record(stage.folder, read_manifest(stage.folder)) for key, stage in named.items() if stage.is_finished}
    return Road(name, page, named, finished)


def _holds(road: Road, page: str) -> bool:
    return any(stage.page == page for stage in road.stages.values())


def _by_page_and_name(road: Road) -> Road:
    return _renamed(road, {name: f"{stage.page}/{stage.name}" for name, stage in road.stages.items()})


def _renamed(road: Road, names: dict[str, str]) -> Road:
    stages = {names.get(name, name): stage for name, stage in road.stages.items()}
    return Road(road.name, road.page, stages, {names.get(name, name): record for name, record in road.records.items()})


def _behind(stage: Stage, seen: dict[str, Stage]) -> Iterator[Stage]:
    """A stage behind all that it was made from, each once."""
    for entry in stage.inputs.values():
        if entry.stage is not None and entry.stage not in seen and (Path(entry.stage) / "recipe.yaml").is_file():
            seen[entry.stage] = read_stage(entry.stage)
            yield from _behind(seen[entry.stage], seen)
    yield stage


def _with_ends_matched(one: Road, other: Road) -> tuple[Road, Road]:
    """Where each road has another last stage of the same kind (two branches), they are matched under both names."""
    mine, theirs = list(one.stages)[-1], list(other.stages)[-1]
    if mine in other.stages or theirs in one.stages or one.stages[mine].do != other.stages[theirs].do:
        return one, other
    both = f"{mine} / {theirs}"
    return _renamed(one, {mine: both}), _renamed(other, {theirs: both})


# ---------------------------------------------------------------------------------------------------- differences


def _params(names: Sequence[str], one: Road, other: Road) -> list[dict[str, Any]]:
    """With what was `chosen` at run time, where that is on record."""
    rows = differences(names, one.stages, other.stages, lambda stage: flat(stage.params))
    for row in rows:
        for side, road in (("a", one), ("b", other)):
            if row[side] == "chosen" and row["stage"] in road.records:
                found = road.records[row["stage"]].at("details", "chosen", *row["key"].split(".")[1:])
                row[side] = _chosen(found) if isinstance(found, dict) else "chosen"
    return rows


def _chosen(by_year: dict[str, float]) -> str:
    if len(by_year) == 1:
        return f"chosen: {next(iter(by_year.values()))}"
    return f"chosen: {', '.join(f'{year} {score}' for year, score in by_year.items())}"


def _stage_row(name: str, one: Stage | None, other: Stage | None) -> dict[str, Any]:
    """`because`: what of the stage itself differs; "inputs made" where only stages before it do."""
    row: dict[str, Any] = {"stage": name, "a": one and one.fingerprint, "b": other and other.fingerprint, "because": []}
    if one is None or other is None or one.fingerprint == other.fingerprint:
        return row
    parts = {
        "params": one.params != other.params,
        "inputs": any(_input_rows(name, one, other)),
        "version": one.version != other.version,
        "inputs made": _made(one.inputs) != _made(other.inputs),
    }
    return row | {"because": [part for part, differs in parts.items() if differs]}


def _input_rows(name: str, one: Stage | None, other: Stage | None) -> Iterator[dict[str, Any]]:
    """Files and models from outside that are not the same, wherever they lie; of stages only which ones they are."""
    if one is None or other is None:
        return
    for role in dict.fromkeys([*one.inputs, *other.inputs]):
        a, b = (_source(stage.inputs.get(role)) for stage in (one, other))
        if a.identity != b.identity:
            yield {"stage": name, "key": role, "a": a.told, "b": b.told}


@dataclass(frozen=True)
class _Told:
    """An input: by what it is compared, and what is said of it."""

    identity: str | None
    told: str | None


def _source(entry: Input | None) -> _Told:
    if entry is None:
        return _Told(None, None)
    if entry.stage is not None:
        stage = "/".join(Path(entry.stage).parts[-3:]).rpartition("-")[0]
        return _Told(stage, stage)
    is_hashed = entry.location != entry.identity
    return _Told(entry.identity, f"{entry.location} ({entry.identity[:12]})" if is_hashed else entry.location)


def _made(inputs: dict[str, Input]) -> dict[str, str]:
    return {role: entry.identity for role, entry in inputs.items() if entry.stage is not None}


def _software(road: Road) -> dict[str, Any]:
    """Versions by package; several where stages were made with several."""
    versions: dict[str, list[str]] = {}
    for record in road.records.values():
        for package, version in record.tree("software").items():
            known = versions.setdefault(str(package), [])
            known += [str(version)] if str(version) not in known else []
    return {package: ", ".join(known) for package, known in sorted(versions.items())}


# ---------------------------------------------------------------------------------------------------- what came out


def _funnel(one: Road, other: Road) -> list[dict[str, Any]]:
    """Documents and tokens out of each stage of the roads' own datasets; tokens before tokenize are estimates."""
    sides = [{step.name: step for step in _steps(road)} for road in (one, other)]
    rows = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = sides[0].get(name), sides[1].get(name)
        if a and b and a.record.made == b.record.made:
            b = a  # the same stage: each road estimates its tokens by its own characters per token
        rows.append(
            {
                "stage": name,
                "documents": [step.documents_out if step else None for step in (a, b)],
                "tokens": [round(step.tokens) if step and step.tokens is not None else None for step in (a, b)],
                "exact": all(step.is_exact for step in (a, b) if step),
            }
        )
    return rows


def _steps(road: Road) -> list[Step]:
    return next((dataset.steps for dataset in road.datasets if dataset.page == road.page), [])


def _reason_rows(name: str, one: Road, other: Road) -> Iterator[dict[str, Any]]:
    """Documents that a stage dropped, by reason. None: that road has no such stage; one that is not finished tells nothing."""
    if any(name in road.stages and name not in road.records for road in (one, other)):
        return
    a, b = (_dropped(road.records[name]) if name in road.records else None for road in (one, other))
    for reason in dict.fromkeys([*(a or {}), *(b or {})]):
        numbers = [None if dropped is None else dropped.get(reason, 0) for dropped in (a, b)]
        if (numbers[0] or 0) != (numbers[1] or 0):
            yield {"stage": name, "key": reason, "a": numbers[0], "b": numbers[1]}


def _dropped(record: Record) -> dict[str, int]:
    return {reason: record.number("counts", "dropped", reason, "documents") or 0 for reason in record.tree("counts", "dropped")}


def _figures(record: Record) -> dict[str, Any]:
    """What a stage counted and measured, but for what the funnel and the reasons tell."""
    counts = {key: value for key, value in record.tree("counts").items() if key not in IN_FUNNEL}
    leaves = flat(counts) | flat(record.tree("details"))
    return {key: value for key, value in leaves.items() if not isinstance(value, list)}
