"""What `midtrain status` shows: a line a stage, and below the table what a person must act on."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console, Group, JustifyMethod
from rich.table import Table
from rich.text import Text

from slurm.console import shown
from slurm.display import human

STYLES = {
    "done": "green",
    "running": "cyan",
    "queued": "blue",
    "failing": "bold red",
    "failed": "bold red",
    "lost": "bold red",
    "waiting": "yellow",
    "submitted": "yellow",
    "resumable": "yellow",
    "missing": "dim",
}
FOLDED = ({"done"}, {"missing"})  # a page whose stages are all so is one line
WIDE = 110  # columns of a terminal from which rates, nodes and reasons of restarts have room
NARROW_NAME = 24  # of a stage, below that, where jobs need the room; longer ones are folded
GAP = 2  # between columns
NUM_NAMED = 3  # stages that wait for the same; the rest is counted


def status_view(record: dict[str, Any], width: int) -> Group:
    """One picture, to be drawn again."""
    return Group(_table(record, width), *_details(record), _closing(record))


def print_status(console: Console, record: dict[str, Any]) -> None:
    """For good: what is below the table is not broken into lines, so that it can be searched and copied."""
    console.print(_table(record, console.width))
    for text in (*_details(record), _closing(record)):
        console.print(text, highlight=False, soft_wrap=True)


def _table(record: dict[str, Any], width: int) -> Table:
    rows = list(_rows(record, width))
    has_restarts = any(cells["restarts"] for cells in rows)
    columns = [
        "stage",
        "state",
        "progress",
        *(["rate"] if width >= WIDE else []),
        "left",
        *(["restarts"] if has_restarts else []),
    ]
    table = Table(box=None, header_style="bold", pad_edge=False)
    longest = {column: max(len(column), *(len(cells[column]) for cells in rows)) for column in [*columns, "jobs"]}
    room = width - sum(longest[column] + GAP for column in columns[1:]) - GAP  # of a stage's name and its jobs
    name = longest["stage"]
    if width < WIDE:
        name = min(name, max(NARROW_NAME, room - longest["jobs"]))
    table.add_column("stage", width=name, overflow="fold")  # whole: names of a sweep's points differ at their ends
    for column in columns[1:]:
        justify: JustifyMethod = "right" if column in ("progress", "rate", "left") else "left"
        table.add_column(column, no_wrap=True, width=longest[column], overflow="ellipsis", justify=justify)
    table.add_column("jobs", no_wrap=True, width=max(room - name, len("jobs")), overflow="ellipsis")
    for cells in rows:
        table.add_row(*(cells[column] for column in [*columns, "jobs"]))
    return table


def _rows(record: dict[str, Any], width: int) -> Iterator[dict[str, Text]]:
    """The page that was asked for comes last, and its stages always have lines of their own."""
    pages: dict[str, list[dict[str, Any]]] = {row["page"]: [] for row in record["stages"] if row["page"] != record["page"]}
    for row in record["stages"]:
        pages.setdefault(row["page"], []).append(row)
    nothing = {column: Text() for column in ("stage", "state", "progress", "rate", "left", "restarts", "jobs")}
    for page, rows in pages.items():
        states = {row["state"] for row in rows}
        if page != record["page"] and states in FOLDED:
            [state] = states
            told = Text(f"{len(rows)} stage{'s' if len(rows) > 1 else ''}")
            yield nothing | {"stage": Text(page), "state": Text(state, STYLES[state]), "progress": told}
            continue
        yield nothing | {"stage": Text(page, "bold")}
        for row in rows:
            yield _cells(row, width)


def _cells(row: dict[str, Any], width: int) -> dict[str, Text]:
    progress, restarts = row.get("progress") or {}, row.get("restarts", {})
    rate, left = progress.get("rate"), progress.get("eta_seconds")
    is_going = row["state"] in ("running", "failing")
    by_reason = ", ".join(f"{count} {reason}" for reason, count in restarts.items())
    return {
        "stage": Text(f"  {row['stage']}"),
        "state": Text(row["state"], STYLES[row["state"]]),
        "progress": Text(f"took {_duration(row['seconds'])}" if "seconds" in row else _progress(row, is_going)),
        "rate": Text(f"{_number(rate)} {progress['unit']}/s" if rate and is_going else ""),
        "left": Text(_duration(left) if left is not None and is_going else ""),
        "restarts": Text(by_reason if width >= WIDE else str(sum(restarts.values()) or "")),
        "jobs": _jobs(row, width),
    }


def _progress(row: dict[str, Any], is_going: bool) -> str:
    progress = row.get("progress") or {"unit": "", "age": None}
    if "ranks" in row and (is_going or row["ranks"]["done"]):
        told = f"{row['ranks']['done']:,}/{row['ranks']['total']:,} ranks"
    elif progress["unit"]:
        total = f"/{human(progress['total'])}" if progress["total"] else ""
        told = f"{human(progress['done'])}{total} {progress['unit']}"
    else:
        return ""
    return told if is_going or progress["age"] is None else f"{told}, {_duration(progress['age'])} ago"


def _jobs(row: dict[str, Any], width: int) -> Text:
    if row["state"] == "waiting":
        return Text(row["told"].partition(":")[0], "yellow")
    told = Text()
    for job in row.get("jobs", []):
        told.append(", " if told else "")
        told.append(f"{job['job']}{'' if job['part'] == 'main' else ' ' + job['part']} {_counts(job, width)}")
        if job["reason"] and not job["running"]:
            told.append(f" ({job['reason']})", "dim")
        if width >= WIDE and job["nodes"]:
            told.append(f" on {', '.join(job['nodes'][:4])}{' …' if len(job['nodes']) > 4 else ''}", "dim")
    return told


def _counts(job: dict[str, Any], width: int) -> str:
    if job["running"] + job["pending"] == 1:
        return str(job["state"]).lower()
    words = {"running": "running", "pending": "pending"} if width >= WIDE else {"running": "run", "pending": "wait"}
    return " ".join(f"{job[key]} {word}" for key, word in words.items() if job[key])


# ---------------------------------------------------------------------------------------------------- below the table


def _details(record: dict[str, Any]) -> Iterator[Text]:
    for row in record["stages"]:
        name = f"{row['page']}/{row['stage']}"
        for failure in row.get("failures", []):
            yield Text.assemble(("✗ ", "bold red"), (name, "bold"), f" {_failed(failure)}")
            yield from _lines(failure["lines"])
            yield _indented("log", "dim", shown(Path(failure["log"])))
            yield _indented("→", "yellow", failure["way_out"])
        if "doubt" in row:
            yield Text.assemble(("! ", "bold yellow"), (name, "bold"), f" {row['doubt']}")
        if row["state"] == "lost":
            yield Text.assemble(("✗ ", "bold red"), (name, "bold"), f" {row['told']}")
            yield from _lines(row["lines"])
    waiting: dict[str, list[str]] = {}
    for row in record["stages"]:
        if row["state"] in ("waiting", "submitted"):
            waiting.setdefault(row["told"], []).append(f"{row['page']}/{row['stage']}")
    for told, names in waiting.items():
        more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
        words = told if len(names) == 1 else told.replace("waits for", "wait for", 1)
        yield Text.assemble(("… ", "yellow"), f"{', '.join(names[:NUM_NAMED])}{more} {words}")
    for problem in record["problems"]:
        yield Text.assemble(("before this can run: ", "red"), problem)


def _failed(failure: dict[str, Any]) -> str:
    more = failure["num_ranks"] - len(failure["ranks"])
    ranks = ", ".join(map(str, failure["ranks"])) + (f" and {more} more" if more else "")
    which = f" of rank{'s' if failure['num_ranks'] > 1 else ''} {ranks}" if ranks else ""
    others = f" and {failure['num_jobs'] - 1} more" if failure["num_jobs"] > 1 else ""
    told = f": {failure['told']}" if failure["told"] else ""
    return f"{failure['reason']}{which} (job {failure['jobs'][0]}{others}){told}"


def _lines(lines: list[str]) -> Iterator[Text]:
    for line in lines:
        yield _indented("│", "dim", line)


def _indented(mark: str, style: str, text: str) -> Text:
    return Text.assemble("    ", (mark, style), f" {text}")


def _closing(record: dict[str, Any]) -> Text:
    counts = Counter(row["state"] for row in record["stages"])
    others = [
        (f" · {counts[state]} {state}", STYLES[state]) for state in STYLES if counts[state] and state not in ("done", "missing")
    ]
    note = f"\n{record['slurm']}" if record["slurm"] else ""
    return Text.assemble(f"{record['done']} of {record['total']} stages done", *others, (note, "yellow"))


def _number(rate: float) -> str:
    return human(rate) if rate >= 10 else f"{rate:.2g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
