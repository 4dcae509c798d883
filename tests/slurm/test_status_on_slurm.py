"""What `midtrain status` says while real Slurm holds, cancels, runs and kills the jobs of a page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataset import PAGE, overrides, write_pages, write_tokenizer
from slurm_cluster import wait_until

from slurm.plan import Plan, plan
from slurm.queue.submit import submit
from slurm.status.describe import describe_status
from slurm.virtual.cluster import VirtualCluster


def states(planned: Plan) -> dict[str, str]:
    return {row["stage"]: row["state"] for row in look(planned)["stages"]}


def look(planned: Plan) -> dict[str, Any]:
    return describe_status(planned, f"midtrain submit {PAGE}")


def test_a_page_that_waits_is_cancelled_submitted_again_and_fails(
    cluster: VirtualCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    write_pages(tmp_path)
    write_tokenizer(tmp_path / "tokenizer")
    with open(tmp_path / "pages.jsonl", "a") as file:
        file.write("{broken\n" * 30)
    planned = plan(PAGE, overrides(tmp_path, "cluster=virtual", "shards=2"))
    planned = replace(planned, stages=planned.stages[:2])
    extract, tidy = planned.stages

    cluster.client("scontrol", "update", "PartitionName=main", "State=DOWN")
    submit(planned.stages)
    wait_until(lambda: "PartitionDown" in str(look(planned)), "Slurm says why the first job waits")
    first, second = look(planned)["stages"]
    assert (first["state"], second["state"]) == ("queued", "queued")
    assert {job["part"]: job["pending"] for job in first["jobs"]} == {"ranks": 2, "finish": 1}
    assert second["waits_for"] == ["extract (queued)"]

    cluster.client("scancel", *(job["job"] for job in second["jobs"]))
    wait_until(lambda: states(planned) == {"extract": "queued", "tidy": "lost"}, "what was cancelled while it waited is lost")
    told = look(planned)["stages"][1]["told"]
    assert told.endswith(f"are not in the queue any more, and the stage is not finished; submit again: midtrain submit {PAGE}")

    submit(planned.stages)
    assert states(planned) == {"extract": "queued", "tidy": "queued"}
    cluster.client("scontrol", "update", "PartitionName=main", "State=UP")
    wait_until(lambda: not look(planned)["is_live"], "nothing waits for ever", seconds=120)
    assert states(planned) == {"extract": "failed", "tidy": "waiting"}
    [failure] = look(planned)["stages"][0]["failures"]
    assert failure["reason"] == "bad_data"
    assert any("30 of 46 records could not be read" in line for line in failure["lines"])
    assert look(planned)["stages"][1]["told"].startswith("waits for extract, which failed: ")
    assert not extract.is_finished
    assert not tidy.is_finished
