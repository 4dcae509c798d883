"""How an evaluation on a page becomes stages."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recipes.load import load
from recipes.schema import ProveRecipe
from recipes.schema.evaluation import Evaluation
from recipes.stage import Stage
from slurm.plan import Plan, plan

ONLY = ("~readiness", "~probe")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    rows = [{"question": f"What is {number}?", "answer": str(number)} for number in range(9)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    return folder


def planned(folder: Path, *, name: str = "base", path: str = "sums.jsonl", **spec: Any) -> Plan:
    written = {"path": path, **spec}
    asked = json.dumps({"sums": written}).replace('"', "")
    recipe = [f"checkpoints={{{name}: {folder.parent / 'checkpoint'}}}", f"evaluation.benchmarks={asked}", *ONLY]
    recipe.append(f"evaluation.folder={folder}")
    return plan("prove/demo", recipe)


def evaluation(found: Plan) -> Stage:
    [stage] = [stage for stage in found.stages if stage.do == "evaluate"]
    return stage


def test_each_checkpoint_has_a_stage_of_its_own(folder: Path) -> None:
    stage = evaluation(planned(folder, name="mine"))
    assert (stage.name, stage.room) == ("evaluate_mine", "pretrain")
    assert set(stage.inputs) == {"checkpoint", "benchmark/sums"}
    assert stage.run["serving"]["batch_size"] == 16


def test_where_a_benchmark_lies_decides_nothing_and_what_it_holds_does(folder: Path) -> None:
    first = evaluation(planned(folder)).fingerprint
    moved = folder.with_name("elsewhere")
    shutil.copytree(folder, moved)
    assert evaluation(planned(moved)).fingerprint == first
    (moved / "sums.jsonl").write_text('{"question": "?", "answer": "1"}\n')
    assert evaluation(planned(moved)).fingerprint != first


def test_examples_that_are_shipped_are_an_input_by_their_content(folder: Path) -> None:
    shipped = evaluation(planned(folder, shots={"path": "competition", "number": 2}))
    assert shipped.inputs["shots/sums"].location.endswith("shots/competition.jsonl")
    own = evaluation(planned(folder, shots={"path": "sums.jsonl", "number": 2, "columns": {}}))
    assert own.inputs["shots/sums"].location == str(folder / "sums.jsonl")
    assert own.fingerprint != shipped.fingerprint
    lacking = planned(folder, shots={"path": "other.jsonl", "number": 2})
    assert any("evaluation.benchmarks.sums.shots.path: no file matches" in problem for problem in lacking.problems)


def test_a_benchmark_that_is_missing_or_empty_is_told_before_anything_runs(folder: Path) -> None:
    assert any("evaluation.benchmarks.sums.path: no file matches" in text for text in planned(folder, path="none.jsonl").problems)
    (folder / "sums.jsonl").write_text("")
    assert any("evaluation.benchmarks.sums.path" in text and "is empty" in text for text in planned(folder).problems)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"template": "gms"}, "template: Input should be"),
        ({"grade": "letter"}, "grade: letter chooses among answers; name their column in columns.choices"),
        ({"grade": "letter", "columns": {"choices": "options"}}, "grade: letter compares letters; set columns.answer_as: letter"),
        ({"shot": {"number": 2}}, "unknown key 'shot'; did you mean 'shots'?"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_mistakes_on_the_page_are_told(folder: Path, spec: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="prove/demo") as error:
        planned(folder, **spec)
    assert told in str(error.value)


@pytest.mark.parametrize("name", ["../sums", "a/b", "two words", ".hidden"])
def test_a_benchmark_is_named_as_a_folder_can_be(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a folder"):
        Evaluation.model_validate({"benchmarks": {name: {"path": "sums.jsonl"}}})


def test_a_benchmark_is_added_to_those_of_a_protocol(folder: Path) -> None:
    spec = "{path: tabmwp.jsonl, columns: {question: [table, question]}, template: gsm, shots: {number: 8}}"
    found = load("prove/octothinker", ["evaluation=octothinker_base", f"+evaluation.benchmarks.tabmwp={spec}"])
    assert isinstance(found, ProveRecipe)
    assert found.evaluation is not None
    assert len(found.evaluation.benchmarks) == 13


def test_the_papers_protocols_are_pages(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Few-shot and greedy with 1,024 tokens; zero-shot with the template that asks for a box."""
    base, orz = (load("prove/octothinker", [f"evaluation={name}"]) for name in ("octothinker_base", "octothinker_orz"))
    assert isinstance(base, ProveRecipe)
    assert isinstance(orz, ProveRecipe)
    assert base.evaluation is not None
    assert orz.evaluation is not None
    shots = {name: one.shots.number if one.shots else 0 for name, one in base.evaluation.benchmarks.items()}
    assert [shots[name] for name in ("gsm8k", "svamp", "asdiv", "mawps")] == [8] * 4
    assert [shots[name] for name in ("math", "math500", "olympiadbench", "minerva_ocw", "sat_math", "mathqa", "mmlu_stem")] == [
        4
    ] * 7
    assert shots["amc23"] == 0
    assert base.evaluation.temperature == 0.0
    assert {one.max_tokens for one in base.evaluation.benchmarks.values()} == {1024}
    assert all((one.template, one.shots) == ("orz", None) for one in orz.evaluation.benchmarks.values())
