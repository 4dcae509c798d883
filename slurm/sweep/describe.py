"""A sweep in numbers, before and after: its points with what they share, what is left to do, and the results so far."""

import csv
import io
from pathlib import Path
from typing import Any

import orjson

from recipes.fingerprint import fingerprint
from recipes.report.sweep import render_sweep
from recipes.stage import write_atomically
from slurm.describe import describe_plan
from slurm.sweep.plan import SweepPlan
from slurm.sweep.results import describe_results, metrics_of, shared_by_all

REPORT, TABLE, RECORD = "report.html", "results.csv", "results.json"


def describe_sweep(planned: SweepPlan) -> dict[str, Any]:
    merged = describe_plan(planned.merged)
    point_of = planned.point_of
    points = [
        {
            "point": one.point.name,
            "swept": one.point.values | one.point.seeds,
            "overrides": list(one.point.overrides),
            "stages": len(one.plan.stages),
            "own": sum(str(stage.folder) in point_of for stage in one.plan.stages),
            "left": sum(not stage.is_finished for stage in one.plan.stages),
            "ends": {end: f"{stage.page}/{stage.folder.name}" for end, stage in one.ends.items()},
        }
        for one in planned.points
    ]
    return {
        "sweep": planned.sweep.name,
        "page": planned.sweep.page,
        "root": str(planned.root),
        "folder": str(folder_of(planned)),
        "points": points,
        "stages": len(planned.merged.stages),
        "stages_alone": planned.num_stages_alone,
        "done": sum(stage.is_finished for stage in planned.merged.stages),
        "tokens": merged["tokens"],
        "left": merged["left"],
        "problems": merged["problems"],
        "warnings": merged["warnings"],
        "results": describe_results(planned),
    }


def folder_of(planned: SweepPlan) -> Path:
    """Of the table and the page: another set of points has another one."""
    ends = {one.point.name: " ".join(stage.fingerprint for stage in one.ends.values()) for one in planned.points}
    name = planned.sweep.name.rpartition("/")[2]
    return planned.root / "sweep" / f"{name}-{fingerprint(do='sweep', version=1, params={}, inputs=ends)}"


def write_results(planned: SweepPlan, record: dict[str, Any]) -> Path:
    """The page, a line a run as CSV, and everything as JSON. Returns the page's path."""
    folder = folder_of(planned)
    write_atomically(folder / TABLE, runs_as_csv(planned).encode())
    write_atomically(folder / RECORD, orjson.dumps(record, option=orjson.OPT_INDENT_2))
    write_atomically(folder / REPORT, render_sweep(record).encode())
    return folder / REPORT


def runs_as_csv(planned: SweepPlan) -> str:
    """A line a point and end, repeats apart: swept values, then metrics; empty where not finished."""
    shared = shared_by_all(planned.points)
    rows: list[dict[str, Any]] = []
    for one in planned.points:
        for end, stage in one.ends.items():
            named = {"point": one.point.name, "end": end, "stage": f"{stage.page}/{stage.folder.name}"}
            rows.append({**one.point.values, **one.point.seeds, **named, **metrics_of(planned, one, stage, shared)})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
