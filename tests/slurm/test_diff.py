"""How two roads differ: what was asked, what was put in, what came out, and which documents only one of them keeps."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dataset import COPY, KEPT, PAGE, SHORT, curate, overrides

from recipes.fingerprint import fingerprint
from recipes.manifest import publish
from recipes.stage import Input, Stage, write_stage
from slurm.cli import main
from slurm.diff import flat

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
    assert told["reasons"] == [{"stage": "clean", "key": "length", "a": 1, "b": None}]


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
    assert told["documents"] is None


@pytest.mark.parametrize("given", ["curate/web_fils", "curate/web_files/cleam", "nowhere at/all", ""])
def test_what_is_no_road_is_a_mistake(both: Path, given: str) -> None:
    answer = say(page(both), given)
    assert answer.exit_code == 2
    assert "error:" in answer.stderr


# ---------------------------------------------------------------------------------------------------- training runs


def run(root: Path, name: str, lr: float, loss: float) -> Stage:
    """A finished training stage, as `pretrain` leaves it."""
    base = Input(str(root / "base"), "abcdef0123456789")
    params = {"lr": {"schedule": "constant", "peak": lr}, "steps": 10, "blend": {"web": 1.0}}
    identity = fingerprint(do="train", version=1, params=params, inputs={"init": base.identity})
    folder = root / "train" / "x" / f"{name}-{identity}"
    stage = Stage("train/x", name, "pretrain", "train", 1, params, {"init": base}, {"cluster": {}}, identity, folder)
    write_stage(stage)
    details = {"loss": {"first": 8.0, "last": loss}, "ledger": [{"dataset": "web", "epochs": loss / 2}]}
    publish(stage, counts={"steps": 10, "tokens": 4096}, started=0.0, details=details)
    return stage


def test_two_training_runs_are_compared_the_same_way(tmp_path: Path) -> None:
    run(tmp_path, "decay_short", 1e-3, 2.5)
    other = run(tmp_path, "decay_long", 3e-3, 2.0)
    told = compare("--root", str(tmp_path), "train/x/decay_short", str(other.folder))
    assert told["params"] == [{"stage": "decay_short", "key": "lr.peak", "a": 1e-3, "b": 3e-3}]
    assert told["documents"] is None
    assert {row["key"]: (row["a"], row["b"]) for row in told["figures"]} == {
        "loss.last": (2.5, 2.0),
        "ledger.web.epochs": (1.25, 1.0),
    }


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
