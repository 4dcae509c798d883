"""The state of each stage of a plan as one record: what `midtrain status` prints, and gives as JSON."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from curation.ranks import finished_ranks, num_ranks
from recipes.manifest import read_summary
from recipes.resume import doubt
from recipes.stage import Stage, is_held
from slurm.plan import Plan, state
from slurm.queue.ask import NoSlurm, Refused
from slurm.queue.live import LiveJob, live
from slurm.queue.past import past
from slurm.queue.records import Part, job_name
from slurm.status.failures import describe_failures, tail
from slurm.status.progress import progress_of
from slurm.status.story import FEW_FILES, MOST_FILES, Story, array_of, tell

LIVE = ("running", "failing", "queued")
STOPPED = ("failed", "failing", "lost")  # a person must do something
NUM_NAMED = 3  # stages that another waits for
Live = dict[str, list[LiveJob]]  # jobs by name


@dataclass
class Told:
    """What is known of a stage; `causes`: the stopped stages that it waits for, itself or through others."""

    stage: Stage
    state: str
    story: Story
    live: list[LiveJob] = field(default_factory=list)
    causes: list["Told"] = field(default_factory=list)


def describe_status(plan: Plan, submit: str, ask: Callable[[], Live] = live) -> dict[str, Any]:
    """`submit`: the command that submits this plan. Slurm is asked once, by `ask`, and only if some stage was ever queued."""
    stories = {stage.folder: tell(stage.folder, FEW_FILES if stage.is_finished else MOST_FILES) for stage in plan.stages}
    jobs, silence = _ask(ask) if any(story.was_queued for story in stories.values()) else ({}, "")
    found: dict[Path, Told] = {}
    for stage in plan.stages:
        found[stage.folder] = _told(stage, stories[stage.folder], jobs, bool(silence), found)
    vanished = _vanished(job for told in found.values() if told.state == "lost" for job in told.story.latest)
    rows = [_row(told, found, plan, submit, vanished) for told in found.values()]
    done = sum(row["state"] == "done" for row in rows)
    return {
        "page": plan.page,
        "finished": done == len(rows),
        "done": done,
        "total": len(rows),
        "is_live": any(row["state"] in LIVE for row in rows),
        "stopped": [f"{row['page']}/{row['stage']}" for row in rows if row["state"] in STOPPED],
        "slurm": silence or None,
        "problems": plan.problems,
        "stages": rows,
    }


def _ask(ask: Callable[[], Live]) -> tuple[Live, str]:
    """Live jobs by name, and why Slurm could not be asked."""
    try:
        return ask(), ""
    except (NoSlurm, Refused) as error:
        return {}, str(error)


def _vanished(jobs: Iterable[str]) -> dict[str, str]:
    """Slurm's word for jobs that are gone and left none, where the site keeps accounts; of an array what became of an element
    that did not complete."""
    found: dict[str, str] = {}
    for job, known in past(jobs).items():
        if known.state != "COMPLETED":
            found.setdefault(array_of(job), known.state)
    return found


# ---------------------------------------------------------------------------------------------------- one stage


def _told(stage: Stage, story: Story, live: Live, is_silent: bool, found: dict[Path, Told]) -> Told:
    jobs = [job for part in get_args(Part) for job in live.get(job_name(stage, part), [])]
    told = Told(stage, state(stage), story, jobs)
    if told.state == "done":
        return told
    told.causes = list(_causes(stage, found))
    if is_held(stage):
        told.state = "running"
    elif story.failures and not told.causes:
        told.state = "failing" if jobs else "failed"
    elif jobs:
        told.state = "queued" if all(job.is_waiting for job in jobs) else "running"
    elif story.was_queued:  # killed by Slurm, or ended for want of an input: the cause is the stage that did not make it
        told.state = "waiting" if told.causes else "submitted" if is_silent else "lost"
    return told


def _causes(stage: Stage, found: dict[Path, Told]) -> Iterator[Told]:
    """The stopped stages behind the inputs of a stage, each once. Plans are in the order of work: inputs come first."""
    seen: set[Path] = set()
    for entry in stage.inputs.values():
        before = found.get(Path(entry.stage)) if entry.stage else None
        for cause in [] if before is None else [before] if before.state in STOPPED else before.causes:
            if cause.stage.folder not in seen:
                seen.add(cause.stage.folder)
                yield cause


# ---------------------------------------------------------------------------------------------------- its row


def _row(told: Told, found: dict[Path, Told], plan: Plan, submit: str, vanished: dict[str, str]) -> dict[str, Any]:
    stage, story = told.stage, told.story
    row: dict[str, Any] = {"page": stage.page, "stage": stage.name, "state": told.state, "folder": str(stage.folder)}
    if story.restarts:
        row["restarts"] = story.restarts
    if told.state == "done":
        manifest = read_summary(stage.folder)
        if told_ := doubt(manifest.get("details")):
            row["doubt"] = told_
        return row | {"seconds": manifest["seconds"], "ended": manifest["ended"], "counts": manifest["counts"]}
    if told.state != "missing":
        row |= _progress(stage)
    if told.live:
        row["jobs"] = _jobs(told.live)
    if told.state in ("failed", "failing"):
        row["failures"] = describe_failures(stage, story, submit)
    if waits := _waits(told, found, plan.page):
        row["waits_for"] = waits
    if told.state == "lost":
        row |= _lost(told, vanished, submit)
    elif told.state == "submitted":
        row["told"] = f"submitted as job {', '.join(story.latest)}; whether it is live is not known"
    elif told.state == "waiting":
        more = f" and {len(waits) - NUM_NAMED} more" if len(waits) > NUM_NAMED else ""
        row["told"] = f"waits for {', '.join(waits[:NUM_NAMED])}{more}"
    return row


def _progress(stage: Stage) -> dict[str, Any]:
    ranks = num_ranks(stage)
    found = {"ranks": {"done": len(finished_ranks(stage)), "total": ranks}} if ranks > 1 else {}
    return found | {"progress": progress_of(stage)}


def _jobs(live: list[LiveJob]) -> list[dict[str, Any]]:
    """A row a job; an array is one, with its elements counted."""
    groups: dict[tuple[str, str], list[LiveJob]] = {}
    for job in live:
        groups.setdefault((job.id, job.name.rpartition(":")[2]), []).append(job)
    return [_job(id_, part, jobs) for (id_, part), jobs in groups.items()]


def _job(id_: str, part: str, jobs: list[LiveJob]) -> dict[str, Any]:
    pending = [job for job in jobs if job.is_waiting]
    running = [job for job in jobs if not job.is_waiting]
    return {
        "job": id_,
        "part": part,
        "state": (running or pending)[0].state,
        "running": sum(job.num_elements or 1 for job in running),
        "pending": sum(job.num_elements or 1 for job in pending),
        "reason": pending[0].reason if pending else "",
        "nodes": sorted({job.nodes for job in running if job.nodes}),
    }


def _waits(told: Told, found: dict[Path, Told], page: str) -> list[str]:
    """What keeps a stage from beginning: stages that stopped, each with why, or else those that are not done yet."""
    if told.state not in ("waiting", "queued"):
        return []
    if told.causes:
        return [f"{_name(cause.stage, page)}, which {_why(cause)}" for cause in told.causes]
    inputs = [found[Path(entry.stage)] for entry in told.stage.inputs.values() if entry.stage and Path(entry.stage) in found]
    unfinished = {_name(entry.stage, page): entry.state for entry in inputs if entry.state != "done"}
    return [f"{name} ({state})" for name, state in unfinished.items()]


def _name(stage: Stage, page: str) -> str:
    return stage.name if stage.page == page else f"{stage.page}/{stage.name}"


def _why(cause: Told) -> str:
    if not cause.story.failures:
        return "is lost"
    ended = cause.story.failures[0][1]
    ranks = f"rank {ended.ranks[0]}: " if ended.ranks else ""
    return f"failed: {ranks}{ended.told or ended.reason}"


def _lost(told: Told, vanished: dict[str, str], submit: str) -> dict[str, Any]:
    """Killed without a word, or never begun."""
    jobs = ", ".join(f"{job} ({vanished[job]})" if job in vanished else job for job in told.story.latest)
    last = max(told.story.jobs, key=lambda job: job.last.time, default=None)
    which = f"job {jobs or (last and last.id)} is" if len(told.story.latest) < 2 else f"jobs {jobs} are"
    told_ = f"{which} not in the queue any more, and the stage is not finished; submit again: {submit}"
    return {"told": told_, "lines": tail(told.stage.folder, last.id) if last else []}
