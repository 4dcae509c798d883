"""Moments of a stage that somebody asks for while it is in training."""

from pathlib import Path

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


def test_a_file_that_cannot_be_read_ends_no_training(world: World) -> None:
    folder = world.stage("unreadable", run={"branch_points": [3]})
    points = BranchPoints(folder)
    assert points.now() == {3}
    (folder / "recipe.yaml").unlink()
    assert points.now() == {3}


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
