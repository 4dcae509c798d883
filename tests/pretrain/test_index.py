"""A stage's samples are decided once: ahead of the job, by one process, and never anew because of a later stage."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from world import BATCH, CLUSTER, MODEL, ROOT, SEQUENCE, World, outputs

from pretrain.__main__ import index
from pretrain.ledger import trace
from recipes.fingerprint import file_hash, fingerprint
from recipes.schema import Cluster, TrainParams, TrainRecipe
from recipes.stage import read_stage
from slurm.run import commands

STABLE = {"init": "base", "steps": 12, "lr": {"schedule": "constant", "peak": 1e-2}, "blend": {"web": 0.7, "cot": 0.3}}
DECAY = {"init": "stable", "steps": 4, "lr": {"schedule": "linear", "peak": 1e-2, "end": 1e-3}, "blend": {"cot": 1.0}}
CUDA = {**CLUSTER, "device": "cuda", "processes_per_node": 8}


def build_index(folder: Path) -> None:
    command = [sys.executable, "-m", "pretrain", str(folder), "--index"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert f"the index of {folder} is built" in done.stderr


# ---------------------------------------------------------------------------------------------------- ahead of the job


def test_the_index_is_built_ahead_of_the_job_and_training_takes_it_as_it_is(world: World) -> None:
    """By one process without a GPU, for a job of eight with some."""
    run = {"cluster": CUDA, "parallelism": {"tensor": 2}}
    ahead = world.stage("ahead", run=run, steps=4, lr={"schedule": "constant", "peak": 1e-3})
    build_index(ahead)
    assert {path.name for path in ahead.iterdir()} == {"recipe.yaml", "logs", "index"}
    built = {path: path.stat().st_mtime_ns for path in (ahead / "index").iterdir()}
    world.stage("ahead", steps=4, lr={"schedule": "constant", "peak": 1e-3})  # the same stage on a cluster that is at hand
    itself = world.stage("by_itself", steps=4, lr={"schedule": "constant", "peak": 1e-3})
    for folder in (ahead, itself):
        done = world.train(folder)
        assert done.status == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (ahead / "index").iterdir()} == built
    assert outputs(ahead) == outputs(itself)


def test_what_is_wrong_with_a_stage_is_said_before_its_index_is_built(world: World) -> None:
    with pytest.raises(
        ValueError, match="global_batch_size=4 is not a multiple of micro_batch_size 1 x data-parallel size 8 = 8"
    ):
        index(read_stage(world.stage("eight", run={"cluster": CUDA})))
    export = world.write("no_training", "export", {}, {}, {})
    with pytest.raises(ValueError, match="is a stage of export, and only training has an index; leave --index out"):
        index(read_stage(export))


def test_gpus_are_taken_after_the_index_is_built(world: World) -> None:
    stage = read_stage(world.stage("on_gpus"))
    module = ["-m", "pretrain", str(stage.folder)]
    launched = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=8", *module]
    assert [command[1:] for command in commands(stage, Cluster.model_validate(CUDA))] == [[*module, "--index"], launched]
    assert [command[1:] for command in commands(stage, Cluster.model_validate(CLUSTER))] == [module]


# ---------------------------------------------------------------------------------------------------- later stages


def recipe(**stages: dict[str, Any]) -> TrainRecipe:
    return TrainRecipe.model_validate(
        {
            "page": "train/tiny",
            "model": MODEL,
            "base": "base",
            "tokenizer": "tokenizer",
            "sequence_length": SEQUENCE,
            "global_batch_size": BATCH,
            "precision": "fp32",
            "stages": {"stable": STABLE, **stages},
            "export": {"dtype": "float32", "max_logit_difference": 1e-3},
            "cluster": CLUSTER,
        }
    )


PAGES = {
    "alone": recipe(),
    "decayed": recipe(decay=DECAY),
    "longer": recipe(decay={**DECAY, "steps": 40}),
    "shorter": recipe(decay={**DECAY, "steps": 1}),
    "other_blend": recipe(decay={**DECAY, "blend": {"web": 0.5, "cot": 0.5}}),
    "from_a_moment": recipe(early={**DECAY, "init": "stable@step:6"}),
    "two_stages": recipe(more={**STABLE, "init": "stable", "continue": True}, decay={**DECAY, "init": "more"}),
}


def identity(params: TrainParams) -> str:
    return fingerprint(do="train", version=1, params=params.model_dump(mode="json"), inputs={})


def order(world: World, name: str, params: TrainParams) -> dict[str, str]:
    """sha256 of every file of a stage's index."""
    from pretrain.blend import open_blend
    from pretrain.tokens import Vocabulary

    stage = read_stage(world.stage(name, **params.model_dump(mode="json")))
    open_blend(stage, params, Vocabulary(256, 1))
    return {path.name: file_hash(path) for path in (stage.folder / "index").iterdir()}


@pytest.mark.parametrize("page", PAGES)
def test_later_stages_change_neither_the_identity_nor_the_order_of_earlier_ones(world: World, megatron: None, page: str) -> None:
    params = [PAGES[name].params_of("stable", STABLE["blend"]) for name in ("alone", page)]  # type: ignore[arg-type]
    assert identity(params[0]) == identity(params[1])
    assert order(world, f"stable_{page}", params[1]) == order(world, "stable_alone", params[0])


def test_lengthening_a_stage_itself_makes_another_order_and_another_stage(world: World, megatron: None) -> None:
    """Why a longer run is a further stage: another number of epochs of a dataset shuffles all of them anew."""
    params = PAGES["alone"].params_of("stable", {"cot": 1.0})
    longer = params.model_copy(update={"steps": 120})
    assert identity(params) != identity(longer)
    seen = []
    for name, one in (("as_it_is", params), ("lengthened", longer)):
        order(world, name, one)
        seen.append([[row["document"] for row in trace(world.root / name, step)] for step in range(1, 13)])
    assert seen[0] != seen[1]
