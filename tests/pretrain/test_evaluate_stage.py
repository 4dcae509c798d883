"""An evaluation of a checkpoint whose answers are known beforehand."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as parquet
import pytest
from evaluate_world import make_checkpoint, make_stage, write_items

from pretrain import __main__ as program
from pretrain.evaluate import answers
from recipes import exits
from recipes.fingerprint import file_hash
from recipes.manifest import changed_files, output_files, read_manifest
from recipes.pass_at_k import wilson
from recipes.stage import Stage, try_lock, write_stage

ROOT = Path(__file__).parents[2]
TEXT = {"template": "text", "max_tokens": 6}
ITEMS = [
    {"question": "What is it a", "answer": "7"},
    {"question": "What is it a", "answer": "9"},
    {"question": "What is it b", "answer": "16/2"},
    {"question": "What is it c", "answer": "7"},
    {"question": "d" * 900 + " a", "answer": "7"},
]
CHOICES = [
    {"question": "What is it a", "choices": ["7", "8"], "answer": "A"},
    {"question": "What is it a", "choices": ["8", "7"], "answer": 1},
    {"question": "What is it b", "choices": ["7", "8"], "answer": "A"},
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def rows_of(stage: Stage, benchmark: str) -> list[dict[str, Any]]:
    return [
        row for file in sorted((stage.folder / "answers" / benchmark).iterdir()) for row in parquet.read_table(file).to_pylist()
    ]


def hashes(stage: Stage) -> dict[str, str]:
    return {file.relative_to(stage.folder).as_posix(): file_hash(file) for file in output_files(stage.folder)}


def test_every_answer_is_kept_with_its_grade_and_scored(tmp_path: Path, checkpoint: Path) -> None:
    files = {"sums": write_items(tmp_path / "sums.jsonl", *ITEMS)}
    stage = make_stage(tmp_path, "evaluate_it", checkpoint, files, benchmarks={"sums": TEXT})
    assert program.main([str(stage.folder)]) == 0
    rows = rows_of(stage, "sums")
    assert [(row["text"], row["tokens"], row["finish"]) for row in rows] == [
        ("7", 2, "eos"),
        ("7", 2, "eos"),
        ("8\n\n", 3, "eos"),
        (" so c so c so c", 6, "length"),
        ("", 0, "too_long"),
    ]
    assert [(row["answer"], row["right_answer"], row["is_right"], row["by_math_verify"], row["by_text"]) for row in rows] == [
        ("7", "7", True, True, True),
        ("7", "9", False, False, False),
        ("8", "16/2", True, True, True),
        ("", "7", False, None, False),
        ("", "7", False, None, False),
    ]
    assert rows[0]["prompt"] == "What is it a"
    manifest = read_manifest(stage.folder)
    low, high = wilson(2 / 5, 5)
    scored = manifest["details"]["scores"]["sums"]
    assert (scored["items"], scored["right"], scored["mean"]) == (5, 2, 0.4)
    assert (scored["low"], scored["high"]) == (round(low, 6), round(high, 6))
    assert (scored["no_answer"], scored["too_long"]) == (0.4, 0.2)
    assert (scored["tokens"], scored["truncated"], scored["ended"], scored["stopped"]) == (3.2, 0.25, 0.75, 0.0)
    assert manifest["counts"]["grades"] == {"correct": 2, "wrong": 3, "disputed": {}, "trouble": {"no_answer": 2}}
    assert (manifest["counts"]["items"], manifest["counts"]["tokens"]) == (5, 13)
    assert orjson.loads((stage.folder / "scores.json").read_bytes()) == manifest["details"]
    assert changed_files(stage.folder) == []


def test_choices_are_compared_by_their_likelihood(tmp_path: Path, checkpoint: Path) -> None:
    """Behind ` a` the model writes 7 and never 8; a template that shows no choices compares their texts."""
    items = [
        {"question": "What is it a", "choices": ["b", "\u00e9 c"], "answer": 0},
        {"question": "What is it c", "choices": ["a", "so"], "answer": "B"},
        {"question": "What is it c", "choices": ["so", "a"], "answer": "B"},
        {"question": "d" * 900, "choices": ["so", "a"], "answer": "A"},
    ]
    spec = {
        "template": "text",
        "grade": "log_likelihood",
        "kind": "general",
        "columns": {"choices": "choices", "answer_as": "letter"},
    }
    files = {"told": write_items(tmp_path / "told.jsonl", *items)}
    stage = make_stage(tmp_path, "evaluate_it", checkpoint, files, benchmarks={"told": spec})
    assert program.main([str(stage.folder)]) == 0
    rows = rows_of(stage, "told")
    assert [(row["answer"], row["is_right"]) for row in rows[1:]] == [("B", True), ("A", False), ("", False)]
    assert [row["finish"] for row in rows] == ["scored"] * 3 + ["too_long"]
    assert rows[1]["log_likelihoods"][1] > rows[1]["log_likelihoods"][0]
    assert rows[3]["log_likelihoods"] == [None, None]
    scored = read_manifest(stage.folder)["details"]["scores"]["told"]
    assert "truncated" not in scored
    assert (scored["no_answer"], scored["too_long"], scored["kind"]) == (0.25, 0.25, "general")


def test_letters_are_graded_as_letters(tmp_path: Path, checkpoint: Path) -> None:
    spec = {"template": "letters", "grade": "log_likelihood", "columns": {"choices": "choices", "answer_as": "letter"}}
    written = {**spec, "grade": "letter", "max_tokens": 2}
    files = {"compared": write_items(tmp_path / "a.jsonl", *CHOICES), "written": write_items(tmp_path / "b.jsonl", *CHOICES)}
    stage = make_stage(tmp_path, "evaluate_it", checkpoint, files, benchmarks={"compared": spec, "written": written})
    assert program.main([str(stage.folder)]) == 0
    assert rows_of(stage, "compared")[0]["prompt"] == "What is it a\nA. 7\nB. 8\nAnswer:"
    assert {row["answer"] for row in rows_of(stage, "compared")} <= {"A", "B"}
    assert [row["right_answer"] for row in rows_of(stage, "written")] == ["A", "B", "A"]


def test_an_item_is_never_its_own_example(tmp_path: Path, checkpoint: Path) -> None:
    from pretrain.evaluate.sheet import Sheet, open_sheet
    from recipes.schema.evaluation import Benchmark
    from recipes.stage import Input

    rows = [{"question": f"q{number}", "answer": str(number)} for number in range(4)]
    file = write_items(tmp_path / "rows.jsonl", *rows)
    shots = {"path": "x", "number": 2, "columns": {}}
    stage = make_stage(tmp_path, "evaluate_it", checkpoint, {"rows": file}, benchmarks={"rows": {"shots": shots}})
    stage.inputs["shots/rows"] = Input(str(file), "rows")
    sheet = open_sheet(stage, "rows", Benchmark.model_validate({"path": "x", "shots": shots}))
    assert isinstance(sheet, Sheet)
    asked = [[line for line in sheet.prompt(item).splitlines() if line.startswith("Question: ")] for item in sheet.items]
    assert sheet.fewest_shots == 2
    assert asked[0] == ["Question: q1", "Question: q2", "Question: q0"]
    assert asked[1] == ["Question: q0", "Question: q2", "Question: q1"]
    assert asked[3] == ["Question: q0", "Question: q1", "Question: q3"]


def test_a_question_that_stands_there_twice_is_one_example(tmp_path: Path, checkpoint: Path) -> None:
    from pretrain.evaluate.sheet import open_sheet
    from recipes.schema.evaluation import Benchmark
    from recipes.stage import Input

    rows = [{"question": f"q{number}", "answer": str(place)} for place, number in enumerate((0, 0, 0, 1, 1, 2))]
    file = write_items(tmp_path / "rows.jsonl", *rows)

    def sheet_of(number: int) -> Any:
        shots = {"path": "x", "number": number, "columns": {}}
        stage = make_stage(tmp_path, "evaluate_it", checkpoint, {"rows": file}, benchmarks={"rows": {"shots": shots}})
        stage.inputs["shots/rows"] = Input(str(file), "rows")
        return open_sheet(stage, "rows", Benchmark.model_validate({"path": "x", "shots": shots}))

    two = sheet_of(2)
    assert [shot.answer for shot in two.shots] == ["0", "3", "5"]
    assert two.fewest_shots == 2
    assert two.prompt(two.items[0]).count("Question: ") == 3
    assert sheet_of(3).fewest_shots == 2  # the file has no fourth in place of the item itself
    with pytest.raises(ValueError, match="has 3 different worked examples"):
        sheet_of(4)


@pytest.mark.parametrize(("changed", "told"), [("was changed", "9"), ("was taken away", None)])
def test_a_benchmark_that_changed_since_the_plan_is_refused(
    tmp_path: Path, checkpoint: Path, changed: str, told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    stage = many(tmp_path, checkpoint, "evaluate_it")
    file = tmp_path / "sums.jsonl"
    if told is None:
        file.unlink()
    else:
        write_items(file, {"question": "a", "answer": told})
    assert program.main([str(stage.folder)]) == exits.MISTAKE
    assert f"sums.jsonl (benchmark/sums) {changed} since the stage was planned" in caplog.text
    assert not (stage.folder / "answers").exists()


def many(tmp_path: Path, checkpoint: Path, name: str) -> Stage:
    rows = [{"question": f"What is {number} {'abc'[number % 3]}", "answer": "7"} for number in range(48)]
    files = {"sums": write_items(tmp_path / "sums.jsonl", *rows)}
    return make_stage(tmp_path, name, checkpoint, files, benchmarks={"sums": {**TEXT, "max_tokens": 30}}, temperature=1.0)


def test_a_stage_that_is_killed_goes_on_behind_its_last_part_with_the_same_bytes(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PART", 4)
    whole, killed = many(tmp_path, checkpoint, "evaluate_whole"), many(tmp_path, checkpoint, "evaluate_killed")
    assert program.main([str(whole.folder)]) == 0
    code = f"""
