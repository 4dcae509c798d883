"""Journals after kills and full disks: a line that was cut harms no other."""

import json
from pathlib import Path
from typing import Any

import pytest

from pretrain import certificate
from pretrain.checkpoint import files, find
from pretrain.metrics import Journal, read_journal
from pretrain.parallel import Layout
from recipes.schema import Parallelism


def test_a_cut_line_is_taken_off_before_the_next_is_written(tmp_path: Path) -> None:
    file = tmp_path / "speed.jsonl"
    file.write_bytes(b'{"step": 1}\n{"step": 2, "tok')
    journal = Journal(file, keep_to_step=None)
    journal.write(step=3)
    journal.close()
    assert read_journal(file) == [{"step": 1}, {"step": 3}]


def test_a_certificate_survives_a_cut_line_of_its_segments(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    with open(tmp_path / certificate.SEGMENTS, "ab") as file:
        file.write(b'{"event": "end", "st')
    certificate.begin_segment(tmp_path, step=1, digest="same", loaded="step_00000001")
    certificate.end_segment(tmp_path, 2, "done")
    resume = certificate.certificate(tmp_path)
    assert (resume["verdict"], resume["restarts"]) == ("same", 1)
    assert [segment["ended"] for segment in resume["segments"]] == [certificate.KILLED, "done"]


def test_what_was_not_compared_is_not_called_the_same(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    certificate.begin_segment(tmp_path, step=1, digest="not compared: saved by data 2, loaded by data 1", loaded="step_00000001")
    assert certificate.certificate(tmp_path)["verdict"] == "not compared"


@pytest.mark.usefixtures("megatron")
def test_a_damaged_checkpoint_is_told_of_with_the_segment_that_passed_it_over(tmp_path: Path) -> None:
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    for step in (6, 9):
        files.publish(files.begin(tmp_path, step), tmp_path, step, files={"common.pt": "0" * 64}, digest={})
    certificate.damaged(tmp_path, "step_00000009", ["common.pt is missing"])  # by one that was killed before it moved it
    assert find.newest(tmp_path, Layout(0, 1, "cpu", Parallelism(), 0, 1, 1)) is None
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    certificate.end_segment(tmp_path, 12, "done")
    resume = certificate.certificate(tmp_path)
    why = ["common.pt is missing"]
    assert [segment["damaged"] for segment in resume["segments"]] == [
        [],
        [{"checkpoint": "step_00000009", "why": why}, {"checkpoint": "step_00000006", "why": why}],
    ]
    assert (resume["verdict"], resume["restarts"], resume["segments"][1]["ended"]) == ("same", 1, "done")


def redone(folder: Path, row: dict[str, Any]) -> None:
    """What a step gave the first time."""
    (folder / certificate.REDONE).write_text(json.dumps(row) + "\n")


def test_a_step_that_is_skipped_the_second_time_alone_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0, "skipped": "loss spike"}) + "\n")
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    redone(tmp_path, {"step": 1, "loss": 2.0})
    resume = certificate.certificate(tmp_path)
    assert resume["verdict"] == "not same"
    assert resume["differences"] == ["step 1: skipped was None, is 'loss spike'"]


def test_what_lies_behind_the_checkpoint_is_kept_to_be_compared(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    measured = [{"step": 0, "name": "web", "loss": 5.0}, {"step": 4, "name": "web", "loss": 4.0}]
    for journal, rows in (
        ("metrics.jsonl", [{"step": 1, "loss": 5.0}, {"step": 2, "loss": 4.5}, {"step": 3, "loss": 4.2}]),
        ("validation.jsonl", measured),
        ("logs/validation.jsonl", [{"step": 2, "name": "web", "loss": 4.4}]),
    ):
        (tmp_path / journal).write_text("".join(json.dumps(row) + "\n" for row in rows))
    certificate.keep_rows(tmp_path, 2)
    assert read_journal(tmp_path / certificate.REDONE) == [{"step": 3, "loss": 4.2}, measured[1]]
    certificate.keep_rows(tmp_path, 0)  # what is measured before the first step is measured again, too
    assert measured[0] in read_journal(tmp_path / certificate.REDONE)


def test_a_validation_that_gives_another_loss_the_second_time_is_a_difference(tmp_path: Path) -> None:
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    (tmp_path / "validation.jsonl").write_text(json.dumps({"step": 0, "name": "web", "loss": 5.0}) + "\n")
    redone(tmp_path, {"step": 0, "name": "web", "loss": 5.1})
    resume = certificate.certificate(tmp_path)
    assert (resume["verdict"], resume["redone_steps"]) == ("not same", 0)
    assert resume["differences"] == ["step 0, validation web: loss was 5.1, is 5.0"]


def test_a_validation_that_the_second_run_was_not_asked_for_is_not_compared(tmp_path: Path) -> None:
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    redone(tmp_path, {"step": 2, "name": "web", "loss": 5.1})
    assert certificate.certificate(tmp_path)["verdict"] == "same"
