"""The batch script of a job, and what a cluster's page must say before there is one."""

import subprocess
import sys
from pathlib import Path

import pytest
from queue_stages import SLURM, stage

from recipes.manifest import output_files
from slurm.queue.dag import jobs
from slurm.queue.elements import array
from slurm.queue.facts import missing_facts, refuse_missing_facts
from slurm.queue.script import options, script, script_file
from slurm.queue.submit import submit

GPU = {"partition": "h100", "qos": "long", "time_limit": "1-00:00:00", "options": ["--exclusive", "--comment=a b"]}


def test_an_array_says_all_that_it_asks_for_and_runs_one_command(tmp_path: Path) -> None:
    slurm = SLURM | {
        "account": "math",
        "environment": ["module load gcc", "source env.sh"],
        "cpu": SLURM["cpu"] | {"processes": 2},
    }
    (ranks, _) = jobs([stage(tmp_path, "a", shards=8, slurm=slurm)])
    lines = script(ranks).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")] == [
        f"--job-name={ranks.name}",
        f"--output={ranks.stage.folder}/logs/jobs/%A_%a.log",
        "--open-mode=append",
        "--kill-on-invalid-dep=yes",
        "--array=0-3%2",
        "--partition=main",
        "--account=math",
        "--time=00:30:00",
        "--mem=4096M",
        "--signal=B:USR1@30",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=2",
        "--requeue",
    ]
    assert [line for line in lines if line and not line.startswith("#")] == [
        f'part() {{ exec {sys.executable} -m slurm.queue {ranks.stage.folder} ranks --elements 4 "$@"; }}',
        "module load gcc",
        "[ $? = 0 ] || part --failed-line 'module load gcc'",
        "source env.sh",
        "[ $? = 0 ] || part --failed-line 'source env.sh'",
        "part",
    ]
    assert lines[1].endswith("a: 8 ranks: element e does the ranks e, e + 4 and so on")


def test_run_by_hand_a_script_says_what_must_be_done_before(tmp_path: Path) -> None:
    root = tmp_path / "my runs"
    first = stage(root, "a")
    (_, job) = jobs([first, stage(root, "b", first)])
    assert script(job).splitlines()[1:3] == [
        "# curate/page/b: does all of a stage of the kind format",
        f"# Written by `midtrain submit`. Run again by hand when curate/page/a is done: sbatch '{job.stage.folder}/job.sbatch'",
    ]


def test_training_asks_for_its_nodes_and_lets_its_processes_hear_the_signal(tmp_path: Path) -> None:
    cluster = {"device": "cuda", "nodes": 16, "processes_per_node": 8, "threads_per_process": 12, "slurm": SLURM | {"gpu": GPU}}
    text = script(jobs([stage(tmp_path, "stable", do="train", **cluster)])[-1])
    for option in ("--nodes=16", "--ntasks-per-node=8", "--cpus-per-task=12", "--gpus-per-node=8", "--signal=USR1@30"):
        assert f"#SBATCH {option}\n" in text
    for option in ("--mem=0", "--qos=long", "--exclusive", '"--comment=a b"', "--time=1-00:00:00"):
        assert f"#SBATCH {option}\n" in text


def test_what_asks_a_model_takes_one_gpu_of_a_node_that_it_shares(tmp_path: Path) -> None:
    one = {"partition": "shared", "time_limit": "08:00:00", "memory_gib": 128}
    cluster = {"device": "cuda", "nodes": 16, "processes_per_node": 8, "threads_per_process": 12}
    for do in ("evaluate", "answers", "probe"):
        [job] = jobs([stage(tmp_path, do, do=do, **cluster, slurm=SLURM | {"gpu": GPU, "one_gpu": one})])
        text = script(job)
        for option in ("--partition=shared", "--time=08:00:00", "--mem=131072M", "--gpus-per-node=1", "--cpus-per-task=12"):
            assert f"#SBATCH {option}\n" in text
        assert "--exclusive" not in text
        assert "--mem=0" not in text


