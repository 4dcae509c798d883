"""Commands that ask about results take overrides only with the page that they change."""

import pytest
from click.testing import CliRunner

from slurm.cli import main

PAGE = "curate/demo_web"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["why", "x", "root=/x"], "'root=/x' is no page; name the folder of the results with: --root /x"),
        (["why", "x", "seed=2"], "'seed=2' cannot stand there; overrides stand behind the PAGE that they change"),
        (["why", "x", "~stages.math"], "'~stages.math' cannot stand there; overrides stand behind the PAGE that they change"),
        (["diff", PAGE, PAGE, "root=/x"], "'root=/x' is no page; name the folder of the results with: --root /x"),
        (["diff", PAGE, "root=/x"], "'root=/x' is no page; name the folder of the results with: --root /x"),
        (["diff", PAGE, PAGE, "seed=2"], "'seed=2' cannot stand there; overrides stand in the quotes of A or B"),
    ],
)
def test_an_override_where_none_can_stand_is_told_where_it_belongs(arguments: list[str], told: str) -> None:
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 2
    assert f"error: {told}" in answer.stderr
