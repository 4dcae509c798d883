"""What a job says when it cannot begin, or ends without its work: in a made-up place, on a machine that has no Slurm."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from queue_stages import SLURM, stage

from recipes import exits
from recipes.stage import LOGS, Stage, try_lock, write_stage
from slurm.queue import children as children_module
from slurm.queue import node as module
from slurm.queue import records
from slurm.queue.allocation import Allocation, allocation
from slurm.queue.node import Node
from slurm.queue.records import Began, Ended, Found

NO_SLURM = "there is no `scontrol` on this machine; call midtrain from a login node of a Slurm cluster"


@pytest.fixture(autouse=True)
def _on_node_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    monkeypatch.setattr(module, "allocation", lambda: Allocation("77", None, 1, ["node1"]))
    monkeypatch.setenv("PATH", "/nowhere")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def end_of(stage_: Stage) -> Ended:
    """Of the job that does all of it."""
    write_stage(stage_)
    assert Node(stage_.folder, "main", 0).run() == exits.FAILED
    last = records.read(records.folder_of(stage_.folder) / "77.jsonl")[-1]
    assert isinstance(last, Ended)
    return last


def test_a_job_whose_input_is_not_finished_names_it(tmp_path: Path) -> None:
    before = stage(tmp_path, "a")
    end = end_of(stage(tmp_path, "b", before))
    assert (end.reason, end.told) == ("failed", f"input 'a' is not finished: {before.folder}; submit its page again")


def test_a_program_that_ends_well_and_leaves_nothing_is_no_success(tmp_path: Path) -> None:
    end = end_of(stage(tmp_path, "a", slurm=SLURM | {"container": "/bin/true"}))
    assert (end.reason, end.told) == ("failed", "ended with status 0, but its work is not there")


def test_a_job_on_the_node_that_it_has_lost_goes_elsewhere_or_says_why_it_cannot(tmp_path: Path) -> None:
    lost = stage(tmp_path, "a")
    records.append(lost.folder, Began("77", "main", 0, ["node1"]))
    records.append(lost.folder, Found("77", "main", 0, "node_failure", "node1 was lost", ["node1"]))
    end = end_of(lost)
    assert (end.reason, end.again, end.nodes) == ("node_failure", False, ["node1"])
    assert end.told == f"node1 was lost before; goes elsewhere; it could not queue itself again: {NO_SLURM}"


def test_training_that_another_process_holds_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    training = stage(tmp_path, "stable", do="train")
    lock = training.folder / LOGS / "train.lock"
    held = try_lock(lock)
    assert held is not None
    end = end_of(training)
    held.close()
    assert (end.reason, end.told) == ("failed", f"another process still trains this stage: {lock}")


ASKS_ITS_JOB_TO_END = """
import os, pathlib, signal, sys, time
def save(number, frame):
    time.sleep(0.3)
    pathlib.Path(sys.argv[-1], "saved").touch()
    raise SystemExit(75)
signal.signal(signal.SIGTERM, save)
os.kill(os.getppid(), getattr(signal, sys.argv[1]))
time.sleep(600)
"""


@pytest.mark.parametrize(("word", "seconds"), [("SIGUSR1", 0.8 * 600), ("SIGTERM", None)])
def test_a_probe_saves_before_its_job_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, seconds: float | None
) -> None:
    """Before a time limit as long as the site allows; of what is taken away nothing is killed but by Slurm."""
    given: list[float] = []

    def stop(children: list[module.Child], *, seconds: float) -> None:
        given.append(seconds)
        children_module.stop(children, seconds=seconds)

    monkeypatch.setattr(module, "stop", stop)
    monkeypatch.setattr(module, "WORD_SECONDS", 0.0)
    monkeypatch.setattr(Node, "_requeue", lambda node: "")
    program = tmp_path / "program.py"
    program.write_text(ASKS_ITS_JOB_TO_END)
    container = f"{sys.executable} {program} {word}"
    probe = stage(tmp_path, "probe", do="probe", slurm=SLURM | {"signal_seconds": 600, "container": container})
    end = end_of(probe)
    assert (end.reason, end.again) == ("preempted", True)
    assert (probe.folder / "saved").is_file()
    assert given == ([] if seconds is None else [seconds])


def test_what_runs_outside_of_slurm_is_told_what_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ValueError, match="this is no Slurm job; submit the script beside the stage's recipe"):
        allocation()
