"""Why work ended: what statuses and logs say, as Slurm 22.05 writes them."""

from datetime import datetime

import pytest

from recipes import exits
from slurm.queue.reason import first_end, lines_that_matter, of_failure, slurms_word

PREEMPTED = "slurmstepd-node1: error: *** JOB 37 ON node1 CANCELLED AT 2026-11-21T22:26:04 DUE TO PREEMPTION ***"
LOST = (
    "slurmstepd-node1: error: *** JOB 50 ON node1 CANCELLED AT 2026-11-21T22:30:33 DUE TO NODE FAILURE, "
    "SEE SLURMCTLD LOG FOR DETAILS ***"
)
CANCELLED = "slurmstepd-node2: error: *** JOB 2 ON node2 CANCELLED AT 2026-11-21T22:07:43 ***"
STEP = "slurmstepd-node2: error: *** STEP 2.0 ON node2 CANCELLED AT 2026-11-21T22:07:43 ***"
LIMIT = "slurmstepd-node1: error: *** JOB 4 ON node1 CANCELLED AT 2026-11-21T22:08:50 DUE TO TIME LIMIT ***"
KILLED_RANK = [
    "[rank0]: RuntimeError: Connection closed by peer",
    "srun: error: node2: task 1: Killed",
    "srun: error: node1: task 0: Exited with exit code 1",
]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (PREEMPTED, "preempted"),
        (PREEMPTED.replace("PREEMPTION", "JOB REQUEUE"), "preempted"),
        (LOST, "node_failure"),
        (CANCELLED, "cancelled"),
        (LIMIT, "timeout"),
    ],
)
def test_slurm_says_what_it_does_to_a_job(line: str, reason: str) -> None:
    word = slurms_word(["step 12", line, "asked to stop by SIGTERM after step 13"])
    assert word is not None
    assert word.reason == reason


def test_a_step_that_srun_ends_because_a_task_failed_is_not_cancelled_by_a_person() -> None:
    assert slurms_word([STEP]) is None


def test_what_slurm_said_of_an_earlier_start_is_not_heard_again() -> None:
    later = datetime.fromisoformat("2026-11-21T22:40:00").timestamp()
    assert slurms_word([PREEMPTED], since=later) is None
    assert slurms_word([PREEMPTED, LIMIT.replace("22:08:50", "22:41:00")], since=later).reason == "timeout"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (exits.MISTAKE, "user_error"),
        (exits.BAD_DATA, "bad_data"),
        (exits.DIVERGED, "nan"),
        (exits.OUT_OF_MEMORY, "out_of_memory"),
        (exits.NO_ROOM, "disk_full"),
        (exits.FAILED, "failed"),
        (-9, "killed"),
        (137, "killed"),
    ],
)
def test_a_program_says_itself_why_it_failed(status: int, reason: str) -> None:
    assert of_failure(status, ["what it printed"]).reason == reason


def test_memory_that_the_kernel_took_is_known_by_the_log() -> None:
    lines = ["slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed."]
    assert of_failure(137, lines).reason == "out_of_memory"
    assert of_failure(1, ["OSError: [Errno 28] No space left on device"]).reason == "disk_full"


def test_of_many_tasks_the_first_to_end_tells_why() -> None:
    assert first_end(KILLED_RANK) == 137
    saved = ["srun: error: node1: tasks 0-1: Exited with exit code 75", "srun: error: node2: task 2: Terminated"]
    assert first_end(saved) == exits.INTERRUPTED
    assert first_end(["srun: error: node1: task 3: Segmentation fault"]) == exits.FAILED
    assert first_end(["step 12"]) is None


def test_a_node_that_srun_lost_is_no_failure_of_the_program() -> None:
    lines = ["srun: error: node1: task 0: Exited with exit code 1", "srun: error: Node failure on node2"]
    assert of_failure(1, lines).reason == "node_failure"


def test_the_lines_that_matter_are_those_that_speak_of_something_wrong_and_the_last_each_once() -> None:
    lines = ["step 1", "RuntimeError: boom", "", "RuntimeError: boom", "step 2", *KILLED_RANK]
    assert lines_that_matter(lines) == ["RuntimeError: boom", *KILLED_RANK]
    mistake = ["step 1", "there is no CUDA device here", "srun: launch/slurm: Terminating StepId=1.0", KILLED_RANK[2]]
    assert lines_that_matter(mistake) == [mistake[1], KILLED_RANK[2]]
