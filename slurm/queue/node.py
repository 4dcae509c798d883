"""What a job does on its node: proves that its inputs are there, works, says why it ends, and queues itself again where it helps.

Its exit status is 0 only when its part of the stage is proven done: a job that leaves with 0 while its node is taken away would
count as completed, and what waits for it would start.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from curation.ranks import environment, finished_ranks, num_ranks
from pretrain.ledger import INDEX
from recipes import exits
from recipes.stage import LOGS, Stage, is_finished, read_stage
from slurm.queue import records
from slurm.queue.allocation import allocation, as_processes, program
from slurm.queue.ask import NoSlurm, Refused, ask
from slurm.queue.children import Asked, ask_to_end, is_free, start, stop, wait
from slurm.queue.dag import GENERATES, cluster_of
from slurm.queue.history import History
from slurm.queue.live import seconds
from slurm.queue.past import lost_nodes
from slurm.queue.reason import OF_STATUS, End, first_end, lines_that_matter, of_failure, slurms_word
from slurm.queue.records import RESTARTING, Part
from slurm.results import link_result

Child = subprocess.Popen[bytes]
WORD_SECONDS = 2.0  # Slurm's word may come a moment behind what it does
PROBE_SECONDS = 60
SAVING_SHARE = 0.8  # of the seconds between Slurm's signal and the time limit: the rest is for the way into the queue
QUEUED_ALREADY = "Job is pending execution"  # how scontrol says so
LOCK_SECONDS = 900  # NCCL gives up on lost peers after 10 minutes


class Node:
    """One start of a job."""

    def __init__(self, folder: Path, part: Part, num_elements: int, failed_line: str = "") -> None:
        self.asked = Asked()
        self.stage, self.part = read_stage(folder), part
        self.cluster = cluster_of(self.stage)
        self.place = allocation()
        element = self.place.element or 0
        self.ranks = range(element, num_ranks(self.stage), num_elements) if part == "ranks" else range(0)
        assert self.cluster.slurm is not None
        self.slurm = self.cluster.slurm
        self.history = History(self.stage, part, self.place, self.slurm.restarts, self.ranks)
        self.log = records.log_file(self.stage.folder, self.place.job)
        self.log_start = self.log.stat().st_size if self.log.is_file() else 0
        self.children: list[Child] = []
        self.failed_line = failed_line  # of the environment that this process should have

    def run(self) -> int:
        self.history.find_out()
        self.history.begin()
        if self._is_done():
            self.history.end(None, told="was done already")
            return exits.DONE
        end = self._unfit() or self._elsewhere() or self._work()
        if self._is_done():  # whatever it was told meanwhile
            self.history.end(None)
            if self.part == "main":
                link_result(self.stage)
            return exits.DONE
        end = end or End("failed", "ended with status 0, but its work is not there", lines_that_matter(self._lines()))
        self._leave(end)
        return exits.MISTAKE if end.reason == "user_error" else exits.FAILED

    @property
    def _is_training(self) -> bool:
        """A step of its own, which Slurm tells itself to end."""
        return self.stage.do == "train" and self.part == "main"

    # ------------------------------------------------------------------------------------------------ before

    def _is_done(self) -> bool:
        """Proven by what lies on the disk."""
        if self.part == "ranks":
            return self.stage.is_finished or set(self.ranks) <= finished_ranks(self.stage)
        if self.part == "index":
            return self.stage.is_finished or (self.stage.folder / INDEX).is_file()
        return self.stage.is_finished

    def _unfit(self) -> End | None:
        """What must be true before there is any work."""
        if self.failed_line:
            told = f"a line of cluster.slurm.environment failed: {self.failed_line} (write `|| true` behind it if it may)"
            return End("user_error", told, ranks=list(self.ranks))  # what the shell said is the end of the log
        for role, entry in self.stage.inputs.items():
            if entry.stage is not None and not is_finished(entry.stage):
                return End("failed", f"input {role!r} is not finished: {entry.stage}; submit its page again")
        if self.part == "finish":
            missing = sorted(set(range(num_ranks(self.stage))) - finished_ranks(self.stage))
            if missing:
                return failed_ranks(self.stage, missing)
        lock = self.stage.folder / LOGS / "train.lock"
        if self._is_training and not is_free(lock, self.asked, seconds=LOCK_SECONDS):
            return self._interrupted() if self.asked.signal else End("failed", f"another process still trains this stage: {lock}")
        return self.history.overdrawn()

    def _elsewhere(self) -> End | None:
        """Slurm starts a job again on a node that it has lost, once that answers."""
        lost = [node for node in self.history.lost if node in self.place.nodes]
        return End("node_failure", f"{', '.join(lost)} was lost before; goes elsewhere", nodes=lost) if lost else None

    # ------------------------------------------------------------------------------------------------ work

    def _work(self) -> End | None:
        python, folder = program(self.cluster), str(self.stage.folder)
        works: dict[tuple[str, str], Callable[[], End | None]] = {
            ("curation", "ranks"): self._do_ranks,
            ("curation", "finish"): lambda: self._do([*python, "-m", "curation.pipeline", folder, "--publish"]),
            ("curation", "main"): lambda: self._do([*python, "-m", "curation.pipeline", folder]),
            ("pretrain", "index"): lambda: self._do([*python, "-m", "pretrain", folder, "--index"]),
            ("pretrain", "main"): lambda: self._do([*python, "-m", "pretrain", folder]),
            ("recipes", "main"): lambda: self._do([*python, "-m", "recipes.report", folder]),
        }
        return works[self.stage.room, self.part]()

    def _do(self, command: list[str]) -> End | None:
        is_step = self._is_training
        threads = {"OMP_NUM_THREADS": str(self.cluster.threads_per_process)}
        child = start(as_processes(command, self.cluster) if is_step else command, threads)
        self.children = [child]
        wait(self.children, self.asked)
        status = child.poll()
        if status == 0:
            return None
        if status is not None and is_step:
            status = first_end(self._lines()) or status
        if status is None or status == exits.INTERRUPTED or self._was_struck(status):
            return self._interrupted()
        return self._failed(status, is_step=is_step)

    def _was_struck(self, status: int) -> bool:
        """Slurm's signal goes to the child too, which then says nothing of its own. A step's processes save and say so."""
        return not self._is_training and self.asked.signal is not None and status not in OF_STATUS

    def _do_ranks(self) -> End | None:
        """Ranks that fail do not keep the others from their turn."""
        waiting = [rank for rank in self.ranks if rank not in finished_ranks(self.stage)]
        working: dict[int, Child] = {}
        failed: dict[int, End] = {}
        while (waiting or working) and self.asked.signal is None:
            while waiting and len(working) < self.slurm.cpu.processes:
                rank = waiting.pop(0)
                command = [*program(self.cluster), "-m", "curation.pipeline", str(self.stage.folder), "--rank", str(rank)]
                working[rank] = start(command, environment(), self._rank_log(rank))
            self.children = list(working.values())
            wait(self.children, self.asked)
            for rank in [rank for rank, child in working.items() if child.poll() is not None]:
                status = working.pop(rank).returncode
                if status:
                    failed[rank] = of_failure(status, _tail(self._rank_log(rank)))
        if self.asked.signal is not None:
            return self._interrupted()
        return _sternest(failed)

    def _rank_log(self, rank: int) -> Path:
        return self.stage.folder / LOGS / f"rank_{rank:05d}.log"

    # ------------------------------------------------------------------------------------------------ the end

    def _interrupted(self) -> End:
        """By Slurm's word where it has one; else by the time that is left: what comes long before the limit makes room."""
        end = self._word()
        if end is not None:
            return end
        left = self._seconds_left()
        if left is not None and left <= self.slurm.signal_seconds + 90:  # Slurm's signal may come a minute early
            return End("timeout", "the time limit is near")
        return End("preempted", "Slurm asked it to make room")

    def _failed(self, status: int, *, is_step: bool) -> End:
        """What a lost node leaves of a step looks like failing tasks, long before Slurm notices."""
        word = self._word() if is_step else None
        if word is not None:
            return word
        end = of_failure(status, self._lines())
        if is_step and len(self.place.nodes) > 1 and end.reason in ("failed", "killed", "node_failure"):
            lost = self._silent_nodes()
            if lost:
                return End("node_failure", f"{', '.join(lost)} was lost", end.lines, nodes=lost)
        return end

    def _word(self) -> End | None:
        until = time.monotonic() + WORD_SECONDS
        while (word := slurms_word(self._lines())) is None and time.monotonic() < until:
            time.sleep(0.2)
        if word is not None and word.reason == "node_failure":
            lost = self._silent_nodes()
            return replace(word, told=f"{', '.join(lost) or 'a node'} was lost", nodes=lost)
        return word

    def _silent_nodes(self) -> list[str]:
        """Those on which no step starts any more."""
        try:
            down = lost_nodes(self.place.nodes, since=time.time())
        except NoSlurm:
            down = []
        return down or [node for node in self.place.nodes if not _answers(node)]

    def _seconds_left(self) -> int | None:
        try:
            return seconds(ask(["squeue", "--noheader", "--jobs", self.place.job, "--format", "%L"]))
        except (Refused, NoSlurm):
            return None

    def _lines(self) -> list[str]:
        return _tail(self.log, self.log_start)

    def _leave(self, end: End) -> None:
        """On record first: Slurm may end this process at any moment. Then into the queue again, where that helps."""
        self.asked.ignore()
        refusal = self.history.refusal(end.reason)
        again = not refusal
        told = f"{end.told}; {refusal}" if refusal and end.reason in RESTARTING else end.told
        self.history.end(end, again=again, told=told)
        if not self._is_training:
            self._end_children()
        if again and (refused := self._requeue()):
            self.history.end(end, told=f"{told}; it could not queue itself again: {refused}")
            return
        if again:
            self._leave_out(end.nodes)
        for child in self.children:
            child.wait()

    def _end_children(self) -> None:
        """What asks a model saves before it ends, and has the time for it that the site leaves. What is taken away has only what
        Slurm grants it: it saves on until Slurm ends it, and the place in the queue does not wait for that."""
        if self.stage.do not in GENERATES:
            stop(self.children)
        elif self.asked.signal == signal.SIGTERM:
            ask_to_end(self.children)
        else:
            stop(self.children, seconds=SAVING_SHARE * self.slurm.signal_seconds)

    def _requeue(self) -> str:
        """Empty, or why not. Some sites put what they preempt into the queue themselves, others cancel it."""
        try:
            ask(["scontrol", "requeue", self.place.job])
        except (Refused, NoSlurm) as error:
            return "" if QUEUED_ALREADY in str(error) else str(error)
        return ""

    def _leave_out(self, nodes: list[str]) -> None:
        """Asks for other nodes. A site that has no others says no, and the job starts where it was."""
        if nodes:
            try:
                ask(["scontrol", "update", f"JobId={self.place.job}", f"ExcNodeList={','.join(nodes)}"])
            except (Refused, NoSlurm) as error:
                print(f"it cannot do without {', '.join(nodes)}: {error}", flush=True)


