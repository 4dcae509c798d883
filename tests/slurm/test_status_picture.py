"""How far and how fast stages are, and the picture that `midtrain status` draws of all."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from status_world import World, drawn

from recipes.manifest import publish, rank_file
from recipes.stage import LOGS, MANIFEST, is_finished, progress_file, report_progress
from slurm.cli import main
from slurm.plan import plan
from slurm.queue.records import Ended, append
from slurm.status.progress import progress_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "runs")


# ---------------------------------------------------------------------------------------------------- progress


def test_a_rate_is_told_from_one_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, now = world.stage("stable", "train/demo"), time.time()
    for seconds, steps in ((0, 10), (5, 15), (20, 50)):
        monkeypatch.setattr(time, "time", lambda at=now + seconds: at)
        report_progress(stage.folder, 0, steps, 100, "steps")
    world.live(stage, "main", "7", "RUNNING", "None", "node1")
    world.submit(stage, "main", "7")
    progress = world.row("stable", "train/demo")["progress"]
    assert (progress["done"], progress["total"], progress["rate"], progress["eta_seconds"]) == (50, 100, 2.0, 25.0)
    assert "  50/100 steps  2 steps/s  25.0 s" in drawn(world)
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert world.row("stable", "train/demo")["progress"]["rate"] is None


def test_a_rank_that_begins_anew_has_a_rate_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, now = world.stage("stable", "train/demo"), time.time()
    for seconds, steps in ((0, 40), (10, 90), (20, 40), (30, 50)):
        monkeypatch.setattr(time, "time", lambda at=now + seconds: at)
        report_progress(stage.folder, 0, steps, 100, "steps")
    assert world.row("stable", "train/demo")["progress"]["rate"] == 1.0


# ---------------------------------------------------------------------------------------------------- the picture, the command


def test_of_more_than_a_thousand_ranks_ranks_are_counted_with_those_at_work(tmp_path: Path) -> None:
    [stage] = [stage for stage in plan("curate/web_files", (f"root={tmp_path}", "shards=2000")).stages if stage.name == "extract"]
    for folder in ("ranks", "progress"):
        (stage.folder / LOGS / folder).mkdir(parents=True)
    for rank in range(1500):
        for file in (rank_file(stage.folder, rank), progress_file(stage.folder, rank)):
            file.touch()  # what is in them is not asked
    for rank in (1500, 1501):
        report_progress(stage.folder, rank, 600, 1000, "documents")
    progress = progress_of(stage)
    assert (progress["done"], progress["total"], progress["unit"]) == (1501, 2000, "ranks")


@pytest.mark.parametrize("width", [80, 160])
def test_a_stage_is_one_line_however_narrow_the_terminal(world: World, width: int) -> None:
    world.finish_until("extract")
    stage = world.stage("extract")
    world.submit(stage, "ranks", "123456", "0-3")
    world.live(stage, "ranks", "123456", "RUNNING", "None", "node1", 0)
    world.live(stage, "ranks", "123456", "PENDING", "JobArrayTaskLimit", "", 1, 2, 3)
    append(stage.folder, Ended("123456_1", "ranks", 0, "preempted", again=True))
    lines = drawn(world, width).splitlines()
    [line] = [line for line in lines if line.startswith("  extract ")]
    assert "running  0/4 ranks" in line
    assert ("123456 ranks 1 running 3 pending" if width == 160 else "123456 ranks 1 run") in line
    assert ("1 preempted" in line) == (width == 160)
    assert max(len(line.rstrip()) for line in lines) <= width


def test_pages_that_are_done_or_not_begun_are_one_line(world: World) -> None:
    world.finish_until("extract")
    picture = drawn(world)
    assert [line.split() for line in picture.splitlines() if line.startswith("curate/demo_data")] == [
        ["curate/demo_data", "done", "1", "stage"]
    ]
    assert "curate/demo_qa" in picture
    assert "  stable" in picture


def test_the_command_gives_json_or_a_table_and_watches_until_nothing_is_live(world: World) -> None:
    given = ("status", "train/demo", f"root={world.plan.recipe.root}", "branch=demo_short", "demo_web:shards=4")
    append(world.stage("extract").folder, Ended("7", "main", 0, "disk_full", "no room"))
    record = json.loads(CliRunner().invoke(main, [*given, "--json"]).stdout)
    assert record["stopped"] == ["curate/demo_web/extract"]
    answer = CliRunner().invoke(main, [*given, "--watch"])
    assert answer.exit_code == 1
    assert "disk_full" in answer.stdout
    assert CliRunner().invoke(main, [*given, "--watch", "--json"]).exit_code == 2


def test_a_manifest_of_any_size_is_read_at_its_ends(world: World) -> None:
    stage = world.stage("extract")
    files = [{"path": f"documents/{number:05d}.parquet", "bytes": 1, "sha256": "0" * 64} for number in range(1000)]
    publish(stage, counts={"documents_out": 3}, started=time.time(), files=files)
    assert world.row("extract")["counts"] == {"documents_out": 3}
    (stage.folder / MANIFEST).write_bytes(b"")
    assert is_finished(stage.folder)
    with pytest.raises(ValueError, match="is damaged"):
        world.look()
