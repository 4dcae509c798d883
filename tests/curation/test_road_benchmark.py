"""What the benchmark of the whole road reads when there is no folder of real data."""

import gzip
import json
from pathlib import Path

import pytest

from curation.benchmark import road_data
from curation.benchmark.road import LEFT_OUT, STAGES, comparisons
from curation.benchmark.size import Size


def test_made_pages_are_html_of_many_kinds_and_the_same_every_time(tmp_path: Path) -> None:
    files = [road_data.write_pages(tmp_path / name / "pages.jsonl.gz", None, 60) for name in ("one", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = [json.loads(line) for line in gzip.open(files[0])]
    assert len({row["id"] for row in rows}) == len({row["url"] for row in rows}) == 60
    assert all("<body" in row["html"] for row in rows)
    assert 10 < sum("\\frac" in row["html"] or "<math" in row["html"] or "$" in row["html"] for row in rows) < 60


def test_made_labels_are_of_both_kinds_and_no_page_of_the_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(road_data, "MADE_EXAMPLES", 80)
    rows = [json.loads(line) for line in road_data.write_labels(tmp_path / "labels.jsonl", None).read_text().splitlines()]
    good = sum(row["label"] for row in rows)
    assert 10 < good < 70
    assert len({row["text"] for row in rows}) > 70


@pytest.mark.slow
def test_the_road_runs_without_real_data_and_says_what_it_left_out(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    found = {one.stage: one for one in comparisons(Size(documents=300, repeats=1, data=None, scratch=tmp_path))}
    assert list(found) == [f"road_html/{name}" for name in (*STAGES, "all")]
    assert found["road_html/all"].quality["left_out"] == LEFT_OUT
    assert found["road_html/tokenize"].documents > 30
