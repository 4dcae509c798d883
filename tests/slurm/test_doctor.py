"""`midtrain doctor` on a real Slurm: what it finds right, what it finds wrong, and the mend that it names."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from slurm_cluster import sbatch, states, wait_until

from recipes.load import load
from recipes.schema.cluster import Resources
from slurm.cli import main
from slurm.doctor import job
from slurm.doctor.job import Answer
from slurm.doctor.promises import kinds
from slurm.doctor.site import limit_seconds, num_gpus
from slurm.doctor.verdicts import judge
from slurm.virtual.cluster import VirtualCluster

ONE_NODE = "cluster.nodes=1"  # no processes that meet, so that torch is not loaded


@pytest.fixture
def on_slurm(cluster: VirtualCluster, monkeypatch: pytest.MonkeyPatch) -> VirtualCluster:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    return cluster


def examined(root: Path, *arguments: str, exit_code: int) -> dict[str, dict[str, Any]]:
    """Checks by name; those of the page together are the last one."""
    answer = CliRunner().invoke(main, ["doctor", *arguments, "--root", str(root), "--json"])
    assert answer.exit_code == exit_code, answer.output
    return {check["name"]: check for check in json.loads(answer.stdout)["checks"]}


def failures(checks: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {name: (check["told"], check["mend"]) for name, check in checks.items() if check["verdict"] == "failed"}


def test_the_virtual_cluster_is_what_its_page_says(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    checks = examined(tmp_path, "cluster=virtual", exit_code=0)
    assert failures(checks) == {}
    assert " to start at " in checks["a whole job on cpu nodes"]["told"]
    assert checks["a job on cpu nodes"]["told"].startswith("ran on node")
    assert checks["locks on cpu nodes"]["told"] == "flock holds between nodes"
    assert checks["all-reduce over 2 nodes"]["told"].startswith("gloo, 2 processes")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_promises_too_much_is_told_what_this_site_allows(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    asked = ["cluster=virtual", "cluster.slurm.cpu.time_limit=2-00:00:00", "cluster.slurm.max_array_size=5000"]
    checks = examined(tmp_path, *asked, "cluster.nodes=9", exit_code=1)
    assert failures(checks) == {
        "nodes of main": ("4 of 4 have 1 CPUs, 4 GiB, and cluster.nodes is 9", "cluster.nodes: 4"),
        "array size 5,000": ("MaxArraySize is 1,001", "cluster.slurm.max_array_size: 1001"),
    }
    assert checks["jobs"]["told"] == "none was submitted: mend the above first"


def test_a_partition_that_is_not_there_is_answered_with_those_that_are(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    checks = examined(tmp_path, "cluster=virtual", "cluster.slurm.cpu.partition=batch", exit_code=1)
    mend = "cluster.slurm.cpu.partition: one of main, low, grace"
    assert failures(checks) == {"partition batch": ("there is no such partition", mend)}


def test_a_time_limit_above_the_partitions_is_told_the_longest(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    asked = ["cluster=virtual", "cluster.slurm.cpu.partition=low", "cluster.slurm.cpu.time_limit=03:00:00"]
    on_slurm.client("scontrol", "update", "PartitionName=low", "MaxTime=02:30:00")
    try:
        told = failures(examined(tmp_path, *asked, exit_code=1))
    finally:
        on_slurm.client("scontrol", "update", "PartitionName=low", "MaxTime=UNLIMITED")
    mend = 'cluster.slurm.cpu.time_limit: "0-02:30:00"'
    assert told == {"time limit 03:00:00": ("partition low allows 0-02:30:00 at most", mend)}


def test_facts_that_the_page_lacks_are_told_first_with_what_to_write(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["doctor", "cluster=h100", "--root", str(tmp_path)])
    assert answer.exit_code == 2
    lines = answer.stdout.splitlines()
    assert lines[0] == "✗ page: cluster.slurm.cpu.partition is not set"
    assert lines[1].strip() == "mend: `sinfo -s` names the partitions"
    assert any(line.startswith("✓ Slurm: ") for line in lines)


def test_a_job_that_slurm_would_not_take_is_told_in_slurms_words(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    asked = ["cluster=virtual", ONE_NODE, 'cluster.slurm.cpu.options=["--gres=gpu:a100:1"]']
    [(name, (told, mend))] = failures(examined(tmp_path, *asked, exit_code=1)).items()
    assert name == "a whole job on cpu nodes"
    assert told == "allocation failure: Requested node configuration is not available"
    assert "cluster.slurm.cpu: partition, qos, time_limit, memory_gib or options" in mend


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that this machine has and no node: theirs are other mount namespaces."""
    folder = tmp_path / "own"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_root_that_only_the_login_node_sees_is_refused(on_slurm: VirtualCluster, own_disk: Path) -> None:
    [(name, (told, mend))] = failures(examined(own_disk, "cluster=virtual", ONE_NODE, exit_code=1)).items()
    assert name == "root seen on cpu nodes"
    assert "does not see what was written here (No such file or directory" in told
    assert mend == f"put the results where all nodes see them: root=…, not {own_disk}"


