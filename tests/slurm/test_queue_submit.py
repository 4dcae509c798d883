"""Pages go through a real Slurm: submitted once, finished, and gone on with after a failure."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from slurm_cluster import sbatch, wait_until

from recipes.stage import Stage, try_lock
from slurm.plan import plan
from slurm.queue import records
from slurm.queue.live import live
from slurm.queue.records import Ended
from slurm.queue.submit import LOCK, Outcome, submit
from slurm.virtual.cluster import VirtualCluster

PAGE = "curate/demo_qa"  # of its stages only the first: what matters here is what Slurm makes of them


@pytest.fixture(autouse=True)
def _on_the_cluster(cluster: VirtualCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # as if called within a job, whose options must not become ours
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")


def stages_of(folder: Path, *, seed: int = 1, questions: int = 30) -> list[Stage]:
    """Three ranks that format questions, and a report."""
    rows = [{"id": str(i), "question": f"What is {i} plus {seed}?", "answer": str(i + seed)} for i in range(questions)]
    (folder / f"qa_{seed}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    left_out = (f"~stages.{name}" for name in ("dedup", "decontaminate", "tokenize"))
    source = f"sources.demo_qa.path={folder}/qa_{seed}.jsonl"
    return plan(PAGE, (f"root={folder}/runs", "cluster=virtual", "shards=3", source, *left_out)).stages


def did(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    return [(f"{outcome.job.stage.name}:{outcome.job.part}", outcome.did, outcome.elements) for outcome in outcomes]


def ends(stage: Stage) -> list[Ended]:
    files = sorted(records.folder_of(stage.folder).glob("[0-9]*.jsonl"))
    return [event for file in files for event in records.read(file) if isinstance(event, Ended)]


def wait_for_all(stages: list[Stage]) -> None:
    names = {records.job_name(stage, part) for stage in stages for part in records.PARTS}
    wait_until(lambda: not names & live().keys(), "no job is live")


def test_a_page_is_submitted_once_and_comes_out_finished(tmp_path: Path) -> None:
    stages = stages_of(tmp_path)
    first = submit(stages)
    assert did(first) == [
        ("format:ranks", "submitted", "0-2"),
        ("format:finish", "submitted", ""),
        ("report:main", "submitted", ""),
    ]
    again = submit(stages)
    assert [(outcome.did, outcome.ids) for outcome in again] == [("live", outcome.ids) for outcome in first]

    wait_for_all(stages)
    assert [stage.is_finished for stage in stages] == [True, True]
    assert (stages[-1].folder.parent / "report.html").is_file()
    assert [outcome.did for outcome in submit(stages)] == ["done", "done", "done"]
    assert {end.reason for stage in stages for end in ends(stage)} == {None}


def test_what_the_page_says_counts_for_more_than_a_login_shells_variables(
    cluster: VirtualCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not say is left to them."""
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv("SBATCH_ACCOUNT", "own")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "17")
    monkeypatch.setenv("SQUEUE_STATES", "COMPLETED")
    filler = sbatch(cluster, "sleep 600", "--nodes=4", "--exclusive")
    stages = stages_of(tmp_path)
    outcomes = submit(stages)
    ids = [id_ for outcome in outcomes for id_ in outcome.ids]
    asked = {cluster.client("squeue", "-h", "-j", id_, "-o", "%P %a %l %i").strip().rpartition(" ")[0] for id_ in ids}
    assert asked == {"main own 30:00"}
    assert [outcome.did for outcome in submit(stages)] == ["live"] * 3
    cluster.client("scancel", filler, *ids)
    wait_for_all(stages)


