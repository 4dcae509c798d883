"""The ledger and the trace say what the model saw, token for token."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from world import BATCH, PARAMS, SEQUENCE, World

from pretrain.ledger import ledger, trace
from recipes.manifest import read_manifest
from recipes.schema import Parallelism, TrainParams
from recipes.stage import read_stage

STEPS = 12


@pytest.fixture(scope="module")
def finished(world: World) -> Path:
    folder = world.stage("traced")
    assert world.train(folder).status == 0
    return folder


@pytest.fixture(scope="module")
def fed(megatron: None, finished: Path) -> list[np.ndarray]:
    """The tokens of each step's batch as training gets them: (samples, sequence_length)."""
    from pretrain.data import Batches, open_blend
    from pretrain.parallel import Layout
    from pretrain.tokens import Vocabulary

    params = TrainParams.model_validate(PARAMS)
    blend = open_blend(read_stage(finished), params, Vocabulary(256, 1))
    batches = Batches(blend, params, Layout(0, 1, "cpu", Parallelism(), 0, 1, BATCH))
    steps = [torch.cat([tokens for tokens, _ in batch]).numpy() for batch in batches.steps(0, STEPS)]
    batches.close()
    return steps


def test_the_trace_is_the_batch_token_by_token(world: World, finished: Path, fed: list[np.ndarray]) -> None:
    files = {name: np.fromfile(folder / "train.bin", dtype=np.uint16) for name, folder in world.datasets.items()}
    documents = {name: parquet.read_table(folder / "docs.parquet").to_pylist() for name, folder in world.datasets.items()}
    by_id = {row["id"]: row for rows in documents.values() for row in rows}
    for step, tokens in enumerate(fed, start=1):
        rows = trace(finished, step)
        pieces = defaultdict(list)
        for row in rows:
            place = slice(row["first_token"], row["first_token"] + row["num_tokens"])
            pieces[row["sample"]].append(files[row["dataset"]][place])
            known = by_id[row["id"]]
            assert row["num_tokens"] > 0
            assert (known["split"], known["document"], known["url"]) == ("train", row["document"], row["url"])
            assert known["first_token"] <= place.start
            assert place.stop <= known["first_token"] + known["num_tokens"]
        assert sorted(pieces) == list(range((step - 1) * BATCH, step * BATCH))
        traced = np.stack([np.concatenate(pieces[sample]) for sample in sorted(pieces)])
        np.testing.assert_array_equal(traced, tokens)


def test_the_ledger_is_the_sum_of_all_traces(finished: Path) -> None:
    tokens: dict[str, int] = defaultdict(int)
    documents: dict[str, set[int]] = defaultdict(set)
    for steps in range(1, STEPS + 1):
        for row in trace(finished, steps):
            tokens[row["dataset"]] += row["num_tokens"]
            documents[row["dataset"]].add(row["document"])
        total = steps * BATCH * SEQUENCE
        assert sum(tokens.values()) == total
        for row in ledger(finished, steps):
            name = row["dataset"]
            assert row["delivered_tokens"] == tokens[name]
            assert row["delivered_share"] == tokens[name] / total
            assert row["documents_touched"] == len(documents[name])
            assert row["epochs"] == tokens[name] / row["dataset_tokens"]
            # any prefix of a blend is within one sample of the shares asked for
            assert abs(row["delivered_share"] - row["asked_share"]) * steps * BATCH < 1
    assert [row["dataset_documents"] for row in ledger(finished, STEPS)] == [60, 9]
    assert read_manifest(finished)["details"]["ledger"] == ledger(finished, STEPS)


def test_a_dataset_may_be_seen_more_than_once(finished: Path) -> None:
    rows = {row["dataset"]: row for row in ledger(finished, STEPS)}
    assert rows["cot"]["epochs"] > 1
    assert rows["cot"]["documents_touched"] == 9
    assert rows["web"]["epochs"] < 1


@pytest.mark.parametrize("step", [0, 13])
def test_a_step_that_was_never_made_has_no_trace(finished: Path, step: int) -> None:
    with pytest.raises(ValueError, match=rf"step={step} is not a step of .*; it has steps 1 to 12"):
        trace(finished, step)


def test_a_folder_without_an_index_has_no_trace(world: World) -> None:
    with pytest.raises(ValueError, match="it is no training stage, or it has not started yet"):
        trace(world.stage("not_started"), 1)


def test_samples_of_a_step_do_not_depend_on_the_number_of_processes(
    megatron: None, finished: Path, fed: list[np.ndarray]
) -> None:
    from pretrain.data import Batches, open_blend
    from pretrain.parallel import Layout
    from pretrain.tokens import Vocabulary

    params = TrainParams.model_validate(PARAMS)
    blend = open_blend(read_stage(finished), params, Vocabulary(256, 1))
    for step in (1, 7):
        parts = []
        for rank in range(2):
            batches = Batches(blend, params, Layout(rank, 2, "cpu", Parallelism(), rank, 2, 2))
            parts.append([tokens for tokens, _ in next(batches.steps(step - 1, step))])
            batches.close()
        in_order = torch.cat([microbatch for pair in zip(*parts, strict=True) for microbatch in pair]).numpy()
        np.testing.assert_array_equal(in_order, fed[step - 1])


def test_labels_are_the_next_tokens_across_document_ends(megatron: None, finished: Path) -> None:
    from pretrain.data import open_blend
    from pretrain.tokens import Vocabulary

    blend = open_blend(read_stage(finished), TrainParams.model_validate(PARAMS), Vocabulary(256, 1))
    ends = 0
    for sample in (blend[i] for i in range(8)):
        assert torch.equal(sample["tokens"][1:], sample["labels"][:-1])
        assert bool((sample["loss_mask"] == 1).all())
        ends += int((sample["labels"] == 1).sum())
    assert ends > 0
