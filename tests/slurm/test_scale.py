"""A crawl of a hundred thousand shards on paper. Counts are asserted; seconds and megabytes are the benchmark's to tell."""

import json
import subprocess
import sys
from typing import Any

import pytest

from slurm.benchmark import NUM_DATASETS

RANKS = 100_000


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """In a process of its own: the benchmark listens to what Python opens, and nobody can take that back."""
    command = [sys.executable, "-m", "slurm.benchmark", "--ranks", str(RANKS), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_twenty_datasets_under_nine_branches_are_planned_once_each(record: dict[str, Any]) -> None:
    """Each page is composed once, whatever asks for it, and no page reads more than its own few files."""
    plan = record["plan"]
    assert plan["datasets"] >= NUM_DATASETS
    assert plan["ranks"] > 5 * RANKS
    assert plan["stages"] < 12 * plan["datasets"]  # three models share them
    assert plan["programs"] == 0
    assert plan["files_opened"] < 40 * plan["datasets"]
    assert plan["peak_megabytes"] < 500


def test_submission_takes_as_many_calls_as_there_are_stages_and_no_array_is_over_the_limit(record: dict[str, Any]) -> None:
    submit, stages = record["submit"], record["plan"]["stages"]
    assert stages <= submit["sbatch_calls"] <= 2 * stages
    assert submit["largest_array"] == submit["max_array_size"] == 1001
    assert submit["programs"] <= 1  # squeue, once


def test_status_of_all_ranks_reads_names_and_opens_the_files_of_those_at_work(record: dict[str, Any]) -> None:
    status = record["status"]
    assert status["state"] == "running"
    assert status["ranks"]["total"] == RANKS
    assert 0.6 * RANKS < status["ranks"]["done"] < 0.7 * RANKS
    assert status["files_opened"] < 1500  # manifests, a file an element that began, and progress of ranks at work
    assert status["folders_listed"] < 2 * record["plan"]["stages"]
    assert status["programs"] == 0
