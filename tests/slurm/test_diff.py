"""How two roads differ: what was asked, what was put in, what came out, and which documents only one of them keeps."""

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dataset import COPY, KEPT, PAGE, SHORT, curate, overrides

from recipes.fingerprint import fingerprint
from recipes.manifest import publish
from recipes.stage import Input, Stage, write_stage
from slurm.cli import main
from slurm.leaves import flat

LONGER = "stages.clean.filters.length.min_words=20"


@pytest.fixture(scope="module")
def both(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the dataset lies with its page's filters, and with shorter documents too."""
    copy = tmp_path_factory.mktemp("both") / "dataset"
    shutil.copytree(dataset, copy)
    curate(copy, LONGER)
    return copy


def page(folder: Path, *more: str) -> str:
    return shlex.join([PAGE, *overrides(folder, *more)])


def compare(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(main, ["diff", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    told: dict[str, Any] = json.loads(answer.output)
    return told


def say(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


def test_a_page_is_the_same_as_itself(both: Path) -> None:
    told = compare(page(both), page(both, "cluster.curation_workers=7"))
    assert told["same"]
    assert told["documents"] is None
    assert {row["key"] for row in told["run"]} == {"cluster.curation_workers"}
    assert "the same: every stage has the same fingerprint" in say(page(both), page(both)).output


def test_parameters_that_differ_are_told_by_stage_and_key(both: Path) -> None:
    told = compare(page(both), page(both, LONGER))
    assert told["params"] == [{"stage": "clean", "key": "filters.length.min_words", "a": 50, "b": 20}]
    assert told["inputs"] == []
    because = {row["stage"]: row["because"] for row in told["stages"]}
    assert because["extract"] == []
    assert because["clean"] == ["params"]
    assert because["tokenize"] == ["inputs made"]


def test_documents_and_tokens_are_told_by_stage(both: Path) -> None:
    funnel = {row["stage"]: row for row in compare(page(both), page(both, LONGER))["funnel"]}
    assert funnel["extract"]["documents"] == [16, 16]
    assert funnel["clean"]["documents"] == [14, 15]
    assert not funnel["clean"]["exact"]
    assert funnel["tokenize"]["documents"] == [12, 13]
    assert funnel["tokenize"]["exact"]
    assert funnel["tokenize"]["tokens"][0] < funnel["tokenize"]["tokens"][1]


def test_reasons_are_told_with_both_counts(both: Path) -> None:
    told = compare(page(both), page(both, LONGER))
    assert told["reasons"] == [{"stage": "clean", "key": "length", "a": 1, "b": 0}]


def test_reasons_of_a_stage_that_only_one_has_are_told_with_its_absence(both: Path) -> None:
    roads = ("--root", str(both / "runs"), f"{PAGE}/decontaminate", f"{PAGE}/clean")
    [copy, leak] = compare(*roads)["reasons"]
    assert copy == {"stage": "dedup", "key": "exact_duplicate", "a": 1, "b": None}
    assert leak == {"stage": "decontaminate", "key": "contaminated", "a": 1, "b": None}
    lines = [line.split() for line in say(*roads).output.splitlines()]
    assert ["dedup", "(only", "a", "has", "it)", "exact_duplicate", "1", "0", "-1"] in lines


def test_documents_that_only_one_keeps_are_told_with_why_the_other_dropped_them(both: Path) -> None:
    told = compare(page(both), page(both, LONGER))
    documents = told["documents"]
    assert (documents["a"]["documents"], documents["b"]["documents"], documents["both"]) == (12, 13, 12)
    assert documents["only_a"]["documents"] == 0
    only = documents["only_b"]
    tokens = next(row["tokens"] for row in told["funnel"] if row["stage"] == "tokenize")
    assert only["tokens"] == tokens[1] - tokens[0]
    assert only["because"] == [{"stage": "clean", "reason": "length", "rule": "too_short", "documents": 1}]
    assert only["never_there"] == 0
    [example] = only["examples"]
    assert (example["id"], example["url"]) == (f"<urn:uuid:{SHORT}>", f"https://Example.org/{SHORT}/")
    assert example["dropped_by"]["rule"] == "too_short"
    shown = say(page(both), page(both, LONGER)).output
    assert "only b: 1 documents" in shown
    assert "1  a dropped in clean, length: too_short" in shown


def test_documents_that_never_came_to_the_other_are_told_so(both: Path, tmp_path: Path) -> None:
    for name in ("benchmark.jsonl", "tokenizer"):
        (tmp_path / name).symlink_to(both / name)
    lines = (both / "pages.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "pages.jsonl").write_text("".join(line for line in lines if KEPT not in line))
    curate(tmp_path)
    told = compare(page(both), page(tmp_path))
    assert told["documents"]["only_a"]["never_there"] == told["documents"]["only_a"]["documents"] == 1
    [example] = told["documents"]["only_a"]["examples"]
    assert example["dropped_by"] is None
    [source] = told["inputs"]
    assert (source["stage"], source["key"]) == ("extract", "source/pages")
    assert str(both) in source["a"]
    assert str(tmp_path) in source["b"]
    assert "1  never came to b" in say(page(both), page(tmp_path)).output


def test_stages_before_tokens_are_compared_by_their_shards(both: Path) -> None:
    runs = both / "runs"
    told = compare("--root", str(runs), f"{PAGE}/decontaminate", str(next((runs / PAGE).glob("clean-*"))))
    assert told["documents"]["only_a"]["tokens"] is None
    dropped = {example["id"]: example["dropped_by"] for example in told["documents"]["only_b"]["examples"]}
    assert dropped[f"<urn:uuid:{COPY}>"]["reason"] == "exact_duplicate"
    assert dropped[f"<urn:uuid:{COPY}>"]["duplicate_of"] == "<urn:uuid:page-05>"


def test_an_unfinished_page_is_compared_by_what_was_asked(both: Path) -> None:
    told = compare(page(both), page(both, "stages.extract.min_chars=9"))
    assert told["params"] == [{"stage": "extract", "key": "min_chars", "a": 200, "b": 9}]
    assert told["b"]["finished"] == 0
    assert told["reasons"] == []
    assert told["documents"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("curate/web_fils", "there is no stage 'curate/web_fils'"),
        ("curate/web_files/cleam", "there is no stage 'curate/web_files/cleam'"),
        ("nowhere at/all", "'nowhere at/all' is no page with overrides"),
        ("", "'' is no page with overrides"),
        ("it's", '"it\'s" cannot be read (No closing quotation); put quotation marks in pairs'),
    ],
)
def test_what_is_no_road_is_a_mistake(both: Path, given: str, told: str) -> None:
    answer = say(page(both), given)
    assert answer.exit_code == 2
    assert f"error: {told}" in answer.stderr


def test_pages_are_looked_for_under_the_root_that_is_named(both: Path) -> None:
    root, *others = overrides(both)
    told = compare(shlex.join([PAGE, *others]), page(both, LONGER), "--root", root.removeprefix("root="))
    assert told["a"]["finished"] == told["b"]["finished"] == told["a"]["stages"]


# ---------------------------------------------------------------------------------------------------- training runs


def run(root: Path, name: str, lr: float, losses: Sequence[float], dataset: str = "a" * 12, is_finished: bool = True) -> Stage:
    """A training stage, as `pretrain` leaves it after its last step or on the way."""
    inputs = {"init": Input(str(root / "base"), "abcdef0123456789"), "dataset/web": Input(str(root / "web"), dataset, "made")}
    params = {"lr": {"schedule": "constant", "peak": lr, "warmup_steps": 3}, "steps": 10, "blend": {"web": 1.0}}
    identity = fingerprint(do="train", version=1, params=params, inputs={role: entry.identity for role, entry in inputs.items()})
    folder = root / "train" / "x" / f"{name}-{identity}"
    stage = Stage("train/x", name, "pretrain", "train", 1, params, inputs, {"cluster": {}}, identity, folder)
    write_stage(stage)
    rows = [{"step": step, "loss": loss, "lr": lr, "tokens_seen": step * 400} for step, loss in enumerate(losses, start=1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ledger = {"dataset": "web", "delivered_tokens": 4000, "documents_touched": 7, "epochs": losses[-1] / 2}
    details = {"loss": {"first": losses[0], "last": losses[-1]}, "ledger": [ledger], "validation": {"web": losses[-1] + 1}}
    if is_finished:
        publish(stage, counts={"steps": 10, "tokens": 4000}, started=0.0, details=details)
    return stage


def test_two_training_runs_are_compared_the_same_way(tmp_path: Path) -> None:
    run(tmp_path, "decay_short", 1e-3, [8.0, 2.5])
    other = run(tmp_path, "decay_long", 3e-3, [8.0, 2.0])
    told = compare("--root", str(tmp_path), "train/x/decay_short", str(other.folder))
    assert told["params"] == [{"stage": "decay_short / decay_long", "key": "lr.peak", "a": 1e-3, "b": 3e-3}]
    assert {row["stage"] for part in ("stages", "training", "figures") for row in told[part]} == {"decay_short / decay_long"}
    assert told["documents"] is None
    assert {row["key"]: (row["a"], row["b"]) for row in told["figures"]} == {
        "loss.last": (2.5, 2.0),
        "ledger.web.epochs": (1.25, 1.0),
        "validation.web": (3.5, 3.0),
    }


def test_training_tells_the_first_step_whose_rate_and_whose_loss_differ(tmp_path: Path) -> None:
    one = run(tmp_path / "a", "stable", 1e-3, [8.0, 7.0, 6.5, 6.0])
    other = run(tmp_path / "b", "stable", 3e-3, [8.0, 7.0, 6.4, 5.0])
    told = compare(str(one.folder), str(other.folder))
    [training] = told["training"]
    assert training["learning_rate"] == {
        "in_words": ["warm-up in 3 steps, 7 steps at 0.001", "warm-up in 3 steps, 7 steps at 0.003"],
        "first_difference": {"step": 1, "rates": pytest.approx([1e-3 / 3, 1e-3])},
    }
    assert training["losses"] == {
        "steps": [4, 4],
        "first_difference": {"step": 3, "losses": [6.5, 6.4]},
        "last": [6.0, 5.0],
    }
    assert training["validation"] == {"web": [7.0, 6.0]}
    shown = say(str(one.folder), str(other.folder)).output
    assert "in step 1, the first that differs" in shown
    assert "loss: 6.5 and 6.4 in step 3, the first that differs" in shown


def test_training_tells_what_data_it_was_given(tmp_path: Path) -> None:
    one = run(tmp_path / "a", "stable", 1e-3, [8.0, 7.0])
    other = run(tmp_path / "b", "stable", 1e-3, [8.0, 7.0, 6.0], dataset="b" * 12, is_finished=False)
    [training] = compare(str(one.folder), str(other.folder))["training"]
    assert training["data"] == [
        {
            "dataset": "web",
            "share": [1.0, 1.0],
            "fingerprint": ["a" * 12, "b" * 12],
            "delivered_tokens": [4000, None],
            "documents_touched": [7, None],
            "epochs": [3.5, None],
        }
    ]
    assert training["losses"] == {"steps": [2, 3], "first_difference": None, "last": [7.0, 6.0]}
    shown = say(str(one.folder), str(other.folder)).output
    assert "learning rate: the same: warm-up in 3 steps, 7 steps at 0.001" in shown
    assert "loss: the same to the last bit in 2 steps" in shown
    assert "aaaaaaaaaaaa" in shown


def test_training_tells_the_code_it_was_made_with(tmp_path: Path) -> None:
    stages = [run(tmp_path / name, "stable", 1e-3, [8.0]) for name in ("a", "b")]
    for stage, number in zip(stages, ("0.16.1", "0.19.2")):
        manifest = json.loads((stage.folder / "manifest.json").read_text())
        (stage.folder / "manifest.json").write_text(
            json.dumps(manifest | {"software": {"torch": "2.13", "megatron-core": number}})
        )
    told = compare(*(str(stage.folder) for stage in stages))
    assert told["versions"] == [{"stage": "software", "key": "megatron-core", "a": "0.16.1", "b": "0.19.2"}]


def test_the_same_stage_with_another_loss_is_told(tmp_path: Path) -> None:
    folders = [str(run(tmp_path / name, "stable", 1e-3, [8.0, loss]).folder) for name, loss in (("a", 7.0), ("b", 7.1))]
    assert "every stage has the same fingerprint" in say(*folders).output
    assert "loss: 7.0 and 7.1 in step 2, the first that differs" in say(*folders).output


def judged(root: Path, min_score: object, chosen: dict[str, float] | None) -> Stage:
    """A finished filter stage that judged by a number, or by what was chosen."""
    params = {"filters": {"math_classifier": {"model": "classifier", "min_score": min_score}}}
    identity = fingerprint(do="filter", version=1, params=params, inputs={})
    stage = Stage(
        "curate/x", "math", "curation", "filter", 1, params, {}, {}, identity, root / "curate" / "x" / f"math-{identity}"
    )
    write_stage(stage)
    details = {"chosen": {"math_classifier": {"min_score": chosen}}} if chosen else {}
    publish(stage, counts={"documents_in": 2, "documents_out": 1}, started=0.0, details=details)
    return stage


def test_a_chosen_threshold_is_told_with_its_number(tmp_path: Path) -> None:
    number = judged(tmp_path / "a", 0.5, None)
    for name, chosen, told in (
        ("b", {"all": 0.4321}, "chosen: 0.4321"),
        ("c", {"2020": 0.25, "all": 0.5}, "chosen: 2020 0.25, all 0.5"),
    ):
        other = judged(tmp_path / name, "chosen", chosen)
        [row] = compare(str(number.folder), str(other.folder))["params"]
        assert row == {"stage": "math", "key": "filters.math_classifier.min_score", "a": 0.5, "b": told}
        assert told in say(str(number.folder), str(other.folder)).output


def test_leaves_of_lists_are_named_by_their_rows() -> None:
    tree = {"a": [{"threshold": 0.5, "recall": 1.0}, {"dataset": "web", "epochs": 2}], "b": [1, 2], "c": {}}
    assert flat(tree) == {"a.0.5.recall": 1.0, "a.web.epochs": 2, "b": [1, 2]}


def test_documents_of_an_unfinished_road_are_not_compared(both: Path) -> None:
    told = compare(page(both), page(both, "stages.dedup.min_jaccard=0.9"))
    assert told["unfinished"] == ["b"]
    assert told["documents"] is None
    done = f"b has {told['b']['finished']} of its {told['b']['stages']} stages"
    assert done in say(page(both), page(both, "stages.dedup.min_jaccard=0.9")).output


def test_a_training_run_and_a_dataset_that_it_reads_share_their_stages(tmp_path: Path) -> None:
    told = compare(f"train/demo root={tmp_path}", f"curate/demo_web root={tmp_path}")
    because = {row["stage"]: row["because"] for row in told["stages"]}
    assert because["curate/demo_web/extract"] == []
    assert told["unfinished"] == ["a", "b"]
