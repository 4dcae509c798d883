"""A job's story on disk, told and read by the job itself: how often it has started again and why, and whether that is enough."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from curation.ranks import num_ranks, parts_folder
from pretrain.checkpoint import files as checkpoints
from pretrain.probe import saves
from recipes.manifest import rank_file
from recipes.schema import Restarts
from recipes.stage import Stage
from slurm.queue import records
from slurm.queue.allocation import Allocation
from slurm.queue.dag import GENERATES
from slurm.queue.past import lost_nodes, past
from slurm.queue.reason import End, slurms_word
from slurm.queue.records import RESTARTING, Began, Ended, Found, Part, Reason

MAX_STARTS_IN_PLACE = 5
ROOM_BYTES = 16_384  # a job on a full disk must still be able to say so
OF_STATE: dict[str, tuple[Reason, str]] = {
    "NODE_FAIL": ("node_failure", "a node was lost"),
    "OUT_OF_MEMORY": ("out_of_memory", "memory ran out"),
    "TIMEOUT": ("timeout", "the time limit was reached"),
    "PREEMPTED": ("preempted", "Slurm gave its nodes to another job"),
}


@dataclass
class History:
    stage: Stage
    part: Part
    place: Allocation
    restarts: Restarts
    ranks: range = range(0)  # of this element

    def __post_init__(self) -> None:
        self.file = records.folder_of(self.stage.folder) / f"{self.place.job}.jsonl"
        self.events = records.read(self.file)

    # ------------------------------------------------------------------------------------------------ told

    def begin(self) -> None:
        self._add(Began(self.place.job, self.part, self.place.restart, self.place.nodes, progress(self.stage, self.ranks)))
        self._room.write_bytes(bytes(ROOM_BYTES))

    def end(self, end: End | None, *, again: bool = False, told: str = "") -> None:
        self._room.unlink(missing_ok=True)
        of = (self.place.job, self.part, self.place.restart)
        if end is None:
            self._add(Ended(*of, None, told))
        else:
            self._add(Ended(*of, end.reason, told or end.told, again, end.lines, end.ranks, end.nodes))

    def find_out(self) -> None:
        """Why the start before this one ended, where it could not say so itself."""
        last = next((event for event in reversed(self.events) if isinstance(event, Began | Ended | Found)), None)
        if isinstance(last, Began) and last.restart < self.place.restart:
            end = why_gone(self.stage.folder, last)
            self._add(Found(last.job, self.part, last.restart, end.reason, end.told, end.nodes))

    def _add(self, event: Began | Ended | Found) -> None:
        records.append(self.stage.folder, event)
        self.events.append(event)

    @property
    def _room(self) -> Path:
        return self.file.with_name(f".{self.place.job}.room")

    # ------------------------------------------------------------------------------------------------ read

    @property
    def _restarts(self) -> list[Ended | Found]:
        """Ends that another start followed, or will."""
        return [event for event in self.events if isinstance(event, Found) or (isinstance(event, Ended) and event.again)]

    def count(self, reason: Reason) -> int:
        return Counter(event.reason for event in self._restarts)[reason]

    def refusal(self, reason: Reason) -> str:
        """Why it may not start once more for this reason; empty: it may."""
        if reason not in RESTARTING:
            return "no restart would mend that"
        allowed: int = getattr(self.restarts, reason)
        if self.count(reason) >= allowed:
            return f"cluster.slurm.restarts.{reason}={allowed} allows no more restarts"
        return ""

    def overdrawn(self) -> End | None:
        """This start is one too many: Slurm starts jobs again without asking."""
        last = self._restarts[-1] if self._restarts else None
        if last is None:
            return None
        allowed: int = getattr(self.restarts, last.reason or "", 0)
        if self.count(last.reason or "failed") > allowed:
            return End(
                last.reason or "failed", f"{last.told}; cluster.slurm.restarts.{last.reason}={allowed} allows no more restarts"
            )
        begun = [event.progress for event in self.events if isinstance(event, Began)]
        if len(begun) > MAX_STARTS_IN_PLACE and len(set(begun[-MAX_STARTS_IN_PLACE - 1 :])) == 1:
            return End(
                last.reason or "failed",
                f"{last.told}; it has started {MAX_STARTS_IN_PLACE} times and got no further",
            )
        return None

    @property
    def lost(self) -> list[str]:
        """Nodes that this job has lost and has not asked Slurm to leave out."""
        found = [event.nodes for event in self.events if isinstance(event, Found)]
        told = {node for event in self.events if isinstance(event, Ended) for node in event.nodes}
        return sorted({node for nodes in found for node in nodes} - told)


def progress(stage: Stage, ranks: range = range(0)) -> int:
    """What is done of a stage, or of some of its ranks, as a number that only grows: the step of the newest checkpoint; parts of
    answers, and what a probe has saved; parts of shards, where a finished rank counts more than any number of parts."""
    if stage.do in GENERATES:
        return sum(1 for _ in stage.folder.glob("*/*/[0-9]*.parquet")) + saves.progress(stage.folder)
    if stage.room == "pretrain":
        return max((checkpoints.step_of(path) for path in checkpoints.present(stage.folder)), default=0)
    if stage.room != "curation":
        return 0
    done = 0
    for rank in ranks or range(num_ranks(stage)):
        is_finished = rank_file(stage.folder, rank).is_file()
        done += 1_000_000 if is_finished else sum(1 for _ in parts_folder(stage.folder, rank).glob("[0-9]*"))
    return done


def why_gone(folder: Path, began: Began) -> End:
    """Of a start that has left no word."""
    log = records.log_file(folder, began.job)
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    word, lost = slurms_word(lines, since=began.time), lost_nodes(began.nodes, since=began.time)
    if word is not None and word.reason != "node_failure":
        return word
    if lost:
        return End("node_failure", f"{', '.join(lost)} was lost", nodes=lost)
    state = past([began.job]).get(began.job)
    if word is None and state is not None and state.state in OF_STATE:
        return End(*OF_STATE[state.state])
    return word or End("preempted", "it was started again, and nothing says why")
