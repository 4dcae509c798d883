"""The benchmark command: what it prints, and that a way that fails is told with its error."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curation.benchmark.measure import Comparison, Way, Work, compare, measure


def spin(rounds: int) -> Work:
    return lambda: sum(i * i for i in range(rounds))


def fail(what: str) -> Work:
    raise RuntimeError(f"cannot {what}")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "curation.benchmark", *arguments], capture_output=True, text=True)


def test_two_ways_are_measured_by_their_cpu_seconds_and_judged_by_their_answers() -> None:
    def judge(mine: Any, other: Any) -> dict[str, Any]:
        return {"more": other > mine}

    compared = compare(
        "spin",
        against="ten times as much",
        documents=1,
        ours=Way(spin, (200_000,)),
        stock=Way(spin, (2_000_000,)),
        repeats=1,
        judge=judge,
    )
    assert compared.ratio > 2
    assert compared.quality == {"more": True}
    assert 5 < compared.peak_mb < 2_000


def test_a_share_of_the_documents_is_scaled_up() -> None:
    compared = compare(
        "spin", against="a tenth", documents=100, ours=Way(spin, (1,)), stock=Way(spin, (500_000,)), stock_documents=10, repeats=1
    )
    assert compared.stock_seconds == pytest.approx(10 * measure(Way(spin, (500_000,))).seconds, rel=0.9)


def test_a_way_that_fails_is_named_with_its_error() -> None:
    with pytest.raises(RuntimeError, match=r"measures test_benchmark.fail ended with 1:[\s\S]*cannot begin"):
        measure(Way(fail, ("begin",)))


def test_the_command_prints_one_object_a_comparison() -> None:
    answer = command("tokenize", "--documents", "60", "--repeats", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    [told] = [json.loads(line) for line in answer.stdout.splitlines()]
    assert told.keys() >= {"stage", "ours_seconds", "stock_seconds", "ratio", "quality", "peak_mb"}
    assert told["quality"]["same_tokens"] is True
    assert told["ratio"] == pytest.approx(told["stock_seconds"] / told["ours_seconds"])


def test_mistakes_are_told_with_the_way_out() -> None:
    missing = command("dedup", "--data", "nowhere")
    assert (missing.returncode, missing.stderr) == (2, "error: --data nowhere: there is no such folder\n")
    none = command("dedup", "--documents", "0")
    assert (none.returncode, none.stderr) == (2, "error: --documents and --repeats must be 1 or more\n")


def test_a_comparison_is_described_whole() -> None:
    comparison = Comparison("filter", "stock", 10, 1.0, 4.0, 100.0, 200.0, {"kept": 0.5})
    assert comparison.describe()["ratio"] == 4.0


@pytest.mark.parametrize("home", ["writable", "file/below"])
def test_compiled_functions_are_never_kept_beside_the_code(home: str, tmp_path: Path) -> None:
    """There, a change of another file than theirs would not be seen. A home that cannot be written has a temporary folder."""
    (tmp_path / "file").write_text("")
    statement = "import curation.compiled as c; print(c.config.CACHE_DIR)"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / home), "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    answer = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, env=environment, check=True)
    folder = Path(answer.stdout.strip())
    assert folder.is_relative_to(tmp_path)
    assert folder.is_relative_to(tmp_path / "writable") == (home == "writable")
