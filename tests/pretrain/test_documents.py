"""Where documents end: what attention sees, where positions begin anew, and what counts in the loss."""

import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rank_process import run_together
from world import BATCH, MODEL, PARAMS, SEQUENCE, World, outputs

from pretrain.cost import flops_per_token
from pretrain.ledger import read_index, trace
from pretrain.metrics import read_journal
from pretrain.parallel import check_layout
from recipes.manifest import read_manifest
from recipes.schema import Model, Parallelism, TrainParams
from recipes.stage import read_stage

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel

    from pretrain.batch import Batch

pytestmark = pytest.mark.filterwarnings("ignore:.*tp_group is None:DeprecationWarning")  # by megatron-core, in its own calls
APART = {"documents": "reset", "eod_mask_loss": True}
EOD = 1


@pytest.fixture(scope="module")
def gpt(megatron: None, world: World) -> "GPTModel":
    from pretrain import convert, model
    from pretrain.backend import choose

    shape = Model.model_validate(MODEL)
    with warnings.catch_warnings():  # marks do not reach fixtures of a module
        warnings.filterwarnings("ignore", module="megatron")
        (built,) = model.build(shape, SEQUENCE, "fp32", choose("cpu"), Parallelism())
    convert.load_hugging_face(built, world.base, shape, 0, 1)
    return built.eval()


@pytest.fixture(scope="module")
def apart(world: World) -> Path:
    folder = world.stage("apart", **APART)
    run = world.train(folder)
    assert run.status == 0, run.stderr
    return folder