def test_a_python_that_a_node_lacks_is_told_with_the_shells_own_words(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    asked = ["cluster=virtual", ONE_NODE, "cluster.slurm.container=/no/such/apptainer"]
    [(name, (told, mend))] = failures(examined(tmp_path, *asked, exit_code=1)).items()
    assert name == "Python on cpu nodes"
    assert "/no/such/apptainer: No such file or directory" in told
    assert "cluster.slurm.environment or cluster.slurm.container" in mend


def test_another_python_on_the_node_is_told_by_what_differs(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    """An environment line puts another package's version before the site's own."""
    fake = tmp_path / "site" / "torch-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.1\n")
    asked = ["cluster=virtual", ONE_NODE, f'cluster.slurm.environment=["export PYTHONPATH={tmp_path}/site"]']
    [(name, (told, mend))] = failures(examined(tmp_path, *asked, exit_code=1)).items()
    assert name == "Python on cpu nodes"
    assert ": torch 0.0.1, here " in told
    assert mend.startswith("use one environment on all nodes")


def test_a_job_that_waits_longer_than_is_allowed_is_taken_back(on_slurm: VirtualCluster, tmp_path: Path) -> None:
    busy = sbatch(on_slurm, "sleep 60", "--nodes=4", "--exclusive")
    wait_until(lambda: states(on_slurm, busy) == ["RUNNING"], "the job that takes all nodes runs")
    try:
        checks = examined(tmp_path, "cluster=virtual", ONE_NODE, "--wait", "2", exit_code=1)
        assert on_slurm.client("squeue", "--me", "-h", "-t", "pending").strip() == ""
    finally:
        on_slurm.client("scancel", busy)
        wait_until(lambda: states(on_slurm, busy) == ["CANCELLED"], "it is gone")
    assert failures(checks)["a job on cpu nodes"][0].startswith("it still waits in the queue after 2 s: ")


def test_without_slurm_there_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = ("there is no `scontrol` on this machine", "call midtrain from a login node of a Slurm cluster")
    assert failures(examined(tmp_path, "cluster=virtual", exit_code=2)) == {"Slurm": told}


def test_a_configuration_that_says_nothing_is_one_line_too(
    cluster: VirtualCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slurm.conf").touch()
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    [(told, mend)] = failures(examined(tmp_path, "cluster=virtual", exit_code=2)).values()
    assert told.startswith("`scontrol` refused: ")
    assert "\n" not in told
    assert mend == "check SLURM_CONF, or ask the site: `scontrol ping` must answer"


# ---------------------------------------------------------------------------------------------------- without a cluster


def test_gpus_and_limits_are_read_as_slurm_writes_them() -> None:
    assert [num_gpus(gres) for gres in ("(null)", "gpu:8", "gpu:h100:8(S:0-1)", "gpu:a:2(S:0,1),nvme:1,gpu:b:2")] == [0, 8, 8, 4]
    assert [limit_seconds(text) for text in ("UNLIMITED", "30:00", "02:00:00", "1-00:00:00")] == [None, 1800, 7200, 86400]


def judged(tmp_path: Path, *found: dict[str, Any], kind: Resources = "gpu") -> dict[str, tuple[str, str]]:
    """What is said of a job of two GPU nodes that printed this."""
    from recipes import manifest

    (tmp_path / "probe").mkdir()
    rows = []
    for rank, facts in enumerate(found):
        (tmp_path / "probe" / f"from_{rank}").write_text("token")
        seen = {"node": f"node{rank + 1}", "sees": True, "why": "", "locks": True}
        rows.append({"rank": rank, **seen, "software": manifest.software(), "python": "python", "code": "here", **facts})
    cluster = load("train/demo", ["cluster=h100", "cluster.processes_per_node=8"]).cluster
    checks = judge(Answer(2, 16, 0, 1.0, rows), cluster, kind, tmp_path / "probe", "token")
    return {check.name: (check.told, check.mend) for check in checks if check.verdict == "failed"}


def test_what_asks_a_model_is_examined_as_its_jobs_are_asked_for() -> None:
    cluster = load("train/demo", ["cluster=h100", "cluster.slurm.one_gpu.partition=shared"]).cluster
    assert kinds(cluster) == ["cpu", "gpu", "one_gpu"]
    asked = job.options(cluster, "one_gpu", *job.size(cluster, "one_gpu")[:1], "00:05:00")
    assert {"--partition=shared", "--nodes=1", "--ntasks=1", "--gpus-per-node=1", "--mem=131072M"} <= set(asked)
    assert "--exclusive" not in asked
    assert "--exclusive" in job.options(cluster, "gpu", 2, None)
    assert job.command(cluster, "one_gpu", "name", Path("folder"), "token")[-1] == "cuda"
    assert kinds(load("train/demo", ["cluster=h100", "cluster.slurm.one_gpu=null"]).cluster) == ["cpu", "gpu"]


def test_a_job_of_one_gpu_must_see_one_and_adds_nothing_up(tmp_path: Path) -> None:
    none = {"gpus": 0, "names": [], "gpu_problem": "", "torch": "2", "visible": None}
    assert set(judged(tmp_path, none, kind="one_gpu")) == {"1 GPU a node"}


def test_a_lock_that_does_not_hold_between_nodes_is_told(tmp_path: Path) -> None:
    eight = {"gpus": 8, "names": ["H100"], "gpu_problem": "", "torch": "2", "visible": None}
    told, mend = judged(tmp_path, {**eight, "locks": False}, eight)["locks on gpu nodes"]
    assert told == "node1 took a lock that is held here: two jobs could work on one stage"
    assert "-o flock" in mend


def test_gpus_that_torch_cannot_use_and_too_few_of_them_are_told(tmp_path: Path) -> None:
    four = {"gpus": 4, "names": ["H100"], "gpu_problem": "", "torch": "2", "visible": "0,1,2,3"}
    assert judged(tmp_path, four, four)["8 GPUs a node"][0] == "a process sees 4"
    os.rename(tmp_path / "probe", tmp_path / "before")
    told, mend = judged(tmp_path, {**four, "gpu_problem": "driver is too old"})["8 GPUs a node"]
    assert told == "Slurm gave 0,1,2,3, torch says: driver is too old"
    assert "CUDA driver" in mend
