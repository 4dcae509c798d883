"""`midtrain spike` says what a batch holds that those around it do not."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner
from world import BATCH, SEQUENCE, World, make_dataset

from pretrain import ledger
from pretrain.guards import Guard
from pretrain.metrics import METRICS, Journal
from pretrain.spike import spike
from recipes.schema import Guards, TrainParams
from recipes.stage import read_stage
from slurm.cli import main

SPIKE, STEPS = 7, 12
GUARDS = {"non_finite": "rewind", "rewind_steps": 2, "max_rewinds": 2}


@pytest.fixture(scope="module")
def indexed(megatron: None, world: World) -> Path:
    """A stage that has its index, and a dataset whose documents in the batch of one step come from a site of their own. One of
    them says the same word again and again."""
    from pretrain.blend import open_blend
    from pretrain.tokens import Vocabulary

    dataset = make_dataset(world.root / "sites", world.tokenizer, num_documents=400, seed=1)
    folder = world.stage("spiking", inputs={"dataset/web": dataset}, guards=GUARDS)
    stage = read_stage(folder)
    open_blend(stage, TrainParams.model_validate(stage.params), Vocabulary(256, 1))
    bad = {row["document"]: row for row in ledger.trace(folder, SPIKE) if row["dataset"] == "web"}
    rows = parquet.read_table(dataset / "docs.parquet").to_pylist()
    for row in rows:
        is_bad = row["split"] == "train" and row["document"] in bad
        row["url"] = f"https://{'bad' if is_bad else 'good'}.example/{row['document']}"
    parquet.write_table(arrow.Table.from_pylist(rows), dataset / "docs.parquet")
    longest = max(bad.values(), key=lambda row: row["num_tokens"])
    tokens = np.memmap(dataset / "train.bin", dtype=np.uint16, mode="r+")
    tokens[longest["first_token"] : longest["first_token"] + longest["num_tokens"] - 1] = 9
    tokens.flush()
    journal = Journal(folder / METRICS, keep_to_step=0)
    for step in range(1, SPIKE + 1):
        journal.write(step=step, loss=9.5 if step == SPIKE else 5.0, grad_norm=1.0, lr=1e-3, tokens_seen=step * BATCH * SEQUENCE)
    journal.close()
    return folder


def ask(folder: Path, *arguments: str) -> Any:
    answer = CliRunner().invoke(main, ["spike", str(folder), *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.output)


def test_the_site_that_only_the_bad_batch_has_stands_first(indexed: Path) -> None:
    record = ask(indexed, "--step", str(SPIKE))
    assert (record["left_out"], record["neighbours"], record["tokens"]) == (False, 10, BATCH * SEQUENCE)
    assert [(row["step"], row["batch"], row["loss"]) for row in record["steps"]] == [(SPIKE, SPIKE, 9.5)]
    first = record["shares"]["site"][0]
    assert first["site"] == "bad.example"
    assert first["share"] > 3 * first["share_around"]
    for rows in record["shares"].values():
        assert sum(row["tokens"] for row in rows) == record["tokens"]
        assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    assert {row["dataset"]: row["share_asked"] for row in record["shares"]["dataset"]} == {"web": 0.7, "cot": 0.3}


def test_it_names_the_documents_of_the_trace_and_the_pieces_that_stand_out(indexed: Path) -> None:
    record = ask(indexed, "--step", str(SPIKE))
    traced = ledger.trace(indexed, SPIKE)
    assert {row["id"] for row in record["documents"]} == {row["id"] for row in traced}
    assert sum(row["tokens"] for row in record["documents"]) == sum(row["num_tokens"] for row in traced)
    assert record["longest"][0]["num_tokens"] == max(row["num_tokens"] for row in traced)
    assert record["monotonous"][0]["commonest_token_share"] > 0.9
    for row in record["repeated"]:
        assert row["samples"] > 1
        assert row["seen_in_steps"] == ledger.steps_with(indexed, row["dataset"], row["document"])


def test_steps_before_it_are_looked_at_together(indexed: Path) -> None:
    record = spike(indexed, SPIKE, before=2, around=1)
    assert [row["batch"] for row in record["steps"]] == [SPIKE - 2, SPIKE - 1, SPIKE]
    assert (record["neighbours"], record["tokens"]) == (2, 3 * BATCH * SEQUENCE)


def test_a_step_that_never_was_is_refused(indexed: Path) -> None:
    answer = CliRunner().invoke(main, ["spike", str(indexed), "--step", "13"])
    assert answer.exit_code == 2
    with pytest.raises(ValueError, match=r"step=13 is not a step of .*; it has steps 1 to 12"):
        spike(indexed, 13)


def test_without_json_it_is_a_page_of_tables(indexed: Path) -> None:
    answer = CliRunner().invoke(main, ["spike", str(indexed), "--step", str(SPIKE)])
    assert answer.exit_code == 0
    assert "step 7, batch 7: loss 9.5, gradient norm 1.0" in answer.output
    for title in ("By dataset", "By source", "By site", "Longest pieces", "Documents"):
        assert f"\n{title}\n" in answer.output
    assert "bad.example" in answer.output


def test_of_a_rewind_the_batches_that_were_left_out_are_looked_at(indexed: Path) -> None:
    guard = Guard(Guards.model_validate(GUARDS), [], [])
    alarm = guard.judge(math.nan, 1.0)
    assert alarm is not None
    guard.rewind(SPIKE, alarm, [{"step": SPIKE - 1, "loss": 5.0}, {"step": SPIKE, "loss": None}])
    guard.write(indexed)
    record = spike(indexed, SPIKE, before=5)
    assert record["left_out"]
    assert [(row["step"], row["batch"]) for row in record["steps"]] == [(SPIKE - 1, SPIKE - 1), (SPIKE, SPIKE)]
    assert {row["id"] for row in record["documents"]} == {row["id"] for row in ledger.trace_batches(indexed, [SPIKE - 1, SPIKE])}
    again = spike(indexed, SPIKE - 1)
    assert (again["left_out"], again["steps"][0]["batch"]) == (False, SPIKE + 1)
    assert ledger.trace(indexed, SPIKE - 1) == ledger.trace_batches(indexed, [SPIKE + 1])
