"""Why a document has several fates: what the stages behind each were asked or given otherwise."""

from collections.abc import Iterator, Sequence
from typing import Any

from recipes.report.record import Record
from slurm.leaves import differences, flat

Fate = dict[str, Any]


def told_apart(fates: Sequence[Fate], records: Sequence[Record]) -> list[Fate]:
    """Fates of one document on one page stand together, the newest first. Each says under `differs` what is otherwise than
    with the newest, as rows of {stage, key, a, b}, of which `a` is the newest's; and under `same_as_newest` whether every
    stage told the same of it."""
    by_made = {record.made: record for record in records}
    together: dict[tuple[str, str], list[Fate]] = {}
    for fate in fates:
        together.setdefault((fate["page"], fate["id"]), []).append(fate)
    for alike in together.values():
        alike.sort(key=lambda fate: str(by_made[_made(fate)[-1]].at("ended")), reverse=True)
        base = _behind(alike[0], by_made)
        for fate in alike:
            stages = _behind(fate, by_made)
            fate["differs"] = differences([name for name in base if name in stages], base, stages, _asked)
            fate["same_as_newest"] = fate is not alike[0] and _told(fate) == _told(alike[0])
    return [fate for alike in together.values() for fate in alike]


def _made(fate: Fate) -> list[str]:
    """Stages of the way; of one that is blended several may have read it."""
    return [step["made"] for step in fate["steps"] if step["outcome"] != "blended"]


def _told(fate: Fate) -> list[dict[str, Any]]:
    return [{key: value for key, value in step.items() if key != "made"} for step in fate["steps"]]


def _behind(fate: Fate, by_made: dict[str, Record]) -> dict[str, Record]:
    """Stages of the way and all that they were made from, by page and name, first those that were made first."""
    found: dict[str, Record] = {}

    def visit(made: str) -> Iterator[Record]:
        if made in by_made and by_made[made].name not in found:
            found[by_made[made].name] = by_made[made]
            for before in by_made[made].inputs.values():
                yield from visit(before)
            yield by_made[made]

    return {record.name: record for made in _made(fate) for record in visit(made)}


def _asked(record: Record) -> dict[str, Any]:
    """What decides a stage besides the stages before it: parameters, the version of its code, what came from outside."""
    outside = {
        role: entry.get("identity")
        for role, entry in record.tree("inputs").items()
        if isinstance(entry, dict) and not entry.get("made_by")
    }
    return flat(record.tree("params")) | {"version": record.at("version")} | outside
