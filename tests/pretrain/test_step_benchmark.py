"""The benchmark measures what it says: ours and the reference train the same, and every figure is there."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from world import ROOT

from pretrain.benchmark import __main__ as command
from pretrain.benchmark.case import Case
from pretrain.benchmark.side import Step
from pretrain.benchmark.speed import _step_row

WHAT = ["step", "waiting for data", "asynchronous save", "first step"]


def run(*arguments: str, timeout: float = 120) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "pretrain.benchmark", "--json", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode in (0, 1), done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (0 if all(row["holds"] for row in rows) else 1)
    return rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Of the code that runs on a GPU, with a tiny model on the CPU."""
    scratch = str(tmp_path_factory.mktemp("scratch"))
    found = run(
        "--device", "cpu", "--shape", "tiny", "--precision", "fp32", "--steps", "1", "--warm-up", "1", "--scratch", scratch
    )
    return dict(zip(WHAT, found, strict=True))


def test_both_sides_compute_the_same_losses(rows: dict[str, dict[str, Any]]) -> None:
    """The second is that of updated weights."""
    assert rows["step"]["is_same_loss"]
    assert rows["step"]["largest_loss_difference"] < 1e-5


def test_json_prints_ours_the_reference_and_their_ratio(rows: dict[str, dict[str, Any]]) -> None:
    for what, row in rows.items():
        assert row["what"] == f"{what}, tiny fp32 on cpu"
        assert {"ours", "reference", "ratio", "holds", "unit"} <= row.keys()
    step = rows["step"]
    assert step["ratio"] == pytest.approx(step["reference"] / step["ours"], rel=1e-3)
    assert step["holds"] == (step["is_same_loss"] and step["ratio"] >= step["target"])
    assert step["path"] == "megatron-core, Megatron's local layers with torch SDPA"
    assert step["tokens_per_second"] > 0


@pytest.mark.parametrize(("loss", "holds"), [(2.0, True), (2.1, False), (math.nan, False)])
def test_a_fast_step_that_learns_something_else_does_not_hold(loss: float, holds: bool) -> None:
    case = Case("cpu", "tiny", "fp32", 1, 0, 79.6)
    row = _step_row(case, [Step(loss, 1.0, 1.0, 1.0)], [Step(2.0, 9.0, 9.0, 9.0)])
    assert row["is_same_loss"] is holds
    assert row["holds"] is holds


def test_what_training_waits_for_is_measured(rows: dict[str, dict[str, Any]]) -> None:
    assert 0 <= rows["waiting for data"]["ours"] < 1
    saves = rows["asynchronous save"]
    assert saves["sync"]["stall_seconds"] == saves["sync"]["seconds"]
    assert saves["async"]["stall_seconds"] < saves["async"]["seconds"]
    assert saves["async"]["steps_beside"] > 0
    assert rows["first step"]["ours"] > 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_the_way_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--shape", "llama3_2_1b"]) == 2
    assert "measure the CPU with --cpu" in capsys.readouterr().err


def test_a_shape_takes_as_many_recomputed_layers_as_its_memory_asks_for(tmp_path: Path) -> None:
    on_h100, on_h200 = (Case("cuda", "llama3_2_3b", "bf16", 1, 0, gib).parallelism.recompute_layers for gib in (79.6, 139.0))
    assert 0 < on_h100 < 28
    assert on_h200 == 0
    with pytest.raises(ValueError, match="take a smaller --shape"):
        _ = Case("cuda", "llama3_2_3b", "bf16", 1, 0, 40.0).parallelism


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_and_its_gradient_are_those_of_torch(dtype: torch.dtype) -> None:
    from pretrain.cross_entropy import CrossEntropy

    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(5, 2, 300, generator=generator) * 40).to(dtype)  # far apart: a softmax of zeros and ones
    labels, weights = torch.randint(300, (5, 2), generator=generator), torch.rand(5, 2, generator=generator)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = CrossEntropy.apply(ours * 1, labels)
    wanted = F.cross_entropy(theirs.float().flatten(0, 1), labels.flatten(), reduction="none").view(5, 2)
    assert torch.allclose(loss, wanted, rtol=1e-6, atol=1e-5)
    (loss * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad.float(), theirs.grad.float(), rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: run `make gpu-test` on one")
def test_a_step_on_a_gpu_learns_what_the_reference_does(tmp_path: Path) -> None:
    rows = run("--device", "cuda", "--shape", "tiny", "--steps", "2", "--scratch", str(tmp_path), timeout=900)
    assert all(row["is_same_loss"] for row in rows if "is_same_loss" in row)
