"""What `plan` says a page costs: hours and price with their range, bytes, epochs, jobs; and what finished runs teach it."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pretrain.storage import num_checkpoints
from recipes.manifest import publish
from recipes.schema import Cadence, TrainParams
from recipes.stage import Stage, write_stage
from slurm.cli import main
from slurm.describe import describe_plan
from slurm.plan import plan

PRICED = ("cluster=h100", "cluster.price_per_device_hour=2.5", "branch=long")


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))


def described(page: str, *overrides: str) -> dict[str, Any]:
    return describe_plan(plan(page, overrides))


def stage_of(page: str, name: str, *overrides: str) -> Stage:
    return next(stage for stage in plan(page, overrides).stages if stage.name == name)


def row_of(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in record["stages"] if row["stage"] == name)


# ---------------------------------------------------------------------------------------------------- hours and price


def test_hours_and_price_have_the_range_of_an_assumed_mfu() -> None:
    record = described("train/octothinker_3b", *PRICED)
    left, rows = record["left"], [row for row in record["stages"] if row["do"] == "train"]
    assert left["device_hours"] == pytest.approx(sum(row["device_hours"] for row in rows))
    assert left["device_hours_range"] == pytest.approx([left["device_hours"] / 1.25, left["device_hours"] / 0.75], rel=1e-4)
    assert left["price"] == pytest.approx(2.5 * left["device_hours"], rel=1e-4)
    assert left["price_range"] == pytest.approx([2.5 * hours for hours in left["device_hours_range"]], rel=1e-4)
    assert (rows[0]["mfu"], rows[0]["mfu_range"], rows[0]["mfu_source"]) == (0.4, [0.3, 0.5], "assumed by cluster.mfu")
    assert left["flops"] == sum(row["flops"] for row in rows)


def test_without_a_price_on_the_page_none_is_made_up() -> None:
    record = described("train/octothinker_3b", "branch=long")
    assert "price" not in record["left"]
    printed = CliRunner().invoke(main, ["plan", "train/octothinker_3b", "branch=long"], env={"COLUMNS": "160"}).output
    assert "3,807 device-hours (3,046 to 5,076); mfu 0.400 (0.300 to 0.500), assumed by cluster.mfu" in printed


# ---------------------------------------------------------------------------------------------------- what runs teach


def finish(stage: Stage, step_seconds: float, steps: int | None = None) -> None:
    """As if it had been trained at that speed."""
    write_stage(stage)
    steps = steps or stage.params["steps"]
    speed = {"step_seconds": step_seconds, "seconds": steps * step_seconds}
    publish(stage, counts={"steps": steps, "tokens": steps * 2048}, started=0.0, details={"speed": speed, "checkpoint": "none"})


def test_a_finished_run_of_the_same_model_makes_the_next_plan_right() -> None:
    finish(stage_of("train/demo", "stable"), 0.5)
    after = row_of(described("train/demo", "stages.stable.steps=400"), "stable")
    assert after["step_seconds"] == pytest.approx(0.5, rel=1e-3)
    assert after["mfu_source"] == "measured in train/demo/stable"
    assert after["mfu_range"] == pytest.approx([0.95 * after["mfu"], 1.05 * after["mfu"]], rel=1e-3)
    assert after["device_hours"] == pytest.approx(400 * 0.5 / 3600, rel=1e-3)


def test_several_runs_give_their_median_and_their_spread() -> None:
    for steps, seconds in ((100, 0.4), (101, 0.5), (102, 0.8)):
        finish(stage_of("train/demo", "stable", f"stages.stable.steps={steps}"), seconds)
    row = row_of(described("train/demo"), "stable")
    assert row["step_seconds"] == pytest.approx(0.5, rel=1e-3)
    assert row["mfu_range"] == pytest.approx([row["mfu"] * 0.5 / 0.8, row["mfu"] * 0.5 / 0.4], rel=1e-3)
    assert row["mfu_source"] == "measured in train/demo/stable and 2 more"


def test_runs_of_another_model_or_another_device_and_single_steps_teach_nothing() -> None:
    finish(stage_of("train/demo", "stable", "model.ffn_hidden_size=64"), 0.5)
    finish(stage_of("train/demo", "stable", "stages.stable.steps=50", "cluster.peak_tflops=5"), 0.5)
    finish(stage_of("train/demo", "stable", "stages.stable.steps=51"), 0.5, steps=1)
    assert row_of(described("train/demo"), "stable")["mfu_source"] == "assumed by cluster.mfu"


def test_runs_laid_out_alike_count_before_others() -> None:
    finish(stage_of("train/demo", "stable", "stages.stable.steps=60", "parallelism.micro_batch_size=2"), 0.9)
    assert row_of(described("train/demo"), "stable")["step_seconds"] == pytest.approx(0.9, rel=1e-3)
    finish(stage_of("train/demo", "stable", "stages.stable.steps=61", "parallelism.micro_batch_size=4"), 0.3)
    alike = row_of(described("train/demo", "parallelism.micro_batch_size=2"), "stable")
    assert alike["step_seconds"] == pytest.approx(0.9, rel=1e-3)


def test_what_was_foretold_is_no_part_of_a_stages_identity() -> None:
    before = stage_of("train/demo", "decay_long")
    finish(stage_of("train/demo", "stable", "stages.stable.steps=60"), 0.9)
    after = stage_of("train/demo", "decay_long")
    assert before.fingerprint == after.fingerprint
    assert before.run["forecast"]["device_hours"] != after.run["forecast"]["device_hours"]


# ---------------------------------------------------------------------------------------------------- epochs


def test_epochs_of_datasets_that_are_not_made_come_from_what_their_pages_expect() -> None:
    record = described("train/octothinker_3b", "branch=long")
    stable = row_of(record, "stable")
    assert stable["epochs"]["megamath_web_pro_max"] == pytest.approx(152.04 / 73.8, abs=0.001)
    assert "megamath_web_pro_max" in stable["epochs_expected"]
    assert row_of(record, "decay_long")["epochs"]["openr1_math_220k"] is None
    printed = CliRunner().invoke(main, ["plan", "train/octothinker_3b"], env={"COLUMNS": "300"}).output
    assert "megamath_web_pro_max ≈2.06" in printed


def test_above_four_epochs_a_plan_warns_and_above_the_pages_limit_it_refuses() -> None:
    few = ("branch=long", "instruction_following:expected_tokens=400M")
    warned = [text for text in described("train/octothinker_3b", *few)["warnings"] if "would be seen" in text]
    assert warned == ["decay_long: instruction_following would be seen 5.2 times; above 4 repeated tokens teach little"]
    refused = [text for text in plan("train/octothinker_3b", (*few, "max_epochs=5")).problems if "max_epochs" in text]
    assert refused == [
        "decay_long: instruction_following would be seen 5.2 times in all, above max_epochs=5: 2,097,152,000 tokens are asked "
        "for and it is expected to have 400,000,000; lower its share, add data, or raise max_epochs"
    ]
    assert not any("max_epochs" in text for text in plan("train/octothinker_3b", (*few, "max_epochs=6")).problems)


def test_what_stages_before_have_seen_counts_towards_the_limit() -> None:
    limited = ("branch=long", "dclm_baseline:expected_tokens=21B", "max_epochs=1.02")
    told = [text.partition(",")[0] for text in plan("train/octothinker_3b", limited).problems if "max_epochs" in text]
    assert "stable: megamath_web_pro_max would be seen 2.1 times in all" in told
    assert "decay_long: dclm_baseline would be seen 1.0 times in all" in told
    assert not any(text.startswith("stable: dclm_baseline") for text in told)


# ---------------------------------------------------------------------------------------------------- disk and queue


def test_the_disk_is_told_by_what_lies_on_it() -> None:
    disk = described("train/octothinker_3b", "branch=long")["disk"]
    parameters = 3_212_749_824
    assert disk["checkpoint_bytes"] == 2 * 14 * parameters  # bf16: weights 2, the optimizer's 4 + 4 + 4; the last of two stages
    assert disk["checkpoint_bytes_while_training"] == 3 * 14 * parameters  # keep_checkpoints=3 and one that is written, less one
    assert disk["export_bytes"] == 2 * parameters
    expected = (73.8 + 40 + 50.3 + 7.0 + 28.1 + 7.2 + 15.1 + 0.8) * 1e9
    assert disk["dataset_bytes"] == pytest.approx(4 * expected)
    assert {"curate/openr1_math_220k", "curate/am_deepseek_distilled_40m"} <= set(disk["unknown_datasets"])
    assert "curate/dclm_baseline" not in disk["unknown_datasets"]


def test_checkpoints_that_stay_are_counted_by_the_rule_that_keeps_them() -> None:
    params = TrainParams.model_validate(stage_of("train/demo", "stable", "stages.stable.steps=100").params)
    tokens = params.global_batch_size * params.sequence_length
    assert num_checkpoints(params, Cadence(checkpoint_every_steps=10, keep_checkpoints=2), []) == (3, 1)
    assert num_checkpoints(params, Cadence(checkpoint_every_steps=10, keep_checkpoints=2), [33, 60]) == (5, 3)
    every = Cadence(checkpoint_every_steps=10, keep_checkpoints=2, keep_every_tokens=25 * tokens)  # 30, 50, 80, 100
    assert num_checkpoints(params, every, []) == (6, 4)
    assert num_checkpoints(params, Cadence(checkpoint_every_steps=1000), []) == (1, 1)


def test_a_queue_is_told_how_many_jobs_come_and_a_machine_without_one_is_not() -> None:
    queue = described("train/demo", "cluster=virtual", "branch=demo_long")["queue"]
    assert queue["largest_array"] == 2
    assert queue["training_nodes"] == 2
    assert queue["elements"] > queue["jobs"] > 30
    assert described("train/demo")["queue"] is None