def test_a_page_that_says_nothing_of_one_gpu_asks_as_training_does(tmp_path: Path) -> None:
    [job] = jobs([stage(tmp_path, "a", do="answers", device="cuda", processes_per_node=8, slurm=SLURM | {"gpu": GPU})])
    assert {"--partition=h100", "--exclusive", "--gpus-per-node=1"} <= set(options(job))
    [lacking] = jobs([stage(tmp_path, "a", do="answers", device="cuda")])
    [told] = missing_facts([lacking])
    assert told.startswith("cluster.slurm.gpu is not set, but what asks a model runs on cuda")


def test_what_lacks_of_one_gpu_is_told_by_its_own_keys(tmp_path: Path) -> None:
    slurm = SLURM | {"gpu": GPU, "one_gpu": {"time_limit": "08:00:00"}}
    told = missing_facts(jobs([stage(tmp_path, "a", do="probe", device="cuda", slurm=slurm)]))
    keys = ["cluster.slurm.one_gpu.partition", "cluster.slurm.one_gpu.memory_gib"]
    assert [line.partition(" ")[0] for line in told] == keys


def test_a_site_may_name_gpus_otherwise(tmp_path: Path) -> None:
    slurm = SLURM | {"gpu": GPU, "gpus_option": "--gres=gpu:h100:{}"}
    text = script(jobs([stage(tmp_path, "stable", do="train", device="cuda", processes_per_node=4, slurm=slurm)])[-1])
    assert "#SBATCH --gres=gpu:h100:4\n" in text


def test_a_script_is_bash_whatever_the_folder_is_called(tmp_path: Path) -> None:
    (job,) = jobs([stage(tmp_path / "runs of 100% $HOME", "a")])
    text = script(job)
    assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0
    assert f"'{job.stage.folder}' main" in text
    assert "/runs of 100%% $HOME/" in text


def test_scripts_are_no_outputs(tmp_path: Path) -> None:
    (job,) = jobs([stage(tmp_path, "a")])
    job.stage.folder.mkdir(parents=True)
    script_file(job).write_text(script(job))
    (job.stage.folder / "train.bin").write_bytes(b"")
    assert [path.name for path in output_files(job.stage.folder)] == ["train.bin"]


def test_elements_are_written_as_a_person_would() -> None:
    assert array([9, 3, 1, 2], 3) == "1-3,9%3"
    assert array(range(8), 1) == "0-7%1"
    assert array([0, 1], 4) == "0-1"


def test_all_that_a_clusters_page_lacks_is_told_at_once(tmp_path: Path) -> None:
    slurm = {"cpu": {"partition": "main"}, "gpu": {"time_limit": "00:05:00"}, "signal_seconds": 300}
    stages = [stage(tmp_path, "a", slurm=slurm, device="cuda"), stage(tmp_path, "b", do="train", slurm=slurm, device="cuda")]
    missing = missing_facts(jobs(stages))
    assert [line.partition(" ")[0] for line in missing] == [
        "cluster.slurm.cpu.time_limit",
        "cluster.slurm.cpu.memory_gib",
        "cluster.slurm.gpu.partition",
        "cluster.slurm.gpu.memory_gib",
        "cluster.slurm.gpu.time_limit=00:05:00",
    ]
    assert "`sinfo -s` names the partitions" in missing[2]


def test_a_cluster_without_slurm_is_nowhere_to_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cluster\.slurm is not set"):
        refuse_missing_facts(jobs([stage(tmp_path, "a", slurm=None)]))


def test_training_on_gpus_needs_their_partition(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cluster\.slurm\.gpu is not set, but training runs on cuda"):
        refuse_missing_facts(jobs([stage(tmp_path, "b", do="train", device="cuda")]))


def test_nothing_is_submitted_that_reads_what_nobody_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # and a dry run needs no Slurm
    with pytest.raises(ValueError, match="input 'a' is not finished, and no stage here makes it"):
        submit([stage(tmp_path, "b", stage(tmp_path, "a"))], dry_run=True)


def test_a_dry_run_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    first = stage(tmp_path, "a", shards=3)
    outcomes = submit([first, stage(tmp_path, "b", first)], dry_run=True)
    assert [(outcome.job.part, outcome.did, outcome.elements) for outcome in outcomes] == [
        ("ranks", "submitted", "0-2"),
        ("finish", "submitted", ""),
        ("main", "submitted", ""),
    ]
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_it_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="there is no `squeue` on this machine; call midtrain from a login node"):
        submit([stage(tmp_path, "a")])
