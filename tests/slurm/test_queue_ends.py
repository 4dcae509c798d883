"""How a job of one process ends when real Slurm takes its node away, and how it goes on."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import sbatch, wait_until

from recipes.stage import Stage
from slurm.plan import plan
from slurm.queue import records
from slurm.queue.live import live
from slurm.queue.records import Began, Ended
from slurm.queue.submit import submit
from slurm.status.failures import tail
from slurm.virtual.cluster import VirtualCluster


@pytest.fixture
def on_slurm(cluster: VirtualCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualCluster]:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    yield cluster
    cluster.client("scontrol", "update", "PartitionName=low", "PreemptMode=REQUEUE")


def one_stage(folder: Path, *overrides: str) -> Stage:
    """A rank that formats a question; what the page calls its container lets its first start hang, and no other."""
    (folder / "qa.jsonl").write_text(json.dumps({"id": "1", "question": "What is 1 plus 1?", "answer": "2"}) + "\n")
    first = folder / "has_hung"
    hang = folder / "hang"
    hang.write_text(f'#!/bin/bash\nif [ ! -e {first} ]; then touch {first}; sleep 600; fi\nshift; exec {sys.executable} "$@"\n')
    hang.chmod(0o755)
    place = (f"root={folder}/runs", "cluster=virtual", f"sources.demo_qa.path={folder}/qa.jsonl")
    return plan("curate/demo_qa", (*place, f"cluster.slurm.container={hang}", *overrides)).stages[0]


def story(stage: Stage) -> list[Began | Ended]:
    [file] = records.folder_of(stage.folder).glob("[0-9]*.jsonl")
    return [event for event in records.read(file) if isinstance(event, Began | Ended)]


def wait_until_over(stage: Stage) -> None:
    wait_until(lambda: records.job_name(stage, "main") not in live(), "the job has ended")


@pytest.mark.parametrize("how", ["preempted", "cancelled by preemption", "requeued by hand"])
def test_what_slurm_takes_away_from_one_process_is_no_failure_and_goes_on(
    on_slurm: VirtualCluster, tmp_path: Path, how: str
) -> None:
    if how == "cancelled by preemption":
        on_slurm.client("scontrol", "update", "PartitionName=low", "PreemptMode=CANCEL")
    stage = one_stage(tmp_path, "cluster.slurm.cpu.partition=low")
    [outcome] = submit([stage])
    wait_until((tmp_path / "has_hung").is_file, "its process runs")
    if how == "requeued by hand":
        on_slurm.client("scontrol", "requeue", *outcome.ids)
    else:
        stronger = sbatch(on_slurm, "sleep 1", "--nodes=4", "--exclusive")
    wait_until_over(stage)
    assert stage.is_finished
    began, ended, again, done = story(stage)
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.again) == ("preempted", True)
    assert (began.restart, again.restart) == (0, 1)
    assert isinstance(done, Ended)
    assert done.reason is None
    if how != "requeued by hand":
        wait_until(lambda: not on_slurm.client("squeue", "-h", "-j", stronger, "-t", "R,PD,CG").strip(), "the cluster is free")


def test_a_line_of_the_environment_that_fails_ends_the_job_and_is_named(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    stage = one_stage(tmp_path, "cluster.slurm.environment=['export A=1','module load nonsuch','export B=1']")
    submit([stage])
    wait_until_over(stage)
    assert not (tmp_path / "has_hung").is_file()
    _, ended = story(stage)
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.again) == ("user_error", False)
    assert ended.told.startswith("a line of cluster.slurm.environment failed: module load nonsuch (")
    assert any("module: command not found" in line for line in tail(stage.folder, ended.job))  # as status shows it
