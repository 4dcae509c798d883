"""What the records of a stage's jobs tell: which ran, why they ended, how often they started again.

An element of an array that was submitted again has a new job, and the old one's end counts for nothing any more.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from slurm.queue.elements import numbers
from slurm.queue.records import SUBMITTED, Ended, Event, Found, Part, Submitted, folder_of, read
from slurm.status.listing import names_in

MOST_FILES = 4000  # of a stage that are looked into: more elements than that have not failed for as many reasons
FEW_FILES = 50  # of a finished stage: its restarts are told where that costs nothing


@dataclass(frozen=True)
class Job:
    """One job, or one element of an array, by what it wrote itself."""

    id: str  # "123" or "123_7"
    events: list[Event]

    @property
    def part(self) -> Part:
        return self.events[-1].part

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def array(self) -> str:
        return array_of(self.id)

    @property
    def element(self) -> int | None:
        number = self.id.partition("_")[2]
        return int(number) if number else None

    @property
    def failure(self) -> Ended | None:
        """Why it has ended for good, if it has."""
        last = self.last
        return last if isinstance(last, Ended) and last.reason is not None and not last.again else None


@dataclass(frozen=True)
class Story:
    """Of one stage. `jobs`: of each part and element the newest."""

    submitted: list[Submitted] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)

    @property
    def was_queued(self) -> bool:
        return bool(self.submitted or self.jobs)

    @cached_property
    def failures(self) -> list[tuple[Job, Ended]]:
        """Those that ended for good before their work was done, and were not submitted again since."""
        return [(job, ended) for job in self.jobs if (ended := job.failure) and not self._is_submitted_since(job)]

    @property
    def latest(self) -> list[str]:
        """Ids of what was submitted last, a job a part."""
        return list({entry.part: entry.job for entry in self.submitted}.values())

    def _is_submitted_since(self, job: Job) -> bool:
        return any(
            entry.part == job.part and entry.time > job.last.time and has_element(entry.elements, job.element)
            for entry in self.submitted
            if entry.job != job.array
        )


def tell(stage: Path, most: int = MOST_FILES) -> Story:
    """`most`: files of jobs that are opened, the newest ones."""
    folder = folder_of(stage)
    names = names_in(folder, ".jsonl")
    if not names:
        return Story()
    submitted = [event for event in read(folder / SUBMITTED) if isinstance(event, Submitted)]
    newest = sorted((name.removesuffix(".jsonl") for name in names - {SUBMITTED}), key=_by_age)[-most:]
    jobs = [Job(name, events) for name in newest if (events := read(folder / f"{name}.jsonl"))]
    restarts = Counter(reason for job in jobs for reason in _restarts(job))
    current = {(job.part, job.element): job for job in sorted(jobs, key=lambda job: job.last.time)}
    return Story(submitted, list(current.values()), dict(restarts.most_common()))


def array_of(job: str) -> str:
    """ "123_7" -> "123"."""
    return job.partition("_")[0]


def has_element(elements: str, element: int | None) -> bool:
    """Whether `--array=0-3,17%8` starts this element; a job that is no array has none."""
    return element is None if not elements else element in numbers(elements)


def _by_age(job: str) -> tuple[int, int]:
    array, _, element = job.partition("_")
    return int(array), int(element or 0)


def _restarts(job: Job) -> Iterator[str]:
    """Each start but the first, by what ended the one before."""
    for event in job.events:
        if isinstance(event, Found) or (isinstance(event, Ended) and event.again):
            yield event.reason or "failed"
