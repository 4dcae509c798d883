"""A job's own story: how often it may start again, and why it started again where nothing was said."""

from pathlib import Path
from typing import Any

import pytest
from queue_stages import stage

from pretrain.probe import saves
from recipes.schema import Restarts
from slurm.queue import history as module
from slurm.queue import records
from slurm.queue.allocation import Allocation
from slurm.queue.elements import numbers
from slurm.queue.history import MAX_STARTS_IN_PLACE, History, progress
from slurm.queue.live import seconds
from slurm.queue.reason import End

KILLED = End("killed", "a process was killed")
PREEMPTED = End("preempted", "others came first")


def start(folder: Path, restart: int, **restarts: int) -> History:
    job = stage(folder, "a")
    job.folder.mkdir(parents=True, exist_ok=True)
    return History(job, "main", Allocation("12", None, restart, ["node1", "node2"]), Restarts(**restarts))


def step(folder: Path, number: int) -> None:
    """As training leaves a checkpoint."""
    (stage(folder, "a", do="train").folder / "checkpoints" / f"step_{number:08d}").mkdir(parents=True)


def test_a_job_may_start_again_as_often_as_the_page_says_for_each_reason(tmp_path: Path) -> None:
    for restart in range(2):
        history = start(tmp_path, restart, killed=2, timeout=5)
        history.begin()
        assert history.refusal("killed") == ""
        history.end(KILLED, again=True)
    last = start(tmp_path, 2, killed=2, timeout=5)
    assert last.refusal("killed") == "cluster.slurm.restarts.killed=2 allows no more restarts"
    assert last.refusal("timeout") == ""


@pytest.mark.parametrize("reason", ["out_of_memory", "nan", "bad_data", "disk_full", "user_error", "cancelled", "failed"])
def test_what_a_restart_does_not_mend_stops(tmp_path: Path, reason: Any) -> None:
    assert start(tmp_path, 0).refusal(reason) == "no restart would mend that"


def test_starts_that_slurm_makes_without_asking_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_gone", lambda folder, began: End("node_failure", "node2 was lost", nodes=["node2"]))
    start(tmp_path, 0, node_failure=1).begin()
    second = start(tmp_path, 1, node_failure=1)
    second.find_out()
    second.begin()
    assert second.overdrawn() is None
    assert second.lost == ["node2"]
    third = start(tmp_path, 2, node_failure=1)
    third.find_out()
    third.begin()
    end = third.overdrawn()
    assert end is not None
    assert end.told == "node2 was lost; cluster.slurm.restarts.node_failure=1 allows no more restarts"


def test_a_start_that_said_why_it_ended_is_not_asked_about(tmp_path: Path) -> None:
    first = start(tmp_path, 0)
    first.begin()
    first.end(PREEMPTED, again=True)
    again = start(tmp_path, 1)
    again.find_out()
    assert [type(event).__name__ for event in again.events] == ["Began", "Ended"]


def test_a_job_that_gets_no_further_stops(tmp_path: Path) -> None:
    for restart in range(MAX_STARTS_IN_PLACE):
        history = start(tmp_path, restart)
        history.begin()
        assert history.overdrawn() is None
        history.end(PREEMPTED, again=True)
    last = start(tmp_path, MAX_STARTS_IN_PLACE)
    last.begin()
    end = last.overdrawn()
    assert end is not None
    assert end.told == "others came first; it has started 5 times and got no further"


def test_progress_is_the_newest_checkpoint_or_ranks_and_their_parts(tmp_path: Path) -> None:
    training, shards = stage(tmp_path, "a", do="train"), stage(tmp_path, "b", shards=3)
    assert progress(training) == progress(shards) == 0
    step(tmp_path, 40)
    step(tmp_path, 80)
    assert progress(training) == 80
    (shards.folder / "logs" / "parts" / "00001" / "00000").mkdir(parents=True)
    assert progress(shards) == 1
    (shards.folder / "logs" / "ranks").mkdir()
    (shards.folder / "logs" / "ranks" / "00001.json").write_text("{}")
    assert progress(shards) == 1_000_000
    assert progress(shards, range(0, 3, 2)) == 0


def test_what_asks_a_model_gets_on_by_its_parts(tmp_path: Path) -> None:
    answers = stage(tmp_path, "a", do="answers")
    seen = [progress(answers)]
    for file in ("answers/free/00000.parquet", "answers/free/00001.parquet", "budgets/short/00000.parquet"):
        (answers.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (answers.folder / file).touch()
        seen.append(progress(answers))
    assert seen == [0, 1, 2, 3]


def test_a_probe_gets_on_by_its_first_answers_and_by_saves_that_are_whole(tmp_path: Path) -> None:
    probe = stage(tmp_path, "a", do="probe")
    kept = saves.folder_of(probe.folder)
    for update in (20, 40, 60):
        (kept / f"checkpoint-{update}").mkdir(parents=True)
    assert progress(probe) == 0
    (probe.folder / "logs" / saves.BEFORE).write_text("[]")
    assert progress(probe) == 1
    saves.mark_whole(kept, 20)
    saves.mark_whole(kept, 40)
    assert progress(probe) == 41
    assert saves.newest(kept) == str(kept / "checkpoint-40")
    assert not (kept / "checkpoint-60").exists()


def test_a_node_that_was_left_out_is_not_left_out_again(tmp_path: Path) -> None:
    history = start(tmp_path, 1)
    records.append(history.stage.folder, records.Found("12", "main", 0, "node_failure", nodes=["node1", "node2"]))
    records.append(history.stage.folder, records.Ended("12", "main", 1, "node_failure", again=True, nodes=["node2"]))
    assert start(tmp_path, 2).lost == ["node1"]


def test_a_full_disk_leaves_room_for_the_last_word(tmp_path: Path) -> None:
    history = start(tmp_path, 0)
    history.begin()
    kept = [path.name for path in records.folder_of(history.stage.folder).glob(".*")]
    assert kept == [".12.room"]
    history.end(None)
    assert not list(records.folder_of(history.stage.folder).glob(".*"))


def test_squeues_words_for_elements_and_times_are_read() -> None:
    assert numbers("4-6,9%8") == (4, 5, 6, 9)
    assert numbers("N/A") == ()
    assert numbers("7") == (7,)
    assert [seconds(left) for left in ("0:35", "1:00:00", "1-00:00:01", "UNLIMITED", "INVALID", "")] == [
        35,
        3600,
        86401,
        None,
        None,
        None,
    ]