def test_a_failed_rank_stops_what_reads_it_and_nothing_else_and_runs_again_alone(tmp_path: Path) -> None:
    format_, report = stages_of(tmp_path)
    other = stages_of(tmp_path, seed=2)[0]
    blocked = format_.folder / "logs" / "ranks" / "00001.json"
    blocked.mkdir(parents=True)  # where the rank's record must come
    submit([format_, report, other])
    wait_for_all([format_, report, other])

    assert other.is_finished
    assert (format_.is_finished, report.is_finished) == (False, False)
    assert ends(report) == []  # killed before it began
    (finish,) = [end for end in ends(format_) if end.part == "finish"]
    assert (finish.reason, finish.ranks, finish.again) == ("failed", [1], False)
    assert "rank 1: " in finish.told
    assert any("IsADirectoryError" in line for line in finish.lines)

    kept = [(format_.folder / "logs" / "ranks" / f"0000{rank}.json").stat().st_mtime_ns for rank in (0, 2)]
    blocked.rmdir()
    assert did(submit([format_, report, other])) == [
        ("format:ranks", "submitted", "1"),
        ("format:finish", "submitted", ""),
        ("report:main", "submitted", ""),
        ("format:ranks", "done", ""),
        ("format:finish", "done", ""),
    ]
    wait_for_all([format_, report])
    assert report.is_finished
    assert kept == [(format_.folder / "logs" / "ranks" / f"0000{rank}.json").stat().st_mtime_ns for rank in (0, 2)]


def test_what_waits_for_a_job_that_comes_again_waits_for_the_new_one(cluster: VirtualCluster, tmp_path: Path) -> None:
    """And a script that is run by hand, before its time, finds out that its inputs lack."""
    filler = sbatch(cluster, "sleep 600", "--nodes=4", "--exclusive")
    stages = stages_of(tmp_path)
    first = {outcome.job.part: outcome.ids for outcome in submit(stages)}
    cluster.client("scancel", *first["ranks"])
    wait_until(lambda: submitted_anew(stages, first), "the array is cancelled, and submitted again")
    by_hand = cluster.client("sbatch", "--parsable", str(stages[-1].folder / "job.sbatch")).strip()
    cluster.client("scancel", filler)
    wait_for_all(stages)
    assert stages[-1].is_finished
    (end,) = [end for end in ends(stages[-1]) if end.job == by_hand]
    assert end.reason == "failed"
    assert "is not finished" in end.told


def submitted_anew(stages: list[Stage], first: dict[str, tuple[str, ...]]) -> bool:
    ranks, finish, report = submit(stages)
    if ranks.did != "submitted":
        return False
    assert finish.after == ranks.ids
    assert ranks.ids != first["ranks"]
    assert (report.did, report.ids) == ("live", first["main"])
    return True


def test_of_two_submissions_at_once_one_is_told_to_wait(tmp_path: Path) -> None:
    stages = stages_of(tmp_path)
    held = try_lock(tmp_path / "runs" / LOCK)
    assert held is not None
    with pytest.raises(ValueError, match="another `midtrain submit` is at work"):
        submit(stages)
    held.close()


def test_a_stage_that_runs_on_this_machine_is_left_to_it(tmp_path: Path) -> None:
    stages = stages_of(tmp_path)
    held = try_lock(stages[0].folder / "logs" / "lock")
    assert held is not None
    with pytest.raises(ValueError, match="`midtrain run` works on curate/demo_qa/format on this machine"):
        submit(stages)
    held.close()


def test_what_slurm_refuses_is_told_with_the_way_to_go_on(cluster: VirtualCluster, tmp_path: Path) -> None:
    stages = stages_of(tmp_path)
    run = copy.deepcopy(stages[1].run)
    run["cluster"]["slurm"]["cpu"]["partition"] = "nowhere"
    with pytest.raises(
        ValueError,
        match=r"(?s)report \(main\) is not in the queue: .*invalid partition.*\nthe 2 jobs before it are, and stay there",
    ):
        submit([stages[0], replace(stages[1], run=run)])
    again = submit(stages)
    assert again[2].did == "submitted"
    cluster.client("scancel", *(id_ for outcome in again for id_ in outcome.ids))
    wait_for_all(stages)
