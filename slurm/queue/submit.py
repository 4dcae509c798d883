"""Stages into Slurm's queue. Doing it again is always right: what is finished is skipped, what is live is left alone, and of an
array only the elements go that have a rank to do.

A job is recognised by its name, in what squeue says: a file that was lost, or a command that was killed, makes no job come twice.
What waits for a job that had to be submitted again is told to wait for the new one.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from curation.ranks import finished_ranks, num_ranks
from recipes.stage import Stage, ask_to_keep, is_finished, is_held, read_stage, try_lock, write_atomically, write_stage
from slurm.queue import dag, records
from slurm.queue.ask import ATTEMPTS, SECONDS_BETWEEN, NoSlurm, Refused, ask
from slurm.queue.dag import Job
from slurm.queue.elements import array, ranges
from slurm.queue.facts import refuse_missing_facts
from slurm.queue.live import LiveJob, live
from slurm.queue.script import options, script, script_file

LOCK = ".submit.lock"


@dataclass(frozen=True)
class Outcome:
    """What became of a job. `ids`: in the queue; `after`: those that it waits for; `elements`: those submitted now."""

    job: Job
    did: Literal["done", "live", "submitted"]
    ids: tuple[str, ...] = ()
    elements: str = ""
    after: tuple[str, ...] = ()


def submit(stages: Sequence[Stage], *, dry_run: bool = False) -> list[Outcome]:
    """Every unfinished stage, each before those that read it: of one plan, or of several that share some. A ValueError tells what
    must be mended first; what is in the queue by then stays there, and the same call goes on. `dry_run` changes nothing."""
    refuse_missing_facts(job for job in dag.jobs(stages) if not job.stage.is_finished)
    if dry_run:
        return _Submission(_live_if_there(), is_real=False).take_all(stages)
    with _alone({stage.folder.parents[2] for stage in stages}):
        return _Submission(live(), is_real=True).take_all(stages)


@contextmanager
def _alone(roots: Iterable[Path]) -> Iterator[None]:
    """Between asking what is live and submitting the rest, nobody else may do the same."""
    with ExitStack() as held:
        for root in sorted(roots):
            file = try_lock(root / LOCK)
            if file is None:
                raise ValueError(f"another `midtrain submit` is at work on {root}; call again when it has ended")
            held.enter_context(file)
        yield


def _live_if_there() -> dict[str, list[LiveJob]]:
    try:
        return live()
    except NoSlurm:
        return {}


@dataclass
class _Submission:
    live: dict[str, list[LiveJob]]
    is_real: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by job name

    def take_all(self, stages: Sequence[Stage]) -> list[Outcome]:
        # one with live jobs stays as it was submitted: who does which ranks is decided there
        settled = [read_stage(stage.folder) if self._is_live(stage) else stage for stage in stages]
        planned = dag.jobs(settled)
        self._refuse_unplanned_inputs(planned)
        for job in planned:
            self.outcomes[job.name] = self._take(job)
        for stage, wanted in zip(settled, stages, strict=True):
            if stage is not wanted and stage.do == "train" and self.is_real:
                ask_to_keep(stage.folder, wanted.run.get("branch_points", ()))
        return list(self.outcomes.values())

    def _is_live(self, stage: Stage) -> bool:
        return any(records.job_name(stage, part) in self.live for part in records.PARTS)

    def _refuse_unplanned_inputs(self, planned: list[Job]) -> None:
        """What a stage reads must be made already, or by a job before its own."""
        there = {str(job.stage.folder) for job in planned}
        for job in planned:
            for role, entry in job.stage.inputs.items():
                if entry.stage is not None and entry.stage not in there and not is_finished(entry.stage):
                    raise ValueError(
                        f"{job.stage.page}/{job.stage.name}: input {role!r} is not finished, and no stage here makes it: "
                        f"{entry.stage}; submit its page too"
                    )

    # ------------------------------------------------------------------------------------------------ one job

    def _take(self, job: Job) -> Outcome:
        if job.stage.is_finished:
            return Outcome(job, "done")
        rows = self.live.get(job.name, [])
        if job.part == "ranks":
            return self._take_array(job, rows)
        if rows and self._wait_anew(job, rows):
            return Outcome(job, "live", _ids(rows), after=self._ids_before(job))
        return self._submit(job, [])

    def _take_array(self, job: Job, rows: list[LiveJob]) -> Outcome:
        missing = set(range(num_ranks(job.stage))) - finished_ranks(job.stage)
        if not missing:
            return Outcome(job, "done")
        if rows and not self._wait_anew(job, rows):
            rows = []
        at_work = {element for row in rows for element in row.elements}
        elements = {rank % job.num_elements for rank in missing} - at_work
        if not elements:
            return Outcome(job, "live", _ids(rows), after=self._ids_before(job))
        return self._submit(job, rows, elements)

    def _ids_before(self, job: Job) -> tuple[str, ...]:
        return tuple(id_ for need in job.needs for id_ in self.outcomes[need.name].ids)

    def _wait_anew(self, job: Job, rows: list[LiveJob]) -> bool:
        """A live job that waits for one that had to be submitted again now waits for the new one. False: it is gone meanwhile."""
        is_changed = any(self.outcomes[need.name].did == "submitted" for need in job.needs)
        if not (is_changed and self.is_real and all(row.is_waiting for row in rows)):
            return True
        try:
            for id_ in _ids(rows):
                ask(["scontrol", "update", f"JobId={id_}", f"Dependency={_dependency(job, self._ids_before(job))}"])
        except Refused:
            return False
        return True

    def _submit(self, job: Job, rows: list[LiveJob], elements: "set[int] | None" = None) -> Outcome:
        listed, after = ranges(elements) if elements else "", self._ids_before(job)
        if not self.is_real:
            return Outcome(job, "submitted", _ids(rows), listed, after)
        if not self._is_live(job.stage):
            if is_held(job.stage):
                name = f"{job.stage.page}/{job.stage.name}"
                raise ValueError(f"`midtrain run` works on {name} on this machine; wait for it, or end it first")
            write_stage(job.stage)
        records.folder_of(job.stage.folder).mkdir(parents=True, exist_ok=True)
        write_atomically(script_file(job), script(job).encode())
        # once more what the script says: a login shell's SBATCH_ variables count for more than its lines
        said = options(job)
        said += [f"--dependency={_dependency(job, after)}"] if after else []
        said += [f"--array={array(elements, job.num_at_once)}"] if elements else []
        id_ = self._sbatch(job, [*said, str(script_file(job))], known=_ids(rows))
        records.append(job.stage.folder, records.Submitted(id_, job.name, job.part, listed, job.num_elements))
        return Outcome(job, "submitted", (*_ids(rows), id_), listed, after)

    def _sbatch(self, job: Job, arguments: list[str], *, known: Sequence[str]) -> str:
        """The job's id. An answer that got lost may be that of a job that was taken: it is looked for before asking again."""
        try:
            for attempt in range(ATTEMPTS):
                if attempt:
                    time.sleep(SECONDS_BETWEEN)
                    taken = [id_ for id_ in _ids(live().get(job.name, [])) if id_ not in known]
                    if taken:
                        return taken[0]
                try:
                    return ask(["sbatch", "--parsable", *arguments], attempts=1).strip().partition(";")[0]
                except NoSlurm:
                    if attempt == ATTEMPTS - 1:
                        raise
        except ValueError as error:
            taken_before = sum(outcome.did == "submitted" for outcome in self.outcomes.values())
            raise type(error)(
                f"{job.stage.page}/{job.stage.name} ({job.part}) is not in the queue: {error}\n{_stay(taken_before)}"
            ) from None
        raise AssertionError("the last attempt returns or raises")


def _stay(num_jobs: int) -> str:
    jobs = {0: "nothing was submitted", 1: "the job before it is, and stays there"}
    return f"{jobs.get(num_jobs, f'the {num_jobs} jobs before it are, and stay there')}; the same command goes on with this one"


def _dependency(job: Job, ids: Sequence[str]) -> str:
    return f"{job.condition}:{':'.join(ids)}"


def _ids(rows: Iterable[LiveJob]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.id for row in rows))
