"""`midtrain submit` as a person calls it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from slurm.cli import main

OPTIONS = ("cluster=virtual", "shards=3", "~stages.dedup", "~stages.decontaminate", "~stages.tokenize")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("PATH", "/nowhere")  # no Slurm
    (tmp_path / "qa.jsonl").write_text(json.dumps({"id": "1", "question": "What is 1 plus 1?", "answer": "2"}) + "\n")
    return ["submit", "curate/demo_qa", f"root={tmp_path}/runs", f"sources.demo_qa.path={tmp_path}/qa.jsonl", *OPTIONS]


def test_a_dry_run_prints_the_jobs_and_every_script(page: list[str]) -> None:
    answer = CliRunner().invoke(main, [*page, "--dry-run"])
    assert answer.exit_code == 0, answer.output
    table, *scripts = answer.output.split("\n# ---- ")
    rows = [line.split() for line in table.splitlines() if line]
    assert [row[:2] for row in rows[1:]] == [["format", "ranks"], ["format", "finish"], ["report", "main"]]
    assert rows[2][-1] == "format:ranks"
    assert rows[2][-3:-1] == ["to", "submit"]
    assert [script.partition("\n")[0].rpartition("/")[2] for script in scripts] == [
        "job_ranks.sbatch",
        "job_finish.sbatch",
        "job.sbatch",
    ]
    assert all("\n#!/bin/bash\n" in script for script in scripts)


def test_a_program_reads_the_same(page: list[str]) -> None:
    answer = CliRunner().invoke(main, [*page, "--dry-run", "--json"])
    record = json.loads(answer.output)
    assert [(job["stage"], job["part"], job["did"], job["elements"]) for job in record["jobs"]] == [
        ("format", "ranks", "submitted", "0-2"),
        ("format", "finish", "submitted", ""),
        ("report", "main", "submitted", ""),
    ]
    assert record["jobs"][1]["needs"] == [record["jobs"][0]["name"]]
    assert record["jobs"][0]["text"].startswith("#!/bin/bash\n")


def test_a_cluster_that_has_no_slurm_is_refused_with_the_key(page: list[str]) -> None:
    answer = CliRunner().invoke(main, [word for word in page if word != "cluster=virtual"])
    assert answer.exit_code == 2
    assert "cluster.slurm is not set: this cluster's page knows no Slurm" in answer.stderr
