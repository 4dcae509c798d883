"""`midtrain transparency`: what the manifests of a page show of how it was made."""

from typing import Any

import click

from slurm.console import as_json, console, print_json, shown, takes_page

SHEET = "transparency.html"


@click.command()
@takes_page
@as_json
def transparency(page: str, overrides: tuple[str, ...], json_: bool) -> None:
    """What finished stages show of data, method, evaluation and resources, item by item with the fields that show it, and what
    lacks: the 100 points of the Technical Transparency Index. Writes transparency.html into the page's folder.

    \b
    midtrain transparency train/demo
    """
    from recipes.report.sheet import sheet
    from recipes.report.transparency import transparency as judge
    from recipes.stage import write_atomically
    from slurm.plan import plan

    planned = plan(page, overrides)
    if not any(stage.is_finished for stage in planned.stages):
        raise ValueError(f"nothing of {page} is finished, so nothing can be shown; make it with: midtrain run {page}")
    areas = judge(planned.stages)
    points, possible = sum(area.points for area in areas), sum(area.possible for area in areas)
    file = planned.stages[-1].folder.parent / SHEET
    content = sheet("transparency.html.j2", title=page, areas=areas, points=points, possible=possible)
    write_atomically(file, content.encode())
    if json_:
        print_json({"points": points, "possible": possible, "areas": {area.name: _record(area) for area in areas}})
        return
    for area in areas:
        console.print(f"[bold]{area.name}[/]  {area.points} of {area.possible}", highlight=False)
        for finding in area.findings:
            why = "" if finding.is_shown else f"  ({finding.lacking[0]})"
            sign = "yes" if finding.is_shown else "no "
            console.print(f"  {sign} {finding.item.points}  {finding.item.question}{why}", markup=False, highlight=False)
    console.print(f"{points} of {possible} points; the evidence: {shown(file)}", markup=False, highlight=False)


def _record(area: Any) -> dict[str, Any]:
    items = [
        {
            "question": finding.item.question,
            "points": finding.item.points,
            "shown": finding.is_shown,
            "evidence": finding.evidence,
            "lacking": finding.lacking,
        }
        for finding in area.findings
    ]
    return {"points": area.points, "possible": area.possible, "items": items}
