"""What `midtrain status` says of stages that run, wait, fail or vanish: from manifests, records and squeue's lines."""

import time
from pathlib import Path

import pytest
from status_world import SUBMIT, World, drawn, no_slurm

from recipes.manifest import RankRecord, publish, write_rank
from recipes.stage import LOGS, try_lock
from slurm.queue.records import Began, Ended, Found, append, log_file
from slurm.results import summary
from slurm.status.story import tell


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "runs")


# ---------------------------------------------------------------------------------------------------- states


def test_slurm_is_asked_once_for_all_stages_and_never_for_what_was_not_queued(world: World) -> None:
    assert {row["state"] for row in world.look()["stages"]} == {"missing"}
    assert world.asked == 0
    for number, stage in enumerate(world.plan.stages):
        world.submit(stage, "main", str(number))
    world.look()
    assert world.asked == 1


def test_jobs_that_wait_are_queued_with_slurms_reason_and_what_they_wait_for(world: World) -> None:
    world.finish_until("extract")
    for name, job, reason in (("extract", "7", "Priority"), ("clean", "8", "Dependency")):
        world.submit(world.stage(name), "main", job)
        world.live(world.stage(name), "main", job, "PENDING", reason)
    assert world.row("extract")["state"] == "queued"
    assert world.row("extract")["jobs"] == [
        {"job": "7", "part": "main", "state": "PENDING", "running": 0, "pending": 1, "reason": "Priority", "nodes": []}
    ]
    assert "waits_for" not in world.row("extract")
    assert world.row("clean")["waits_for"] == ["curate/demo_web/tidy (missing)", "curate/demo_web/clean_features (missing)"]
    assert "7 pending (Priority)" in drawn(world)


def test_elements_of_an_array_are_counted_and_their_nodes_named(world: World) -> None:
    stage = world.stage("extract")
    world.submit(stage, "ranks", "7", "0-3")
    world.live(stage, "ranks", "7", "RUNNING", "None", "node2", 0)
    world.live(stage, "ranks", "7", "RUNNING", "None", "node1", 1)
    world.live(stage, "ranks", "7", "PENDING", "Resources", "", 2, 3)
    write_rank(stage.folder, RankRecord(rank=0))
    row = world.row("extract")
    assert (row["state"], row["ranks"]) == ("running", {"done": 1, "total": 4})
    [job] = row["jobs"]
    assert (job["running"], job["pending"], job["nodes"]) == (2, 2, ["node1", "node2"])
    assert "7 ranks 2 running 2 pending on node1, node2" in drawn(world)


def test_a_failed_stage_says_why_with_the_lines_that_matter_and_the_way_out(world: World) -> None:
    world.finish_until("extract")
    stage = world.stage("extract")
    world.submit(stage, "ranks", "7", "0-3")
    for element in (1, 2):
        job = f"7_{element}"
        append(stage.folder, Began(job, "ranks", 0, ["node1"]))
        told = f"shard {element} is cut off"
        append(stage.folder, Ended(job, "ranks", 0, "bad_data", told, lines=["ValueError: unexpected end"], ranks=[element]))
    row = world.row("extract")
    assert row["state"] == "failed"
    [failure] = row["failures"]
    assert (failure["reason"], failure["ranks"], failure["num_jobs"]) == ("bad_data", [1, 2], 2)
    assert failure["lines"] == ["ValueError: unexpected end"]
    assert failure["way_out"].endswith(f"submit again: {SUBMIT}")
    picture = drawn(world)
    assert "✗ curate/demo_web/extract bad_data of ranks 1, 2 (job 7_1 and 1 more): shard 1 is cut off" in picture
    assert "│ ValueError: unexpected end" in picture


def test_a_failure_without_lines_shows_the_end_of_its_log(world: World) -> None:
    stage = world.stage("stable", "train/demo")
    append(stage.folder, Began("7", "main", 0, ["node1"]))
    append(stage.folder, Ended("7", "main", 0, "failed"))
    log_file(stage.folder, "7").write_text("".join(f"line {number}\n" for number in range(5000)))
    [failure] = world.row("stable", "train/demo")["failures"]
    assert failure["lines"] == [f"line {number}" for number in range(4992, 5000)]
    assert failure["log"] == str(log_file(stage.folder, "7"))


def test_what_waits_for_a_failed_stage_says_for_whom_and_why_through_others(world: World) -> None:
    """Slurm has killed the jobs of `clean` and of training: their dependency can never be satisfied."""
    world.finish_until("extract")
    failed, behind, far = world.stage("extract"), world.stage("clean"), world.stage("stable", "train/demo")
    for job, stage in enumerate((failed, world.stage("tidy"), behind, far)):
        world.submit(stage, "main", str(job))
    append(failed.folder, Ended("0", "main", 0, "bad_data", "shard 17 is cut off", ranks=[17]))
    append(behind.folder, Ended("2", "finish", 0, "failed", "input 'documents' is not finished"))
    why = "curate/demo_web/extract, which failed: rank 17: shard 17 is cut off"
    for row in (world.row("clean"), world.row("tidy")):
        assert (row["state"], row["told"]) == ("waiting", f"waits for {why}")
    assert world.look()["stopped"] == ["curate/demo_web/extract"]
    assert f"… curate/demo_web/tidy, curate/demo_web/clean, train/demo/stable wait for {why}" in drawn(world)


