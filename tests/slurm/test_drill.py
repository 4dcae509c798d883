"""Jobs that are disturbed in the middle of their work make the bytes of those that are not: on real Slurm, each fault by itself.

Here three of the fourteen that `midtrain drill` rehearses: a preemption of training on two nodes, a killed rank, a full disk.
"""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from dataset import PAGE, overrides
from rich.console import Console

from curation.sample.base_model import make_base_model
from recipes.fingerprint import file_hash
from recipes.stage import Stage
from slurm.cli import main
from slurm.drill.command import print_table
from slurm.drill.drill import Asked, drill, speaking_to
from slurm.drill.rehearsal import Rehearsal, come_to_rest, compare, rehearse, remade
from slurm.drill.scene import Scene
from slurm.plan import plan, refuse_problems
from slurm.queue import dag
from slurm.queue.submit import submit
from slurm.virtual.cluster import VirtualCluster

MODEL = {
    "num_layers": 2,
    "hidden_size": 32,
    "ffn_hidden_size": 64,
    "num_attention_heads": 4,
    "num_query_groups": 2,
    "head_dim": 8,
    "vocab_size": 257,
    "max_position_embeddings": 128,
    "rope_theta": 10000.0,
    "rope_scaling_factor": None,
    "tie_embeddings": True,
    "norm_eps": 1e-5,
    "init_std": 0.02,
}


def of_page(dataset: Path) -> list[str]:
    """The overrides of the small dataset, without its root."""
    return [override for override in overrides(dataset) if not override.startswith("root=")]


def undisturbed_curation(dataset: Path, root: Path) -> None:
    """It was made in a process of its own, without Slurm, which changes nothing."""
    shutil.copytree(dataset / "runs", root)


def training(dataset: Path, folder: Path, root: Path, *more: str) -> list[Stage]:
    """The stages of a page that trains a tiny model on the small dataset, up to its checkpoint."""
    page = [f"{sign}web_files:{rest}" for override in of_page(dataset) for sign, rest in [signed(override)]]
    model = [f"model.{key}={'null' if value is None else value}" for key, value in MODEL.items() if key != "init_std"]
    planned = plan(
        "train/demo",
        (
            *("cluster=virtual", f"root={root}", f"base={folder}/base", f"tokenizer={dataset}/tokenizer", *model),
            *(
                "stages.stable.blend={web_files: 1.0}",
                "stages.stable.steps=8",
                "stages.stable.lr.warmup_steps=2",
                "~stages.decay",
            ),
            *("validation={}", "sequence_length=32", "global_batch_size=8"),
            *("cadence.checkpoint_every_steps=3", *page, *more),
        ),
    )
    refuse_problems(planned)
    return [stage for stage in planned.stages if stage.room == "curation" or stage.do == "train"]


def write_base(folder: Path, tokenizer: Path) -> None:
    with_names = folder.with_name("tokenizer")
    shutil.copytree(tokenizer, with_names)
    (with_names / "special_tokens_map.json").write_text("{}")
    make_base_model(folder, with_names, seed=1, model=MODEL)


def signed(override: str) -> tuple[str, str]:
    return (override[0], override[1:]) if override[0] in "+~" else ("", override)


def test_preempted_training_saves_starts_again_and_ends_with_the_same_checkpoint(
    cluster: VirtualCluster, dataset: Path, tmp_path: Path
) -> None:
    write_base(tmp_path / "base", dataset / "tokenizer")
    undisturbed_curation(dataset, tmp_path / "undisturbed")
    with speaking_to(cluster):
        whole = training(dataset, tmp_path, tmp_path / "undisturbed")
        submit(whole)
        come_to_rest(whole)
        stages = training(dataset, tmp_path, tmp_path / "struck", "cluster.slurm.cpu.partition=grace")
        [job] = [job for job in dag.jobs(stages) if job.is_training]
        found = rehearse("preemption", Scene(cluster, job, tmp_path), stages, tmp_path / "undisturbed")
    assert found.problem == ""
    assert found.different == []
    assert found.num_files > 5
    assert found.restarts == {"preempted": 1}
    assert not found.submitted_again
    assert found.stage == "train/demo/stable"
    assert "of 8" in found.struck


