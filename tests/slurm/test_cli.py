"""What the command line says, and its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recipes.load import pages
from slurm.cli import main
from slurm.completion import OverrideType, PageType
from slurm.sweep.command import SweepType


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def say(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", ["show", "plan", "run", "status", "trace", "why", "diff", "report", "export", "verify"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    answer = say(command, "--help")
    assert answer.exit_code == 0
    assert f"midtrain {command}" in answer.output


def test_show_lists_pages_and_prints_a_page_with_every_default() -> None:
    assert set(json.loads(say("show", "--json").output)["pages"]) == set(pages())
    shown = json.loads(say("show", "curate/demo_web", "stages.dedup.min_jaccard=0.8", "--json").output)
    dedup = shown["stages"]["dedup"]
    assert (dedup["do"], dedup["ngram"], dedup["min_jaccard"]) == ("dedup", 5, 0.8)


@pytest.mark.parametrize("command", ["plan", "run", "status", "verify", "report", "export", "show"])
def test_a_mistake_is_one_line_and_exit_status_2(command: str) -> None:
    answer = say(command, "train/demo", "stages.decay.lr.peek=1")
    assert answer.exit_code == 2
    assert "unknown key 'peek'; did you mean 'peak'?" in answer.stderr
    assert answer.stdout == ""


def test_plan_gives_one_json_object_with_tokens_and_hours() -> None:
    record = json.loads(say("plan", "train/octothinker_3b", "branch=long", "--json").output)
    rows = {row["stage"]: row for row in record["stages"] if row["page"] == "train/octothinker_3b"}
    assert set(rows) == {"stable", "decay_long", "export_long", "report"}
    assert rows["stable"]["tokens"] == 209_715_200_000
    hours = rows["stable"]["flops"] / (989e12 * 0.4) / 3600
    assert rows["stable"]["device_hours"] == pytest.approx(hours, rel=1e-3)
    assert rows["stable"]["state"] == "missing"


def test_run_refuses_before_it_starts_when_inputs_are_missing(tmp_path: Path) -> None:
    answer = say("run", "curate/demo_web", "sources.demo_crawl.path=nowhere/*.warc.gz")
    assert answer.exit_code == 2
    assert "sources.demo_crawl.path: no file matches nowhere/*.warc.gz" in answer.stderr
    assert not list(tmp_path.rglob("recipe.yaml"))


def test_plan_and_run_give_the_same_exit_status_when_something_is_missing() -> None:
    given = ("curate/demo_web", "sources.demo_crawl.path=nowhere/*.warc.gz")
    for arguments in (given, (*given, "--json"), (*given, "--write")):
        answer = say("plan", *arguments)
        assert answer.exit_code == say("run", *given).exit_code == 2
        assert "no file matches nowhere/*.warc.gz" in answer.output
    assert len(json.loads(say("plan", *given, "--json").stdout)["problems"]) == 1
    assert say("plan", "curate/demo_web").exit_code == 0


def test_run_refuses_a_cluster_of_several_nodes(tmp_path: Path) -> None:
    answer = say("run", "curate/demo_data", "cluster=h100")
    assert answer.exit_code == 2
    assert "cluster.nodes=16" in answer.stderr


def test_verify_and_status_of_nothing_say_so() -> None:
    status = json.loads(say("status", "train/demo", "--json").output)
    assert (status["finished"], status["done"]) == (False, 0)
    verified = json.loads(say("verify", "train/demo", "--json").output)
    assert verified["unchanged"]
    assert not verified["finished"]
    assert len(verified["unfinished"]) == status["total"]


def test_trace_of_an_unknown_run_names_the_way_out() -> None:
    answer = say("trace", "train/demo/stable", "--step", "1")
    assert answer.exit_code == 2
    assert "there is no stage 'train/demo/stable' under runs; run its page first" in answer.stderr


def test_export_of_a_dataset_page_is_a_mistake() -> None:
    answer = say("export", "curate/demo_web")
    assert answer.exit_code == 2
    assert "curate/demo_web makes a dataset, not a model" in answer.stderr


def test_plan_write_leaves_folders_that_a_job_can_run(tmp_path: Path) -> None:
    assert say("plan", "curate/demo_data", "--write").exit_code == 0
    [recipe] = tmp_path.glob("runs/curate/demo_data/sample-*/recipe.yaml")
    assert "num_pages: 3000" in recipe.read_text()


def test_the_shell_completes_pages_and_options() -> None:
    context, parameter = main.make_context("midtrain", ["show"]), main.commands["plan"].params[0]
    assert [item.value for item in PageType().shell_complete(context, parameter, "train/octo")] == [
        "train/octothinker_1b",
        "train/octothinker_3b",
        "train/octothinker_8b",
        "train/octothinker_ablation",
    ]
    sweeps = SweepType().shell_complete(context, parameter, "sweep/decay_")
    assert [item.value for item in sweeps] == ["sweep/decay_cot_ratio", "sweep/decay_lr_shape", "sweep/decay_qa_share"]
    assert "cluster=h100" in [item.value for item in OverrideType().shell_complete(context, parameter, "cluster=")]


def test_a_root_that_cannot_be_written_is_a_mistake_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = say("run", "curate/demo_data", f"root={tmp_path}/file")
    assert answer.exit_code == 2
    assert f"root={tmp_path}/file: results cannot be written there" in answer.stderr
    assert say("plan", "curate/demo_data", "root=").exit_code == 2


def test_a_root_may_have_spaces(tmp_path: Path) -> None:
    record = json.loads(say("plan", "train/demo", f"root={tmp_path}/my results", "--json").output)
    assert record["root"] == f"{tmp_path}/my results"
