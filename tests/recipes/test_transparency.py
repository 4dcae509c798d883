"""The transparency report: an item is shown by the fields of manifests, and by nothing else."""

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recipes.manifest import publish
from recipes.report.checklist import CHECKLIST, Item
from recipes.report.transparency import Finding, transparency
from recipes.stage import Input, Stage, write_stage
from slurm.cli import main

HUB = Input("hf://datasets/org/name/data.parquet", "abc")
TRAIN = {
    "model": {"num_layers": 2, "hidden_size": 8},
    "optimizer": {"beta1": 0.9},
    "lr": {"peak": 0.1},
    "global_batch_size": 8,
    "sequence_length": 16,
    "steps": 2,
    "seed": 0,
}
RUN = {"cluster": {"device": "cpu"}, "parallelism": {"tensor": 1}}
COUNTS = {"documents_in": 10, "documents_out": 8}


def stage(
    root: Path, name: str, do: str, *, page: str = "curate/d", params: Any = None, inputs: Any = None, run: Any = None
) -> Stage:
    folder = root / page / f"{name}-0123"
    return Stage(page, name, "curation", do, 1, params or {}, inputs or {}, run or {}, "0123", folder)


def finished(given: Stage, *, counts: Any = None, details: Any = None) -> Stage:
    write_stage(given)
    publish(given, counts=counts or {}, details=details or {}, started=time.time())
    return given


def formatted(root: Path, source: Input = HUB, *, template: str = "long_cot") -> Stage:
    params = {"template": template, "sources": {"d": {"format": "parquet"}}}
    return finished(stage(root, "format", "format", params=params, inputs={"source/d": source}), counts=COUNTS)


def trained(root: Path, *, params: Any = None) -> Stage:
    inputs = {"init": Input("hf://org/base", "abc")}
    given = stage(root, "stable", "train", page="train/t", params=params or TRAIN, inputs=inputs, run=RUN)
    return finished(given, details={"parameters": 123})


def finding(stages: list[Stage], question: str) -> Finding:
    found = [finding for area in transparency(stages) for finding in area.findings if question in finding.item.question]
    assert len(found) == 1
    return found[0]


def test_the_checklist_has_the_hundred_points_of_the_index() -> None:
    areas = dict.fromkeys(item.area for item in CHECKLIST)
    points = {area: sum(item.points for item in CHECKLIST if item.area == area) for area in areas}
    assert points == {"data": 14, "method": 33, "evaluation": 24, "resources": 29}


def test_an_item_is_shown_with_the_fields_that_show_it(tmp_path: Path) -> None:
    found = finding([trained(tmp_path)], "hyperparameters")
    assert found.is_shown
    fields = "params.optimizer, params.lr, params.global_batch_size, params.sequence_length, params.steps, params.seed"
    assert found.evidence == (f"train/t/stable-0123: {fields}",)
    assert found.lacking == ()


def test_a_field_that_is_missing_is_named_and_the_item_is_not_shown(tmp_path: Path) -> None:
    found = finding([trained(tmp_path, params={**TRAIN, "optimizer": {}})], "hyperparameters")
    assert not found.is_shown
    assert found.lacking == ("train/t/stable-0123 has no params.optimizer", "train a model on this page")


def test_a_stage_that_is_not_finished_shows_nothing(tmp_path: Path) -> None:
    found = finding([formatted(tmp_path), stage(tmp_path, "stable", "train", page="train/t")], "hyperparameters")
    assert not found.is_shown
    assert found.lacking[0] == "train/t/stable is not finished"
    assert not finding([formatted(tmp_path), stage(tmp_path, "b", "read")], "Which stages were run").is_shown


def test_sources_are_known_by_an_address_or_by_the_stage_that_made_them(tmp_path: Path) -> None:
    assert finding([formatted(tmp_path)], "Where does each dataset").is_shown
    made = formatted(tmp_path / "made", Input(str(tmp_path / "x.jsonl"), "abc", str(tmp_path / "curate/s/sample-1")))
    assert finding([made], "Where does each dataset").is_shown
    assert not finding([made], "Can others get the long chains").is_shown
    local = finding([formatted(tmp_path / "local", Input("data/mine.jsonl", "abc"))], "Where does each dataset")
    assert not local.is_shown
    assert local.lacking[-1] == "name sources by an address (hf://, https://, s3://), not by a local path"


def test_what_a_run_does_not_use_is_said_and_shown(tmp_path: Path) -> None:
    found = finding([formatted(tmp_path, template="short_cot")], "What did language models write")
    assert found.is_shown
    assert found.evidence == ("none of the 1 finished stages is one (counts.language_model)",)


def test_stages_that_asked_a_model_must_tell_which_one_and_by_which_prompt(tmp_path: Path) -> None:
    asked = {**COUNTS, "language_model": {"requests": 3}}
    silent = finished(stage(tmp_path, "rewrite", "rewrite", params={"model": "m"}), counts=asked)
    found = finding([silent], "What did language models write")
    assert not found.is_shown
    assert found.lacking == ("curate/d/rewrite-0123 has no inputs.prompt nor inputs.prompt/solver nor inputs.prompt/judge",)
    told = stage(tmp_path / "told", "rewrite", "rewrite", params={"model": "m"}, inputs={"prompt": Input("prompt.txt", "abc")})
    assert finding([finished(told, counts=asked)], "What did language models write").is_shown


def test_code_with_changes_that_no_commit_has_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for commit, is_shown in (("0123abcd", True), ("0123abcd-dirty", False), ("unknown", False)):
        monkeypatch.setattr("recipes.manifest.software", lambda commit=commit: {"midtrain": "1", "commit": commit})
        assert finding([trained(tmp_path / commit)], "Which code trained it").is_shown is is_shown


def test_evaluations_with_other_parameters_are_not_the_same_measure(tmp_path: Path) -> None:
    one = finished(stage(tmp_path, "evaluate_a", "evaluate", page="train/t", params={"shots": 4}))
    other = finished(stage(tmp_path, "evaluate_b", "evaluate", page="train/t", params={"shots": 8}))
    assert finding([one], "measured the same way").is_shown
    assert not finding([one, other], "measured the same way").is_shown


def test_nobody_is_credited_with_publishing(tmp_path: Path) -> None:
    exported = finished(stage(tmp_path, "export", "export", page="train/t"))
    found = finding([exported], "Can others get the weights")
    assert not found.is_shown
    assert found.lacking[-1].startswith("no manifest can show what is published")


def test_every_item_that_can_fail_names_a_way_out_or_the_stages_it_lacks() -> None:
    silent: list[Item] = [item for item in CHECKLIST if not item.lacking and not item.absent]
    assert silent == []


def test_the_command_refuses_a_page_of_which_nothing_is_finished(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["transparency", "curate/demo_data", f"root={tmp_path}"])
    assert answer.exit_code == 2
    assert "nothing of curate/demo_data is finished, so nothing can be shown; make it with: midtrain run" in answer.output


def test_the_command_prints_items_and_leaves_a_page(tmp_path: Path) -> None:
    from slurm.plan import plan

    planned = plan("curate/demo_data", (f"root={tmp_path}",))
    finished(planned.stages[0], counts={"documents": 1})
    answer = CliRunner().invoke(main, ["transparency", "curate/demo_data", f"root={tmp_path}"])
    assert answer.exit_code == 0, answer.output
    assert "of 100 points" in answer.output
    page = (planned.stages[0].folder.parent / "transparency.html").read_text()
    assert "Where does each dataset come from" in page
    assert f"{planned.stages[0].name}-{planned.stages[0].fingerprint}: params.num_pages" in page
