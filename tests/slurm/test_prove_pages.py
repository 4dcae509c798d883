"""A page of recipes/prove as a person plans and submits it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from recipes.load import load
from slurm.cli import main
from slurm.plan import plan

SITE = [
    *(f"cluster.slurm.{kind}.partition={partition}" for kind, partition in (("cpu", "c"), ("gpu", "g"), ("one_gpu", "o"))),
    "cluster.nodes=1",
    "cluster.processes_per_node=2",
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")  # no Slurm


def test_jobs_that_ask_a_model_share_a_node_where_training_has_its_own() -> None:
    answer = CliRunner().invoke(main, ["submit", "prove/demo", "cluster=h100", *SITE, "--dry-run", "--json"])
    assert answer.exit_code == 0, answer.output
    jobs = {job["stage"]: job["text"] for job in json.loads(answer.stdout)["jobs"] if job["part"] == "main"}
    asking = [name for name in jobs if name.startswith(("evaluate_", "answers_", "probe_")) and name != "probe_verdict"]
    assert len(asking) == 4 + 4 + 6
    for name in asking:
        lines = jobs[name].splitlines()
        assert {"#SBATCH --partition=o", "#SBATCH --mem=131072M", "#SBATCH --gpus-per-node=1"} <= set(lines)
        assert "#SBATCH --exclusive" not in lines
    assert {"#SBATCH --exclusive", "#SBATCH --mem=0", "#SBATCH --gpus-per-node=2"} <= set(jobs["stable"].splitlines())
    assert "--gpus-per-node" not in jobs["readiness_base"] + jobs["probe_verdict"]


def test_a_plan_says_what_it_cannot_foretell() -> None:
    answer = CliRunner().invoke(main, ["plan", "prove/demo"])
    told = "not foretold: device-hours of what asks a model: 4 evaluations, 4 answer stages, 6 probe runs\n"
    assert told in answer.output
    assert "not foretold" not in CliRunner().invoke(main, ["plan", "curate/demo_data"]).output


@pytest.mark.parametrize("override", ["probe=demo", "+probe=demo"])
def test_a_probe_is_added_to_a_page_that_has_none(override: str) -> None:
    stages = plan("prove/checkpoint", (override, "probe.checkpoints=[]", "~readiness")).stages
    assert [stage.name for stage in stages if stage.page == "prove/checkpoint"] == [
        "probe_checkpoint_answer_1",
        "probe_checkpoint_random_1",
        "probe_verdict",
        "report",
    ]


def test_an_evaluation_is_added_to_a_page_that_has_none() -> None:
    names = [stage.name for stage in plan("prove/checkpoint", ("evaluation=octothinker_orz",)).stages]
    assert "evaluate_checkpoint" in names


@pytest.mark.parametrize(
    ("page", "overrides", "told"),
    [
        ("prove/checkpoint", ["probe=demo"], "no checkpoint 'short'; valid names: checkpoint; probe.checkpoints=[] takes all of"),
        ("train/demo", ["probe=demo"], "Could not override 'probe'. No match in the defaults list."),
        ("prove/checkpoint", ["checkpoints={../x: a}"], "checkpoints.../x: '../x' is no name of a folder; use letters, digits"),
        ("prove/checkpoint", ["checkpoints={a/b: a}"], "checkpoints.a/b: 'a/b' is no name of a folder"),
        ("prove/checkpoint", ["checkpoints={two words: a}"], "checkpoints.two words: 'two words' is no name of a folder"),
        ("prove/checkpoint", ["~readiness"], "nothing is asked of the checkpoints: the page has no evaluation, no readiness and"),
        ("prove/demo", ["~readiness", "~evaluation", "~probe"], "nothing is asked of the checkpoints"),
    ],
)
def test_what_a_page_cannot_be_is_told(page: str, overrides: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=f"^page {page}: ") as error:
        load(page, overrides)
    assert told in str(error.value)
    assert "+probe" not in str(error.value)
    assert "[key]" not in str(error.value)


@pytest.mark.parametrize("command", [["release"], ["export"], ["mix", "sample"]])
def test_a_page_that_makes_no_model_is_told_what_it_does(command: list[str]) -> None:
    answer = CliRunner().invoke(main, [*command, "prove/demo"])
    assert answer.exit_code == 2
    assert "prove/demo asks what models can do, and makes none" in answer.stderr
