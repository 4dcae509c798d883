"""The virtual cluster is a real Slurm: what jobs suffer on a site, they suffer on it."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from slurm_cluster import has_ended, sbatch, states, wait_until

from slurm.virtual import daemons
from slurm.virtual.cluster import VirtualCluster


def test_an_array_runs_on_nodes_with_names_and_pretended_gpus(cluster: VirtualCluster, tmp_path: Path) -> None:
    said = "echo $(hostname) $SLURM_ARRAY_TASK_ID $CUDA_VISIBLE_DEVICES $(getent hosts node4)"
    job = sbatch(cluster, said, "--array=0-3", "--ntasks=1", "--cpus-per-task=16", "--gres=gpu:8", f"--output={tmp_path}/%a")
    wait_until(lambda: has_ended(cluster, job), "the array ends")

    said_by = [(tmp_path / str(element)).read_text().split() for element in range(4)]
    assert sorted(words[0] for words in said_by) == ["node1", "node2", "node3", "node4"]  # each wants a whole node
    assert [words[1:] for words in said_by] == [[str(element), "0,1,2,3,4,5,6,7", "127.0.77.4", "node4"] for element in range(4)]


def test_more_elements_than_the_site_allows_are_refused(cluster: VirtualCluster) -> None:
    with pytest.raises(ValueError, match="Invalid job array specification"):
        sbatch(cluster, "true", "--array=0-1001")


def test_a_lost_node_takes_its_processes_with_it_and_its_job_starts_again_elsewhere(
    cluster: VirtualCluster, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    work = f'echo $(hostname) $SLURM_RESTART_COUNT >> {began}; test -n "$SLURM_RESTART_COUNT" || sleep 600'
    job = sbatch(cluster, work, "--requeue", "--open-mode=append")
    wait_until(began.exists, "the job begins")
    lost = began.read_text().split()[0]
    try:
        cluster.fail_node(lost)
        wait_until(lambda: has_ended(cluster, job), "the job is done on another node")
        assert cluster.states()[lost] == "down*"
        assert states(cluster, job) == ["COMPLETED"]
        first, second = began.read_text().splitlines()
        assert first == lost
        assert second.split()[0] != lost
        assert second.split()[1] == "1"
    finally:
        cluster.restore_node(lost)
    assert cluster.states()[lost] == "idle"


def test_main_takes_nodes_from_low(cluster: VirtualCluster, tmp_path: Path) -> None:
    low = sbatch(cluster, "sleep 600", "--partition=low", "--nodes=4", "--exclusive", "--requeue")
    wait_until(lambda: states(cluster, low) == ["RUNNING"], "the job of low begins")
    main = sbatch(cluster, "sleep 600", "--partition=main", "--exclusive")
    wait_until(lambda: states(cluster, main) == ["RUNNING"], "the job of main begins")
    assert states(cluster, low) == ["PENDING"]
    cluster.client("scancel", low, main)
    wait_until(lambda: set(cluster.states().values()) == {"idle"}, "the nodes are free")


def test_jobs_survive_a_controller_that_dies(cluster: VirtualCluster) -> None:
    job = sbatch(cluster, "sleep 600")
    wait_until(lambda: states(cluster, job) == ["RUNNING"], "the job begins")
    changed = time.time()
    cluster.client("scontrol", "update", f"JobId={job}", "Comment=runs")  # what it writes then holds that the job runs
    jobs = cluster.home / "state" / "job_state"
    wait_until(lambda: jobs.is_file() and jobs.stat().st_mtime >= changed, "the controller has written it down")
    cluster.kill_controller()
    with pytest.raises(ValueError, match="squeue"):
        states(cluster, job)
    cluster.restart_controller()
    wait_until(lambda: states(cluster, job) == ["RUNNING"], "the job goes on")
    cluster.client("scancel", job)
    wait_until(lambda: set(cluster.states().values()) == {"idle"}, "the nodes are free")


def test_a_second_cluster_runs_beside_the_first_and_leaves_nothing(cluster: VirtualCluster) -> None:
    with VirtualCluster(nodes=1, gpus=0, max_array_size=5) as second:
        home, processes = second.home, [daemon.pid for daemon in second._daemons().values()]
        assert second.client("srun", "hostname") == "node1\n"
        assert "MaxArraySize            = 5\n" in second.client("scontrol", "show", "config")
        assert second.start() is second  # what runs is kept
        assert [daemon.pid for daemon in second._daemons().values()] == processes
    assert not home.exists()
    assert not [process for process in processes if Path(f"/proc/{process}").exists()]
    assert set(cluster.states().values()) == {"idle"}


def test_nothing_runs_on_when_its_starter_is_killed(cluster: VirtualCluster, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="midtrain_") as home:
        command = [sys.executable, "-m", "slurm.virtual", home, "--nodes=2", "--gpus=0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as starter:
            assert starter.stderr is not None
            said = [starter.stderr.readline(), starter.stderr.readline()]
            assert said == ["2 nodes are up; in another shell:\n", f"export SLURM_CONF={home}/slurm.conf\n"]
            assert len(processes_with(home)) > 4  # munged, slurmctld, nodes
            starter.kill()
        wait_until(lambda: not processes_with(f"{home}/"), "all processes are gone")


def processes_with(word: str) -> list[str]:
    """Commands of living processes that name it."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                commands.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return [command for command in commands if word in command]


def test_what_a_virtual_cluster_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"has no node 'node9'; it has none: start it"):
        VirtualCluster().fail_node("node9")
    with pytest.raises(ValueError, match=r"does not run; start it first"):
        _ = VirtualCluster().environment
    monkeypatch.setattr(daemons, "PROGRAMS", ("slurmctld_of_another_world",))
    with pytest.raises(ValueError, match=r"slurmctld_of_another_world not found\).*slurmctld slurmd slurm-client munge"):
        VirtualCluster().start()


def test_a_folder_too_deep_for_sockets_is_refused(cluster: VirtualCluster, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose a shorter folder, or set TMPDIR"):
        VirtualCluster(tmp_path / ("deep" * 20)).start()
