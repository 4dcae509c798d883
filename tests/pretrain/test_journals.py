"""Journals after kills and full disks: a line that was cut harms no other."""

import json
from pathlib import Path

from pretrain import certificate
from pretrain.metrics import Journal, read_journal


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


def test_a_step_that_is_skipped_the_second_time_alone_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0, "skipped": "loss spike"}) + "\n")
    certificate.begin_segment(tmp_path, step=0, digest="began anew", loaded=None)
    certificate.keep_rows(tmp_path, [{"step": 1, "loss": 2.0}])
    resume = certificate.certificate(tmp_path)
    assert resume["verdict"] == "not same"
    assert resume["differences"] == ["step 1: skipped was None, is 'loss spike'"]