def test_a_stage_with_failed_and_with_live_jobs_is_failing(world: World) -> None:
    stage = world.stage("extract")
    world.submit(stage, "ranks", "7", "0-3")
    append(stage.folder, Ended("7_1", "ranks", 0, "nan", ranks=[1]))
    world.live(stage, "ranks", "7", "RUNNING", "None", "node1", 2)
    assert world.row("extract")["state"] == "failing"
    assert world.look()["is_live"]


def test_what_was_submitted_and_is_neither_live_nor_finished_says_submit_again(world: World) -> None:
    world.finish_until("extract")
    stage = world.stage("extract")
    world.submit(stage, "main", "7")
    append(stage.folder, Began("7", "main", 0, ["node1"]))
    log_file(stage.folder, "7").write_text("reading\n")
    row = world.row("extract")
    assert (row["state"], row["lines"]) == ("lost", ["reading"])
    assert row["told"] == f"job 7 is not in the queue any more, and the stage is not finished; submit again: {SUBMIT}"
    assert f"✗ curate/demo_web/extract {row['told']}" in drawn(world)


def test_without_slurm_records_alone_speak(world: World) -> None:
    stage = world.stage("extract")
    world.submit(stage, "main", "7")
    row = world.row("extract", ask=no_slurm)
    assert row["state"] == "submitted"
    assert row["told"] == "submitted as job 7; whether it is live is not known"
    assert drawn(world, ask=no_slurm).count("there is no `squeue`") == 1
    append(stage.folder, Ended("7", "main", 0, "disk_full", "no room"))
    assert world.row("extract", ask=no_slurm)["state"] == "failed"
    assert world.look(no_slurm)["slurm"] == "there is no `squeue` on this machine"


def test_a_stage_that_a_run_holds_is_running(world: World) -> None:
    stage = world.stage("extract")
    lock = try_lock(stage.folder / LOGS / "lock")
    assert lock is not None
    assert world.row("extract")["state"] == "running"
    lock.close()
    assert world.row("extract")["state"] == "resumable"


# ---------------------------------------------------------------------------------------------------- stories


def test_restarts_are_counted_by_reason_also_of_a_finished_stage(world: World) -> None:
    stage = world.stage("stable", "train/demo")
    append(stage.folder, Began("7", "main", 0, ["node1"]))
    append(stage.folder, Ended("7", "main", 0, "preempted", again=True))
    append(stage.folder, Began("7", "main", 1, ["node2"]))
    append(stage.folder, Began("7", "main", 2, ["node3"]))
    append(stage.folder, Found("7", "main", 1, "node_failure", nodes=["node2"]))
    append(stage.folder, Ended("7", "main", 2, "preempted", again=True))
    expected = {"preempted": 2, "node_failure": 1}
    assert world.row("stable", "train/demo")["restarts"] == expected
    publish(stage, counts={}, started=time.time(), files=[])
    assert world.row("stable", "train/demo")["restarts"] == expected
    assert "2 preempted, 1 node_failure" in drawn(world)


def test_what_an_interruption_changed_is_told_of_a_finished_stage(world: World) -> None:
    stage = world.stage("stable", "train/demo")
    proof = {"verdict": "not same", "differences": ["step 10: loss was 2.5, is 2.6"], "num_differences": 1}
    counts, details = {"steps": 12, "tokens": 1536}, {"loss": {"first": 8.0, "last": 2.6}, "resume": proof}
    publish(stage, counts=counts, started=time.time(), files=[], details=details)
    told = "going on after an interruption changed what it computes: step 10: loss was 2.5, is 2.6"
    assert world.row("stable", "train/demo")["doubt"] == told
    assert f"! train/demo/stable {told}" in drawn(world)
    assert "loss 2.600, changed by an interruption: midtrain status says how" in summary(stage)
    publish(stage, counts=counts, started=time.time(), files=[], details=details | {"resume": proof | {"verdict": "same"}})
    assert "doubt" not in world.row("stable", "train/demo")
    assert "interruption" not in summary(stage)


def test_a_failure_counts_for_nothing_once_its_elements_were_submitted_again(world: World) -> None:
    stage = world.stage("extract")
    world.submit(stage, "ranks", "7", "0-3", time=1.0)
    for element in (1, 2):
        append(stage.folder, Ended(f"7_{element}", "ranks", 0, "failed", ranks=[element], time=2.0))
    world.submit(stage, "ranks", "8", "2%4", time=3.0)
    world.live(stage, "ranks", "8", "PENDING", "Priority", "", 2)
    [failure] = world.row("extract")["failures"]
    assert failure["jobs"] == ["7_1"]
    world.submit(stage, "ranks", "9", "0-1", time=4.0)
    assert world.row("extract")["state"] == "queued"
    assert "failures" not in world.row("extract")
    append(stage.folder, Ended("8_2", "ranks", 0, "nan", ranks=[2], time=5.0))
    [failure] = world.row("extract")["failures"]
    assert (failure["jobs"], failure["reason"]) == (["8_2"], "nan")


def test_a_job_that_a_person_started_by_hand_is_told_of_too(world: World) -> None:
    stage = world.stage("stable", "train/demo")
    append(stage.folder, Ended("99", "main", 0, "user_error", "micro_batch_size=3 does not divide"))
    assert world.row("stable", "train/demo")["state"] == "failed"


def test_of_very_many_elements_the_newest_files_are_opened(world: World) -> None:
    stage = world.stage("extract")
    for element in range(6):
        append(stage.folder, Ended(f"7_{element}", "ranks", 0, "bad_data", ranks=[element]))
    assert sorted(job.id for job in tell(stage.folder, most=2).jobs) == ["7_4", "7_5"]
