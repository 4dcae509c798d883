"""The transparency report: which items of the checklist (checklist.py) the manifests of a run show, with the fields that show
them, and what lacks. Nothing is taken on trust: an item without its fields is not shown, whatever a page promises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.manifest import read_summary
from recipes.report.checklist import CHECKLIST, Item
from recipes.report.record import Record
from recipes.stage import RECIPE, Stage, is_finished, is_uri, read_stage

LISTED = 6  # stages named an item
LONG_CHAINS = ("long_cot",)  # templates of a format stage


@dataclass(frozen=True)
class Finding:
    item: Item
    is_shown: bool
    evidence: tuple[str, ...]  # `page/stage-fingerprint: field, field`
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class Area:
    name: str
    findings: list[Finding]

    @property
    def points(self) -> int:
        return sum(finding.item.points for finding in self.findings if finding.is_shown)

    @property
    def possible(self) -> int:
        return sum(finding.item.points for finding in self.findings)


def transparency(stages: Sequence[Stage]) -> list[Area]:
    """The areas of the checklist, judged by the finished ones of these stages."""
    finished = [_record(stage.folder) for stage in stages if stage.is_finished]
    unfinished = [stage for stage in stages if not is_finished(stage.folder)]
    evaluated = {str(record.at("params")) for record in finished if record.do == "evaluate"}
    for record in finished:
        record.manifest["recipe"]["same_parameters"] = len(evaluated) == 1
    findings = [find(item, finished, unfinished) for item in CHECKLIST]
    return [Area(name, [f for f in findings if f.item.area == name]) for name in dict.fromkeys(f.item.area for f in findings)]


def find(item: Item, finished: Sequence[Record], unfinished: Sequence[Stage]) -> Finding:
    """Whether every stage that an item is about has all its fields."""
    waiting = [f"{stage.page}/{stage.name} is not finished" for stage in unfinished if not item.kinds or stage.do in item.kinds]
    about = [record for record in finished if not item.kinds or record.do in item.kinds]
    about = [record for record in about if not item.having or _has(record, item.having)]
    if not about and not waiting:
        kinds = " or ".join(item.kinds) or item.having
        absence = (f"none of the {len(finished)} finished stages is one ({kinds})",)
        is_shown = item.absent and bool(finished)
        return Finding(item, is_shown, absence if is_shown else (), () if is_shown else (item.lacking or absence[0],))
    evidence, lacking = [], list(waiting)
    for record in about:
        missing = [field for field in item.fields if not _has(record, field)]
        shown = [next(path for path in field.split("|") if _has(record, path)) for field in item.fields if field not in missing]
        evidence += [f"{record.made}: {', '.join(shown)}"] if shown else []
        lacking += [f"{record.made} has no {' nor '.join(field.split('|'))}" for field in missing]
    way_out = (item.lacking,) if lacking and item.lacking else ()
    return Finding(item, not lacking, _some(evidence), (*_some(lacking), *way_out))


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(lines) - LISTED} more",) if len(lines) > LISTED else ()
    return (*lines[:LISTED], *more)


def _has(record: Record, field: str) -> bool:
    """Whether one of the alternatives is there and says something; the number 0 does."""
    told = (record.at(*path.split(".")) for path in field.split("|"))
    return any(value is not None and value is not False and value not in ("", {}, []) for value in told)


def _record(folder: Path) -> Record:
    """A manifest, and under `recipe` what else its folder tells; `clean_commit` is the commit of a checkout without changes."""
    manifest: dict[str, Any] = read_summary(folder)
    record = Record(folder, manifest)
    inputs = read_stage(folder).inputs if (folder / RECIPE).is_file() else {}
    sources = [entry for role, entry in inputs.items() if role.startswith("source/")]
    manifest["recipe"] = {
        "known_sources": bool(sources) and all(is_uri(entry.location) or entry.stage for entry in sources),
        "public_sources": bool(sources) and all(is_uri(entry.location) for entry in sources),
        "long_chains": record.at("params", "template") in LONG_CHAINS,
    }
    commit = str(record.at("software", "commit") or "unknown")
    manifest["software"] = record.tree("software") | {"clean_commit": "" if "dirty" in commit or commit == "unknown" else commit}
    return record
