"""How far attention reaches is known before training, where datasets are made, and is what training then finds."""

from pathlib import Path

import numpy as np
import pytest
from world import CLUSTER, PARAMS, SEQUENCE, World, write_indexed

from pretrain.attended import attended_length, document_lengths, mean_piece
from pretrain.cost import flops_per_token, step_seconds
from pretrain.ledger import read_index
from recipes.schema import Cluster, Parallelism, TrainParams
from recipes.stage import read_stage


def test_a_token_counts_the_piece_that_it_lies_in() -> None:
    assert mean_piece(np.array([8, 8, 8])) == 8
    assert mean_piece(np.array([10, 30])) == (10 * 10 + 30 * 30) / 40


def test_lengths_are_read_from_the_index_of_the_token_file(tmp_path: Path) -> None:
    write_indexed(tmp_path / "train", [np.ones(length, dtype=np.int64) for length in (3, 70_000, 5)])
    assert document_lengths(tmp_path).tolist() == [3, 70_000, 5]


def test_the_plan_counts_what_training_will_find(world: World) -> None:
    folder = world.stage("apart", documents="reset", steps=20)
    run = world.start(folder).finish()
    assert run.status == 0, run.stderr
    foreseen, found = attended_length(read_stage(folder)), read_index(folder).attended_length
    assert foreseen is not None
    assert foreseen < SEQUENCE
    assert foreseen == pytest.approx(found, rel=0.1)


def test_whole_sequences_are_counted_where_documents_are_not_apart(world: World) -> None:
    assert attended_length(read_stage(world.stage("together"))) == SEQUENCE


def test_before_a_dataset_is_made_nothing_tells(world: World, tmp_path: Path) -> None:
    folder = world.stage("early", documents="reset", inputs={"dataset/web": tmp_path / "not_made"})
    assert attended_length(read_stage(folder)) is None


def test_a_step_takes_less_time_the_shorter_attention_reaches() -> None:
    params, cluster = TrainParams.model_validate(PARAMS), Cluster.model_validate(CLUSTER)
    whole, short = (step_seconds(params, Parallelism(), cluster, 1, attended_length=length) for length in (None, 8))
    assert short / whole == pytest.approx(flops_per_token(params.model, 8) / flops_per_token(params.model, SEQUENCE))
