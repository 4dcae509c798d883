"""The ledger and the trace say what the model saw, token for token."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from world import BATCH, PARAMS, SEQUENCE, World

from pretrain.ledger import ledger, steps_with, trace
from recipes.manifest import read_manifest
from recipes.schema import Parallelism, TrainParams
from recipes.stage import read_stage

if TYPE_CHECKING:
    from pretrain.batch import Batch

STEPS = 12


@pytest.fixture(scope="module")
def finished(world: World) -> Path:
    folder = world.stage("traced")
    assert world.train(folder).status == 0
    return folder


def batches_of(folder: Path, steps: range, rank: int = 0, ranks: int = 1) -> "list[list[Batch]]":
    """What process `rank` of `ranks` gets in these steps, when it goes on after the one before them."""
    from pretrain.blend import open_blend
    from pretrain.data import Batches
    from pretrain.parallel import Layout
    from pretrain.tokens import Vocabulary

    stage = read_stage(folder)
    params = TrainParams.model_validate(stage.params)
    blend = open_blend(stage, params, Vocabulary(256, 1))
    batches = Batches(blend, params, Layout(rank, ranks, "cpu", Parallelism(), rank, ranks, BATCH // ranks), steps.start - 1)
    read = [batches.next() for _ in steps]
    batches.close()
    return read


@pytest.fixture(scope="module")
def fed(megatron: None, finished: Path) -> list[np.ndarray]:
    """The tokens of each step's batch as training gets them: (samples, sequence_length)."""
    return [torch.cat([batch.tokens for batch in step]).numpy() for step in batches_of(finished, range(1, STEPS + 1))]


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


def test_the_steps_of_a_document_are_those_whose_traces_name_it(finished: Path) -> None:
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    for step in range(1, STEPS + 1):
        for row in trace(finished, step):
            seen[row["dataset"], row["document"]].add(step)
    for row in ledger(finished, STEPS):
        for document in range(row["dataset_documents"]):
            assert steps_with(finished, row["dataset"], document) == sorted(seen[row["dataset"], document])
    assert {len(steps) for steps in seen.values()} > {1}
    with pytest.raises(ValueError, match="blends no dataset 'nothing'; it has"):
        steps_with(finished, "nothing", 0)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_samples_of_a_step_depend_neither_on_the_number_of_processes_nor_on_where_they_began(
    finished: Path, fed: list[np.ndarray], ranks: int
) -> None:
    steps = range(6, 9)
    parts = [batches_of(finished, steps, rank, ranks) for rank in range(ranks)]
    for i, step in enumerate(steps):
        microbatches = zip(*(part[i] for part in parts), strict=True)
        in_order = torch.cat([batch.tokens for together in microbatches for batch in together]).numpy()
        np.testing.assert_array_equal(in_order, fed[step - 1])


def test_a_few_steps_are_read_before_they_are_asked_for(finished: Path) -> None:
    from pretrain.blend import open_blend
    from pretrain.data import STEPS_AHEAD, Batches
    from pretrain.parallel import Layout
    from pretrain.tokens import Vocabulary

    stage = read_stage(finished)
    params = TrainParams.model_validate(stage.params)
    blend = open_blend(stage, params, Vocabulary(256, 1))
    samples: list[int] = []

    class Told:
        def __getitem__(self, number: int) -> Any:
            samples.append(number)
            return blend[number]

    batches = Batches(Told(), params, Layout(0, 1, "cpu", Parallelism(), 0, 1, BATCH), 0)  # type: ignore[arg-type]
    for step in range(1, 4):
        batches.reading[-1].result()
        assert samples == list(range((step - 1 + STEPS_AHEAD) * BATCH))
        batches.next()
    batches.close()


def test_after_the_last_step_there_is_nothing_to_read(finished: Path, fed: list[np.ndarray]) -> None:
    assert [len(step) for step in batches_of(finished, range(STEPS, STEPS + 3))] == [BATCH, 0, 0]


def test_labels_are_the_next_tokens_across_document_ends(megatron: None, finished: Path) -> None:
    from pretrain.blend import open_blend
    from pretrain.tokens import Vocabulary

    blend = open_blend(read_stage(finished), TrainParams.model_validate(PARAMS), Vocabulary(256, 1))
    ends = 0
    for sample in (blend[i] for i in range(8)):
        assert torch.equal(sample["tokens"][1:], sample["labels"][:-1])
        ends += int((sample["labels"] == 1).sum())
    assert ends > 0
