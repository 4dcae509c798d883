"""Tables of runs are read from CSV, or it is told why not."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from slurm.cli import main
from slurm.mix.table import read_table


def test_a_table_is_read_from_csv(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("name,seed,blend.web,blend.qa,gsm8k\none,1,0.7,0.3,21.5\ntwo,2,1,,19\n")
    table = read_table(str(file), Path("runs"))
    assert (table.names, table.sources) == (["one", "two"], ["web", "qa"])
    assert table.shares.tolist() == [[0.7, 0.3], [1.0, 0.0]]
    assert table.targets["gsm8k"].tolist() == [21.5, 19.0]


def test_columns_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("blend.web,blend.qa,gsm8k,math,note\n0.7,0.3,21.5,1,first\n1,,19,,\n0.5,0.5,20,2,third\n")
    assert list(read_table(str(file), Path("runs"), ["gsm8k"]).targets) == ["gsm8k"]
    file.write_text("blend.web,blend.qa,gsm8k,note\n0.7,0.3,21.5,first\n1,,19,second\n")
    assert list(read_table(str(file), Path("runs")).targets) == ["gsm8k"]
    with pytest.raises(ValueError, match="note='first' is no finite number"):
        read_table(str(file), Path("runs"), ["note"])
    with pytest.raises(ValueError, match="--target math: the runs have no 'math'; they have gsm8k, note"):
        read_table(str(file), Path("runs"), ["math"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,loss\none,2\n", "has the columns name, loss; it needs a share of each source (blend.SOURCE)"),
        ("blend.a,loss\n1,\n", "run 1: loss='' is no finite number"),
        ("blend.a,loss\n1,nan\n", "run 1: loss='nan' is no finite number"),
        ("name,blend.a,blend.b,loss\none,0.5,0.4,2\n", "one: shares {'a': 0.5, 'b': 0.4} sum to 0.9, not 1"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(text)
    answer = CliRunner().invoke(main, ["mix", "fit", str(file)])
    assert answer.exit_code == 2
    assert told in answer.stderr.replace("\n", "")
