"""What `plan` foretells of training: memory, time and hours, here and on more or fewer GPUs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slurm.cli import main
from slurm.describe import describe_plan
from slurm.forecast import forecast
from slurm.plan import plan


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))


def described(page: str, *overrides: str) -> dict[str, Any]:
    return describe_plan(plan(page, overrides))


def stable(record: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in record["stages"] if row["stage"] == "stable")


def test_the_8b_page_fits_its_128_gpus_and_takes_its_operations_at_the_clusters_mfu() -> None:
    row = stable(described("train/octothinker_8b"))
    assert row["memory_gib"]["total"] == pytest.approx(65.6, abs=0.1)
    assert row["fits"]
    assert row["step_seconds"] == pytest.approx(row["flops"] / 50_000 / (128 * 989e12 * 0.4), rel=1e-3)
    assert row["device_hours"] == pytest.approx(row["step_seconds"] * 50_000 * 128 / 3600, rel=1e-3)
    assert row["days"] == pytest.approx(row["device_hours"] / 128 / 24, rel=1e-3)


def test_other_sizes_have_more_data_parallel_ranks_and_the_same_gpu_hours() -> None:
    sizes = described("train/octothinker_8b")["sizes"]
    assert [row["gpus"] for row in sizes] == [8, 64, 128, 256, 1024]
    assert [row["gpus"] for row in sizes if row["is_page"]] == [128]
    assert [row["data_parallel"] for row in sizes] == [4, 32, 64, 128, 512]
    assert [row["num_microbatches"] for row in sizes] == [128, 16, 8, 4, 1]
    assert [row["fits"] for row in sizes] == [False, True, True, True, True]
    assert len({row["gpu_hours"] for row in sizes}) == 1
    assert sizes[0]["hours"] == pytest.approx(128 * sizes[4]["hours"], rel=1e-2)


def test_a_size_that_the_global_batch_does_not_divide_says_so() -> None:
    sizes = described("train/octothinker_1b")["sizes"]
    assert [row["gpus"] for row in sizes if "problem" in row] == [1024]
    assert sizes[-1]["problem"].startswith(
        "global_batch_size=512 is not a multiple of micro_batch_size 1 x data-parallel size 1024"
    )


def test_below_a_size_that_does_not_divide_the_largest_that_does_is_told() -> None:
    sizes = described("train/octothinker_1b")["sizes"]
    assert [row["gpus"] for row in sizes] == [8, 64, 128, 256, 512, 1024]
    assert (sizes[4]["data_parallel"], sizes[4]["num_microbatches"]) == (512, 1)
    other = described("train/octothinker_1b", "global_batch_size=384")["sizes"]
    assert [row["gpus"] for row in other if "problem" not in row] == [8, 64, 128, 192, 384]


def test_a_page_that_would_not_fit_is_warned_of_with_the_way_out() -> None:
    notes = described("train/octothinker_8b", "cluster.nodes=1")["warnings"]
    told = [note for note in notes if "GiB" in note]
    assert told == [
        "stable needs 76.1 GiB on the fullest GPU by the formulas, and 90% of cluster.gpu_memory_gib are 71.6; it fits with "
        "parallelism.recompute_layers=10, or raise parallelism.tensor, pipeline or context"
    ]
    assert not any("GiB" in note for note in described("train/octothinker_8b")["warnings"])
    recomputed = described("train/octothinker_8b", "cluster.nodes=1", "parallelism.recompute_layers=10")
    assert not any("GiB" in note for note in recomputed["warnings"])
    assert stable(recomputed)["device_hours"] > stable(described("train/octothinker_8b"))["device_hours"]


def test_a_page_that_can_never_fit_is_a_problem() -> None:
    problems = plan("train/octothinker_8b", ("cluster.gpu_memory_gib=40",)).problems
    assert any(
        problem.startswith(
            "stable: weights, gradients and optimizer state need 45.6 GiB on each GPU, cluster.gpu_memory_gib is 40"
        )
        for problem in problems
    )


def test_a_layout_that_does_not_divide_is_a_problem_and_has_no_hours() -> None:
    record = described("train/octothinker_8b", "parallelism.tensor=3", "parallelism.context=1")
    assert stable(record)["device_hours"] is None
    assert any(problem.startswith("stable: 128 processes are not a multiple of tensor 3") for problem in record["problems"])
    assert all("problem" in row for row in record["sizes"])


def test_recomputing_every_layer_is_told_as_the_other_choice() -> None:
    row = stable(described("train/octothinker_8b"))
    every = stable(described("train/octothinker_8b", "parallelism.recompute_layers=32"))
    assert row["recomputing_all"] == {
        "recompute_layers": 32,
        "memory_gib": every["memory_gib"]["total"],
        "step_seconds": every["step_seconds"],
    }
    assert every["memory_gib"]["total"] == pytest.approx(65.6 - 17.0 * 31 / 32 + 1.0, abs=0.1)
    assert 1.2 < every["step_seconds"] / row["step_seconds"] < 1.34


def test_a_pipelines_standstill_is_part_of_the_forecast() -> None:
    two = plan("train/octothinker_8b", ("parallelism.context=1", "parallelism.pipeline=2"))
    stage = next(stage for stage in two.stages if stage.name == "stable")
    none = stable(described("train/octothinker_8b"))["step_seconds"]
    assert forecast(stage)["step_seconds"] == pytest.approx(none * (1 + 1 / 8), rel=1e-3)


def test_a_cpu_has_no_gpu_memory_and_no_other_sizes() -> None:
    record = described("train/demo")
    assert record["sizes"] == []
    assert "memory_gib" not in stable(record)
    assert stable(record)["device_hours"] > 0


def test_plan_prints_the_memory_and_a_table_of_sizes() -> None:
    printed = CliRunner().invoke(main, ["plan", "train/octothinker_1b"], env={"COLUMNS": "160"}).output
    assert (
        "memory of the fullest GPU: weights 2.3 + gradients 4.6 + optimizer 0.1 + activations 9.3 + logits 5.9 = 22.2 GiB"
        in printed
    )
    assert "with parallelism.recompute_layers=16 (all): 14.0 GiB, 0.95 s a step instead of 0.75" in printed
    assert "128 (here)" in printed
    assert "1,024 GPUs: global_batch_size=512 is not a multiple of" in printed
    record = json.loads(CliRunner().invoke(main, ["plan", "train/octothinker_1b", "--json"]).output)
    assert record["sizes"] == described("train/octothinker_1b")["sizes"]
