"""How much of a stage's input may be unreadable. A page may change its mind when the stage is finished: planning asks again."""

from typing import Any

from recipes.stage import Stage

LIMITS = {"records": "max_unreadable_records", "files": "max_unreadable_files"}


def beyond_limits(stage: Stage, counts: dict[str, Any], names: dict[str, list[str]]) -> str:
    """What could not be read above a limit of the page, by type and with names of files; "" when all is within."""
    unreadable = counts.get("unreadable", {})
    for what, limit in LIMITS.items():
        bad = sum(unreadable.get(what, {}).values())
        if not bad or limit not in stage.run:
            continue
        total = counts.get(what, 0) + (bad if what == "records" else 0)
        if bad > stage.run[limit] * total:
            kinds = ", ".join(
                f"{kind} {n} ({', '.join(names.get(f'{what}/{kind}', []))})" for kind, n in unreadable[what].items()
            )
            return (
                f"{stage.page}/{stage.name}: {bad} of {total} {what} could not be read, above {limit}={stage.run[limit]}: "
                f"{kinds}. Mend the files, or raise the limit on the page"
            )
    return ""
