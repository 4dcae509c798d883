"""A sweep goes through a real Slurm: what its points share is one job, and the results are there when all have ended."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from slurm_cluster import wait_until

from slurm.cli import main
from slurm.queue import records
from slurm.queue.live import live
from slurm.sweep.plan import plan_sweep
from slurm.virtual.cluster import VirtualCluster


def submitted(arguments: list[str]) -> dict[str, list[str]]:
    """What became of the jobs of each stage."""
    answer = CliRunner().invoke(main, ["sweep", *arguments, "--submit", "--json"])
    assert answer.exit_code == 0, answer.output
    found: dict[str, list[str]] = {}
    for job in json.loads(answer.stdout)["jobs"]:
        found.setdefault(job["stage"], []).append(job["did"])
    return found


def test_a_sweep_is_queued_once_and_comes_out_finished(
    cluster: VirtualCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    questions = [
        {"id": str(i), "question": f"What is {i} plus 1?" + " Say why." * (i % 2), "answer": str(i + 1)} for i in range(8)
    ]
    (tmp_path / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    arguments = [
        "curate/demo_qa",
        f"root={tmp_path}/runs",
        "cluster=virtual",
        f"sources.demo_qa.path={tmp_path}/qa.jsonl",
        *(f"~stages.{name}" for name in ("dedup", "decontaminate", "tokenize")),
        "+stages.keep={do:filter,filters:{length:{max_words:100}}}",
        "stages.keep.filters.length.min_words=1,9",
    ]
    once = submitted(arguments)
    one, two = ["submitted"], ["submitted"] * 2
    assert once == {"format": one, "keep_features": one, "keep": two, "report": two}
    assert {state for states in submitted(arguments).values() for state in states} == {"live"}

    found = plan_sweep(arguments[0], arguments[1:])
    names = {records.job_name(stage, "main") for stage in found.merged.stages}
    wait_until(lambda: not names & live().keys(), "no job is live")
    assert {state for states in submitted(arguments).values() for state in states} == {"done"}
    record = json.loads(CliRunner().invoke(main, ["sweep", *arguments, "--json"]).stdout)
    cells = [row["cells"]["documents"]["mean"] for row in record["results"]["rows"]]
    assert cells == [8, 4]
