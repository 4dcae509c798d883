"""What the benchmark of the whole road reads when there is no folder of real data."""

import gzip
import json
from pathlib import Path

import pytest

from curation.benchmark import road_curve, road_data
from curation.benchmark.measure import Measured
from curation.benchmark.road import LEFT_OUT, STAGES, Road, comparisons
from curation.benchmark.size import Size
from recipes.stage import write_stage
from slurm.plan import plan as slurm_plan


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


def test_the_curve_of_the_road_says_what_it_measures_and_answers_on_standard_output_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [stage.folder for stage in slurm_plan("curate/web_files", (f"root={tmp_path}",)).stages[:2]]
    for stage in slurm_plan("curate/web_files", (f"root={tmp_path}",)).stages[:2]:
        write_stage(stage)
    road = Road("text", (), {}, tmp_path / "road")
    monkeypatch.setattr(road_curve, "from_text", lambda *_: road)
    monkeypatch.setattr(road_curve, "plan", lambda _: folders)
    monkeypatch.setattr(road_curve, "measure", lambda _: Measured(1.0, 1.0, None))
    monkeypatch.setattr(road_curve.shutil, "rmtree", lambda _: None)
    list(road_curve.comparisons(Size(documents=2_000, repeats=1, data=None, scratch=tmp_path)))
    said = capsys.readouterr()
    names = [f"{folder.name.rpartition('-')[0]} ({number} of 2 stages)" for number, folder in enumerate(folders, start=1)]
    assert said.err.splitlines() == [f"{documents} documents: {name}" for documents in ("1,000", "2,000") for name in names]
    assert said.out == ""


@pytest.mark.slow
def test_the_road_runs_without_real_data_and_says_what_it_left_out(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    found = {one.stage: one for one in comparisons(Size(documents=300, repeats=1, data=None, scratch=tmp_path))}
    assert list(found) == [f"road_html/{name}" for name in (*STAGES, "all")]
    assert found["road_html/all"].quality["left_out"] == LEFT_OUT
    assert found["road_html/tokenize"].documents > 30