from pretrain import __main__ as program
from pretrain.evaluate import answers
answers.PART = 4
program.main([{str(killed.folder)!r}])
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    parts = killed.folder / "answers" / "sums"
    deadline = time.monotonic() + 60
    while not (parts / "00001.parquet").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.is_finished
    written = {file: file.stat().st_mtime_ns for file in parts.glob("*.parquet")}
    assert 2 <= len(written) < 12
    assert program.main([str(killed.folder)]) == 0
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert hashes(killed) == hashes(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stage_that_is_asked_to_end_does_so_and_goes_on_later(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(answers, "PART", 16)
    stage, times, compute = many(tmp_path, checkpoint, "evaluate_it"), [], answers._written

    def answered(*given: Any) -> Any:
        times.append(1)
        if len(times) == 2:
            os.kill(os.getpid(), number)
        return compute(*given)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(answers, "_written", answered)
        assert program.main([str(stage.folder)]) == exits.INTERRUPTED
    assert signal.getsignal(number) is before
    assert [file.name for file in (stage.folder / "answers/sums").iterdir()] == ["00000.parquet"]
    assert program.main([str(stage.folder)]) == exits.DONE


@pytest.mark.parametrize("do", ["evaluate", "answers", "probe"])
def test_two_processes_do_not_ask_for_one_stage(
    tmp_path: Path, checkpoint: Path, caplog: pytest.LogCaptureFixture, do: str
) -> None:
    stage = replace(many(tmp_path, checkpoint, "evaluate_it"), do=do)
    write_stage(stage)
    held = try_lock(stage.folder / "logs" / "asking.lock")
    assert held is not None
    with held:
        assert program.main([str(stage.folder)]) == exits.MISTAKE
    assert "another process makes this stage" in caplog.text
    assert not (stage.folder / "answers").exists()


def test_a_stage_whose_answers_are_all_there_loads_no_model(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"sums": write_items(tmp_path / "sums.jsonl", *ITEMS)}
    stage = make_stage(tmp_path, "evaluate_it", checkpoint, files, benchmarks={"sums": TEXT})
    assert program.main([str(stage.folder)]) == 0
    before = hashes(stage)
    (stage.folder / "manifest.json").unlink()
    (stage.folder / "scores.json").unlink()
    monkeypatch.delattr("pretrain.evaluate.stage.open_engine")
    assert program.main([str(stage.folder)]) == 0
    assert hashes(stage) == before


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "evaluation.benchmarks.sums.path: {file} is empty: it has no row"),
        ([{"problem": "?", "answer": "1"}], "evaluation.benchmarks.sums.path: sums.jsonl, row 1 has no column 'question'"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_told_before_a_model_is_loaded(
    tmp_path: Path, rows: list[dict[str, Any]], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_items(tmp_path / "sums.jsonl", *rows)
    (tmp_path / "no_checkpoint").mkdir()
    stage = make_stage(tmp_path, "evaluate_it", tmp_path / "no_checkpoint", {"sums": file}, benchmarks={"sums": TEXT})
    assert program.main([str(stage.folder)]) == 2
    assert told.format(file=file) in caplog.text