def batches(folder: Path, steps: int, micro_batch_size: int = 1) -> "list[list[Batch]]":
    from pretrain.blend import open_blend
    from pretrain.data import Batches
    from pretrain.parallel import Layout
    from pretrain.tokens import Vocabulary

    stage = read_stage(folder)
    params = TrainParams.model_validate(stage.params)
    parallelism = Parallelism(micro_batch_size=micro_batch_size)
    layout = Layout(0, 1, "cpu", parallelism, 0, 1, BATCH // micro_batch_size)
    opened = Batches(open_blend(stage, params, Vocabulary(256, EOD)), params, layout, 0)
    read = [opened.next() for _ in range(steps)]
    opened.close()
    return read


@torch.no_grad()
def logits(gpt: "GPTModel", tokens: torch.Tensor, bounds: torch.Tensor | None = None) -> torch.Tensor:
    """(tokens, vocab) of one row."""
    from pretrain.forward import documents_apart

    packed = None if bounds is None else documents_apart(bounds, "cpu")
    answer: torch.Tensor = gpt(tokens[None], torch.arange(len(tokens))[None], None, packed_seq_params=packed)[0]
    return answer


# ---------------------------------------------------------------------------------------------------- attention and positions


@pytest.mark.parametrize("micro_batch_size", [1, 4])
def test_packed_documents_give_the_logits_of_each_alone(gpt: "GPTModel", apart: Path, micro_batch_size: int) -> None:
    num_documents = 0
    for batch in [batch for step in batches(apart, 3, micro_batch_size) for batch in step]:
        assert batch.bounds is not None
        assert batch.tokens.shape == (1, micro_batch_size * SEQUENCE)
        lengths = batch.bounds.diff().tolist()
        documents = batch.tokens[0].split(lengths)
        together = logits(gpt, batch.tokens[0], batch.bounds).split(lengths)
        for one, document in zip(together, documents, strict=True):
            # matrix products of fewer than 4 rows add up in another order (MKL), and so do shorter documents alone
            bound = 0.0 if len(document) >= 4 else 1e-6
            assert (one - logits(gpt, document)).abs().max() <= bound
        num_documents += len(documents)
    assert num_documents > 3 * BATCH


def test_without_bounds_a_document_sees_the_one_before_it(gpt: "GPTModel", apart: Path) -> None:
    batch = next(batch for batch in batches(apart, 3, 4)[0] if batch.bounds is not None)
    start = int(batch.bounds[1])  # type: ignore[index]
    row = batch.tokens[0]
    assert (logits(gpt, row)[start:] - logits(gpt, row, batch.bounds)[start:]).abs().max() > 1e-3


def test_a_row_of_one_document_is_what_it_is_without_bounds(gpt: "GPTModel") -> None:
    row = torch.arange(2, 2 + SEQUENCE)
    assert torch.equal(logits(gpt, row), logits(gpt, row, torch.tensor([0, SEQUENCE], dtype=torch.int32)))


def test_documents_end_where_the_trace_says(apart: Path) -> None:
    for step, read in enumerate(batches(apart, 12, BATCH), start=1):
        (batch,) = read
        assert batch.bounds is not None
        rows = trace(apart, step)
        assert batch.bounds.diff().tolist() == [row["num_tokens"] for row in rows]
        assert (batch.tokens[0] == EOD).nonzero().flatten().tolist() == (batch.loss_mask[0] == 0.0).nonzero().flatten().tolist()  # type: ignore[index]


def test_operations_are_counted_as_far_as_attention_reaches(apart: Path) -> None:
    lengths = [row["num_tokens"] for step in range(1, 13) for row in trace(apart, step)]
    reach = round(sum(length**2 for length in lengths) / sum(lengths))
    assert reach < SEQUENCE
    assert read_index(apart).attended_length == reach
    assert read_manifest(apart)["details"]["flops_per_token"] == flops_per_token(Model.model_validate(MODEL), reach)


# ---------------------------------------------------------------------------------------------------- loss


def test_the_loss_is_that_of_each_document_alone_without_the_first_token_of_the_next(gpt: "GPTModel", apart: Path) -> None:
    losses: list[float] = []
    for batch in batches(apart, 1)[0]:
        assert batch.bounds is not None
        lengths = batch.bounds.diff().tolist()
        for tokens, labels in zip(batch.tokens[0].split(lengths), batch.labels[0].split(lengths), strict=True):
            each = F.cross_entropy(logits(gpt, tokens), labels, reduction="none")
            losses += each[tokens != EOD].tolist()
    assert len(losses) < BATCH * SEQUENCE
    assert read_journal(apart / "metrics.jsonl")[0]["loss"] == pytest.approx(np.mean(losses), abs=1e-6)


def test_tokens_seen_are_all_tokens_and_validation_counts_those_in_the_loss(world: World, apart: Path) -> None:
    assert read_journal(apart / "metrics.jsonl")[-1]["tokens_seen"] == 12 * BATCH * SEQUENCE
    assert sum(row["delivered_tokens"] for row in read_manifest(apart)["details"]["ledger"]) == 12 * BATCH * SEQUENCE
    held_out = np.fromfile(world.datasets["web"] / "validation.bin", dtype=np.uint16)[: 6 * SEQUENCE]
    assert read_journal(apart / "validation.jsonl")[-1]["tokens"] == 6 * SEQUENCE - int((held_out == EOD).sum())


def test_masking_alone_leaves_attention_as_it_is(world: World, gpt: "GPTModel") -> None:
    folder = world.stage("masked", eod_mask_loss=True, steps=1, lr={"schedule": "constant", "peak": 1e-3})
    assert world.train(folder).status == 0
    (batch,) = batches(folder, 1, BATCH)[0]
    assert batch.bounds is None
    each = [F.cross_entropy(logits(gpt, row), of, reduction="none") for row, of in zip(batch.tokens, batch.labels, strict=True)]
    losses = torch.cat(each)[batch.tokens.flatten() != EOD]
    assert read_journal(folder / "metrics.jsonl")[0]["loss"] == pytest.approx(float(losses.mean()), abs=1e-6)


# ---------------------------------------------------------------------------------------------------- how it runs


def test_the_same_is_learnt_however_sequences_are_packed(world: World, apart: Path) -> None:
    """Two pipeline stages, two sequences a row, activations made again: another shape of everything that is sent."""
    parallelism = {"pipeline": 2, "micro_batch_size": 2, "recompute_layers": 1}
    folder = world.stage("apart_pipeline", run={"parallelism": parallelism}, **APART)
    assert run_together(folder, 2) == [0, 0]
    both = [[row["loss"] for row in read_journal(path / "metrics.jsonl")] for path in (folder, apart)]
    assert max(abs(one - other) for one, other in zip(*both, strict=True)) < 5e-6


def test_a_killed_run_goes_on_to_the_same_bytes(world: World, apart: Path) -> None:
    folder = world.stage("apart_killed", **APART)
    metrics = folder / "metrics.jsonl"
    killed = world.start(folder).signal_when(lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") >= 6)
    assert killed.status == -signal.SIGKILL
    finished = world.train(folder)
    assert finished.status == 0, finished.stderr
    assert outputs(folder) == outputs(apart)
    assert read_manifest(folder)["details"]["resume"]["verdict"] == "same"


def test_context_parallelism_cannot_keep_documents_apart() -> None:
    params: dict[str, Any] = {**PARAMS, "documents": "reset"}
    with pytest.raises(
        ValueError, match=r"documents=reset with parallelism.context=2: .* set parallelism.context=1, or documents=plain"
    ):
        check_layout(TrainParams.model_validate(params), Parallelism(context=2), 2)
    assert check_layout(TrainParams.model_validate({**PARAMS, "eod_mask_loss": True}), Parallelism(context=2), 4) == 2