def test_a_killed_rank_and_a_full_disk_leave_the_same_tokens(cluster: VirtualCluster, dataset: Path, tmp_path: Path) -> None:
    undisturbed_curation(dataset, tmp_path / "undisturbed")
    asked = Asked(PAGE, of_page(dataset), ["SIGKILL of a rank", "full disk"], ["curation"])
    heard: list[str] = []
    killed, full = drill(asked, tmp_path, heard.append)
    assert heard == ["undisturbed", f"SIGKILL of a rank, {PAGE}/tokenize_shards", f"full disk, {PAGE}/tokenize_shards"]
    for found in (killed, full):
        assert (found.problem, found.different) == ("", [])
        assert found.num_files >= 4
        assert found.struck == "rank 0 of 2 writes"
    assert (killed.restarts, killed.submitted_again) == ({"killed": 1}, False)
    assert (full.restarts, full.submitted_again) == ({}, True)
    assert "disk_full" in full.did[0]


def test_what_is_made_of_the_struck_stage_in_its_room_is_made_again(dataset: Path, tmp_path: Path) -> None:
    stages = plan(PAGE, (f"root={tmp_path}", *of_page(dataset))).stages
    [struck] = [stage for stage in stages if stage.name == "decontaminate"]
    assert [stage.name for stage in remade(stages, struck)] == ["decontaminate", "tokenize_shards", "tokenize", "certificate"]


def test_a_byte_that_differs_and_a_file_that_lacks_are_named(dataset: Path, tmp_path: Path) -> None:
    undisturbed_curation(dataset, tmp_path / "whole")
    undisturbed_curation(dataset, tmp_path / "other")
    stages = [stage for stage in plan(PAGE, (f"root={tmp_path}/other", *of_page(dataset))).stages if stage.name == "tokenize"]
    num_files, different = compare(stages, tmp_path / "whole")
    assert different == []
    folder = "/".join(stages[0].folder.parts[-3:])
    tokens = stages[0].folder / "train.bin"
    tokens.write_bytes(tokens.read_bytes()[:-1] + b"\x00")
    assert compare(stages, tmp_path / "whole")[1] == [f"{folder}/train.bin (content changed)"]
    manifest = tmp_path / "whole" / folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(file_hash(tmp_path / "whole" / folder / "train.bin"), file_hash(tokens)))
    assert compare(stages, tmp_path / "whole")[1][0] == f"{folder}/train.bin"
    (stages[0].folder / "manifest.json").unlink()
    assert len(compare(stages, tmp_path / "whole")[1]) == num_files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train/demo", "root=here"], "root=here: a drill chooses this itself; say with --folder"),
        (["train/demo", "cluster=h100"], "cluster=h100: a drill chooses this itself"),
        (["--fault", "flood"], "there is no fault 'flood'; there are: preemption, time limit, scancel"),
    ],
)
def test_what_a_drill_cannot_be_asked_for_is_refused_before_anything_starts(arguments: list[str], message: str) -> None:
    answer = CliRunner().invoke(main, ["drill", *arguments])
    assert answer.exit_code == 2
    assert message in answer.output


def test_a_page_without_anything_to_strike_is_refused(tmp_path: Path) -> None:
    asked = Asked("curate/demo_data", (), rooms=["pretrain"])
    with pytest.raises(ValueError, match="curate/demo_data has no stage of pretrain to strike; choose another page or --room"):
        drill(asked, tmp_path, lambda what: None)


def test_the_table_says_what_struck_what_the_jobs_did_and_whether_it_is_equal() -> None:
    common = {"stage": "train/demo/stable", "num_stages": 3, "num_files": 30, "seconds": 41.2, "problem": ""}
    rows = [
        Rehearsal(
            "preemption",
            struck="step 9 of 16",
            did=["preempted: made room; started again"],
            restarts={"preempted": 1},
            submitted_again=False,
            different=[],
            **common,
        ),
        Rehearsal(
            "scancel",
            struck="step 8 of 16",
            did=["cancelled; stopped"],
            restarts={},
            submitted_again=True,
            different=["train/demo/stable-0/metrics.jsonl"],
            **common,
        ),
    ]
    console = Console(width=160, record=True)
    print_table(console, rows)
    header, first, second = console.export_text().splitlines()
    assert header.split() == ["fault", "struck", "what", "its", "jobs", "did", "started", "again", "files", "s"]
    assert "train/demo/stable, step 9 of 16" in first
    assert "preempted: made room; started again" in first
    assert "preempted 1" in first
    assert "30 equal" in first
    assert "submitted again" in second
    assert "1 of 30 not equal" in second
