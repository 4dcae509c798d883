"""A disk that not all processes see alike: they go on together, or end together with the same message."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import odd_process
import pytest
from rank_process import run_together
from world import World, outputs

from recipes import exits
from recipes.manifest import read_manifest


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Path:
    folder = world.stage("agreed", run={"branch_points": [2]}, steps=4)
    assert run_together(folder, 2) == [0, 0], (folder / "logs" / "rank_0.txt").read_text()
    return folder


def half_done(world: World, undisturbed: Path, name: str) -> Path:
    """With an index and two checkpoints."""
    folder = world.stage(name, run={"branch_points": [2]}, steps=4)
    for part in ("index", "checkpoints"):
        shutil.copytree(undisturbed / part, folder / part)
    for journal in ("metrics.jsonl", "validation.jsonl"):
        shutil.copy(undisturbed / journal, folder / journal)
    shutil.rmtree(folder / "checkpoints" / "step_00000004")
    return folder


@pytest.mark.parametrize("odd", [odd_process.second_sees_no_record_of_checkpoints, odd_process.second_sees_no_index])
def test_what_one_process_alone_does_not_see_yet_is_taken_from_the_first(
    world: World, undisturbed: Path, odd: Callable[[int], None]
) -> None:
    folder = half_done(world, undisturbed, odd.__name__)
    assert run_together(folder, 2, prepare=odd) == [0, 0], (folder / "logs" / "rank_1.txt").read_text()
    assert read_manifest(folder)["details"]["resume"]["segments"][0]["loaded"] == "step_00000002"
    assert outputs(folder) == outputs(undisturbed)


@pytest.mark.parametrize("odd", [odd_process.first_cannot_read_a_checkpoint, odd_process.second_cannot_hash])
def test_what_one_process_cannot_read_ends_all_with_its_message_and_takes_no_checkpoint_away(
    world: World, undisturbed: Path, odd: Callable[[int], None]
) -> None:
    folder = half_done(world, undisturbed, odd.__name__)
    assert run_together(folder, 2, timeout=40, prepare=odd) == [1, 1]
    for rank in (0, 1):
        assert "OSError: [Errno 5] Input/output error" in (folder / "logs" / f"rank_{rank}.txt").read_text()
    assert (folder / "checkpoints" / "step_00000002").is_dir()


@pytest.mark.parametrize("name", ["common.pt", "metadata.json"])
def test_a_disk_that_is_full_for_the_first_process_alone_ends_all_alike(world: World, undisturbed: Path, name: str) -> None:
    folder = half_done(world, undisturbed, f"no_room_for_{name}")
    odd = partial(odd_process.first_has_no_room_for, name)
    assert run_together(folder, 2, timeout=40, prepare=odd) == [exits.NO_ROOM, exits.NO_ROOM]
    told = (folder / "logs" / "rank_0.txt").read_text()
    assert f"No space left on device: '{name}'; make room and start again. The one before it is whole" in told
    assert [path.name for path in (folder / "checkpoints").glob("step_*")] == ["step_00000002"]
