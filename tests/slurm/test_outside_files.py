"""Files that a page names are found by their very name first, and known by what they hold."""

from pathlib import Path

import pytest

from pretrain.problems.rows import read_rows
from recipes.outside import identity, matching
from slurm.inputs import Outside


@pytest.fixture
def bracketed(tmp_path: Path) -> Path:
    """Beside a file that its name matches as a pattern."""
    (tmp_path / "b1.jsonl").write_text('{"question": "of another"}\n')
    file = tmp_path / "b[12].jsonl"
    file.write_text('{"question": "mine"}\n')
    return file


def test_brackets_in_the_name_of_a_file_are_no_pattern(bracketed: Path) -> None:
    assert matching(str(bracketed)) == [str(bracketed)]
    assert [row for _, row in read_rows(str(bracketed), ["question"])] == [{"question": "mine"}]
    bracketed.unlink()
    assert matching(str(bracketed)) == [str(bracketed.with_name("b1.jsonl"))]


def test_a_plan_and_a_stage_know_files_by_the_same_identity(bracketed: Path) -> None:
    outside = Outside(bracketed.parent / "no root")
    for path in (bracketed, bracketed.parent, bracketed.with_name("b*.jsonl")):
        found = outside.locate(str(path), "readiness.problems")
        assert found.identity == identity(matching(found.location))
    before = identity(matching(str(bracketed)))
    bracketed.write_text('{"question": "another"}\n')
    assert identity(matching(str(bracketed))) != before
