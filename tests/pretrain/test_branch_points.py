"""Moments of a stage that somebody asks for while it is in training."""

from pathlib import Path

import pytest
from test_resume import has_steps
from world import World

from pretrain.branch_points import BranchPoints
from recipes.manifest import read_manifest
from recipes.stage import ask_to_keep, read_stage, write_stage


def test_a_moment_asked_for_during_training_is_kept_for_ever(world: World) -> None:
    cadence = {"checkpoint_every_steps": 1000, "keep_checkpoints": 1}
    folder = world.stage("asked", run={"cadence": cadence, "branch_points": [2]}, steps=400, validation={})
    run = world.start(folder)
    while not has_steps(folder, 1)():
        assert run.process.is_alive(), run.stderr
    assert ask_to_keep(folder, [350])
    assert run.finish().status == 0, run.stderr
    assert read_manifest(folder)["details"]["kept_steps"] == [2, 350, 400]


@pytest.mark.parametrize("text", [None, "", "run: [1, 2", "just words", "run: {branch_points: [soon]}\ninputs: {}"])
def test_a_file_that_cannot_be_read_ends_no_training_and_is_told_once(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    folder = world.stage(f"unreadable_{tmp_path.name}", run={"branch_points": [3]})
    recipe = folder / "recipe.yaml"
    before = recipe.read_text()
    points = BranchPoints(folder)
    assert points.now() == {3}
    recipe.unlink()
    if text is not None:
        recipe.write_text(text)
    assert [points.now() for _ in range(3)] == [{3}] * 3
    assert len(caplog.records) == 1
    assert "recipe.yaml cannot be read" in caplog.text
    recipe.unlink(missing_ok=True)
    recipe.write_text(before)
    assert ask_to_keep(folder, [5])
    assert points.now() == {3, 5}


def test_nothing_but_the_moment_is_changed(world: World, tmp_path: Path) -> None:
    folder = world.stage("one_key")
    before = read_stage(folder)
    assert ask_to_keep(folder, [4, 2])
    assert read_stage(folder).run == {**before.run, "branch_points": [2, 4]}
    assert read_stage(folder).params == before.params
    assert not ask_to_keep(tmp_path, [4])


def test_a_plan_without_the_moment_does_not_take_it_away(world: World) -> None:
    folder = world.stage("kept_moment", run={"branch_points": [4]})
    write_stage(read_stage(world.stage("kept_moment", run={"branch_points": [6]})))
    assert read_stage(folder).run["branch_points"] == [4, 6]
