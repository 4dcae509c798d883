"""One rehearsal: a stage is struck in the middle of its work, its page's jobs come to rest, and what they made is compared with
what an undisturbed run made.

What does not depend on the struck stage is not made again: it is linked from the undisturbed run.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.manifest import changed_files, read_manifest
from recipes.stage import Stage
from slurm.drill.faults import FAULTS, Fault
from slurm.drill.scene import PATIENCE_SECONDS, Scene, Stuck
from slurm.queue import dag, records
from slurm.queue.live import live
from slurm.queue.records import Ended, Found
from slurm.queue.submit import submit

REST_SECONDS = 0.5  # between looks at the queue


@dataclass(frozen=True)
class Rehearsal:
    """What came of it. `did`: what the struck jobs told of their ends before their work was done; `different`: files that are
    not those of the undisturbed run, or are not there; `problem`: why it could not be played to its end."""

    fault: str
    stage: str
    struck: str
    did: list[str]
    restarts: dict[str, int]
    submitted_again: bool
    num_stages: int
    num_files: int
    different: list[str]
    problem: str
    seconds: float

    @property
    def is_equal(self) -> bool:
        return not self.different and not self.problem


def remade(stages: Sequence[Stage], struck: Stage) -> list[Stage]:
    """The struck stage, and what is made of it in its room: tokens of documents, checkpoints of checkpoints."""
    found: list[Stage] = []
    for stage in stages:
        made_by = {entry.stage for entry in stage.inputs.values()}
        follows = any(str(before.folder) in made_by for before in found)
        if stage.folder == struck.folder or (follows and stage.room == struck.room):
            found.append(stage)
    return found


def rehearse(name: str, scene: Scene, stages: Sequence[Stage], undisturbed: Path) -> Rehearsal:
    """`stages`: of a plan whose root is new; `undisturbed`: the root of the run that they are compared with."""
    began, struck, fault = time.monotonic(), scene.stage, FAULTS[name]
    again, root = remade(stages, struck), struck.folder.parents[2]
    for stage in stages:
        if stage not in again:
            _link(stage, undisturbed / stage.folder.relative_to(root))
    submitted_again, problem = False, ""
    try:
        submitted_again = _play(fault, scene, again)
    except (Stuck, RuntimeError, ValueError) as error:  # of Slurm or the cluster too: told in its row, and the others go on
        problem = str(error)
    finally:
        scene.release()
        _cancel(again, scene)
    ends = [event for event in _events(struck) if isinstance(event, Found) or (isinstance(event, Ended) and event.reason)]
    if fault.is_felt and not ends and not problem:
        problem = "the fault left no trace in what the jobs told, so that it proves nothing"
    num_files, different = compare(again, undisturbed)
    return Rehearsal(
        fault=name,
        stage=f"{struck.page}/{struck.name}",
        struck=scene.moment,
        did=[told if times == 1 else f"{told} (×{times})" for told, times in Counter(map(_told, ends)).items()],
        restarts=dict(Counter(str(event.reason) for event in ends if isinstance(event, Found) or event.again)),
        submitted_again=submitted_again,
        num_stages=len(again),
        num_files=num_files,
        different=different,
        problem=problem,
        seconds=round(time.monotonic() - began, 1),
    )


def _play(fault: Fault, scene: Scene, stages: Sequence[Stage]) -> bool:
    """Whether a person had to submit it again."""
    submit(stages)
    scene.hold()
    with fault.strike(scene):
        come_to_rest(stages)
    if not fault.needs_person or all(stage.is_finished for stage in stages):
        return False
    submit(stages)
    come_to_rest(stages)
    return True


def come_to_rest(stages: Sequence[Stage]) -> None:
    """Returns when no job of these stages is queued or runs."""
    names, end = {job.name for job in dag.jobs(stages)}, time.monotonic() + PATIENCE_SECONDS + 60 * len(stages)
    while waiting := names & live().keys():
        if time.monotonic() > end:
            raise Stuck(f"these jobs come to no rest: {', '.join(sorted(waiting))}")
        time.sleep(REST_SECONDS)


def _cancel(stages: Sequence[Stage], scene: Scene) -> None:
    """What is left of a rehearsal that got stuck; the next one needs the nodes."""
    names, jobs = {job.name for job in dag.jobs(stages)}, live()
    ids = {row.id for name in names & jobs.keys() for row in jobs[name]}
    if ids:
        scene.cluster.client("scancel", *ids)
        come_to_rest(stages)


def compare(stages: Sequence[Stage], undisturbed: Path) -> tuple[int, list[str]]:
    """How many files the undisturbed run made in these stages, and which of them differ, by the hashes in the manifests, or
    are not as the manifest says."""
    num_files, different = 0, []
    for stage in stages:
        folder = "/".join(stage.folder.parts[-3:])
        whole = _hashes(undisturbed / folder)
        num_files += len(whole)
        made = _hashes(stage.folder) if stage.is_finished else {}
        differing = [path for path in sorted(whole.keys() | made.keys()) if whole.get(path) != made.get(path)]
        changed = changed_files(stage.folder) if stage.is_finished else []
        different += [f"{folder}/{path}" for path in differing + changed]
    return num_files, different


def _hashes(folder: Path) -> dict[str, str]:
    return {entry["path"]: entry["sha256"] for entry in read_manifest(folder)["outputs"]}


def _link(stage: Stage, made: Path) -> None:
    stage.folder.parent.mkdir(parents=True, exist_ok=True)
    stage.folder.symlink_to(made, target_is_directory=True)


def _events(stage: Stage) -> list[records.Event]:
    """Of the struck stage's jobs, in the order of time."""
    files = sorted(records.folder_of(stage.folder).glob("*.jsonl"))
    return sorted((event for file in files for event in records.read(file)), key=lambda event: event.time)


def _told(event: Ended | Found) -> str:
    told = f"{event.reason}: {event.told}" if event.told else str(event.reason)
    return f"{told}; started again" if isinstance(event, Found) or event.again else f"{told}; stopped"