def failed_ranks(stage: Stage, missing: list[int]) -> End:
    """Of a stage that cannot be finished: by what its elements have told, the sternest first."""
    told: dict[int, End] = {}
    for path in sorted(records.folder_of(stage.folder).glob("*_*.jsonl")):
        last = next((event for event in reversed(records.read(path)) if isinstance(event, records.Ended)), None)
        if last is not None and last.reason is not None and not last.again:
            told |= {rank: End(last.reason, last.told, last.lines) for rank in last.ranks if rank in missing}
    end = _sternest({rank: told.get(rank, End("failed", "its job ended without a word")) for rank in missing})
    assert end is not None
    return end


def _sternest(failed: dict[int, End]) -> End | None:
    """What no restart mends comes before what one would; all ranks that failed are named."""
    if not failed:
        return None
    rank, end = min(failed.items(), key=lambda item: (item[1].reason in RESTARTING, item[1].reason == "failed", item[0]))
    others = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    return End(end.reason, f"rank {rank}: {end.told}{others}", end.lines, sorted(failed))


def _tail(log: Path, first: int = 0, limit: int = 200_000) -> list[str]:
    """The lines of a log from a byte on; of a long one the last."""
    if not log.is_file():
        return []
    with open(log, "rb") as file:
        file.seek(max(first, file.seek(0, os.SEEK_END) - limit))
        return file.read().decode(errors="replace").splitlines()


def _answers(node: str) -> bool:
    command = ["srun", "--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={node}", "--mpi=none", "--input=none", "true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL).returncode == 0
    except subprocess.TimeoutExpired:
        return False
