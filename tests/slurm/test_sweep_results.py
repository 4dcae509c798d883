"""Results of a sweep: means of repeats, differences to the control, what is clear and what may be chance; table, CSV, page."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from dataset import overrides, write_pages, write_tokenizer
from rich.console import Console

from recipes.manifest import publish
from recipes.report.sweep import render_sweep
from recipes.stage import write_stage
from slurm.cli import main
from slurm.sweep.describe import describe_sweep, runs_as_csv, write_results
from slurm.sweep.plan import PlannedPoint, SweepPlan, plan_sweep
from slurm.sweep.results import describe_results

PEAKS = ("branch=demo_short", "stages.decay.lr.peak=1e-3,2e-3,4e-3", "stages.decay.seed=1,2")
WEB = {"peak=0.001": (3.0, 3.02), "peak=0.002": (2.8, 2.82), "peak=0.004": (2.99, 3.01)}


def planned(root: Path, *more: str) -> SweepPlan:
    return plan_sweep("train/demo", [f"root={root}", *(more or PEAKS)])


def finish_training(one: PlannedPoint, **losses: float) -> None:
    """As training would leave it: nothing here depends on the weights."""
    for stage in one.ends.values():
        write_stage(stage)
        details = {"loss": {"first": 9.0, "last": 2.5}, "validation": losses, "bits_per_byte": dict.fromkeys(losses, 0.5)}
        publish(stage, counts={"steps": 1, "tokens": 1}, started=0.0, details=details)


@pytest.fixture
def half_done(tmp_path: Path) -> SweepPlan:
    """Both seeds of two peaks and one of the third."""
    found = planned(tmp_path)
    for one in found.points[:5]:
        finish_training(one, web=WEB[one.point.group][one.point.seeds["seed"] == "2"])
    return found


def rows(found: SweepPlan) -> dict[str, dict[str, Any]]:
    return {row["point"]: row for row in describe_results(found)["rows"]}


def test_repeats_are_one_row_with_their_mean_and_spread(half_done: SweepPlan) -> None:
    cell = rows(half_done)["peak=0.002"]["cells"]["validation web"]
    assert cell["values"] == [2.8, 2.82]
    assert cell["mean"] == pytest.approx(2.81)
    assert cell["spread"] == pytest.approx(0.02 / 2**0.5)
    assert cell["is_best"]
    assert rows(half_done)["peak=0.004"]["cells"]["validation web"]["spread"] is None  # one seed of two


def test_a_difference_is_clear_only_beyond_what_seeds_do(half_done: SweepPlan) -> None:
    """Pooled: s = 0.01414 of two rows; its error 0.01414 for two seeds against two, 0.0173 for one."""
    found = rows(half_done)
    assert "difference" not in found["peak=0.001"]["cells"]["validation web"]  # the control
    far, near = (found[name]["cells"]["validation web"] for name in ("peak=0.002", "peak=0.004"))
    assert far["difference"] == pytest.approx(-0.2)
    assert far["is_clear"]
    assert near["difference"] == pytest.approx(-0.02)
    assert near["is_clear"] is False


def test_without_repeats_nothing_is_called_clear(tmp_path: Path) -> None:
    found = planned(tmp_path, *PEAKS[:2])
    for one, loss in zip(found.points, (3.0, 2.0, 2.5), strict=True):
        finish_training(one, web=loss)
    cells = [row["cells"]["validation web"] for row in rows(found).values()]
    assert [cell.get("is_clear") for cell in cells] == [None, None, None]
    assert [cell["is_best"] for cell in cells] == [False, True, False]
    assert "any difference may be chance" in render_sweep(describe_sweep(found))


def test_what_is_not_finished_says_so(half_done: SweepPlan) -> None:
    assert rows(half_done)["peak=0.004"]["states"] == {"done": 1, "missing": 1}
    fresh = rows(planned(half_done.root / "other")).values()
    assert {row["states"]["missing"] for row in fresh} == {2}
    assert all(row["cells"] == {} for row in fresh)
    shown = CliRunner().invoke(main, ["sweep", "train/demo", f"root={half_done.root}", *PEAKS]).stdout
    assert "1 done, 1 missing" in shown
    assert "2.8100 ★" in shown.replace("  ", " ")
    jobs = CliRunner().invoke(main, ["sweep", "train/demo", f"root={half_done.root}", *PEAKS, "--status"]).stdout
    assert re.search(r"decay_short of peak=0.004 seed=1 +done", jobs)
    assert re.search(r"decay_short of peak=0.004 seed=2 +missing", jobs)
    assert len(re.findall(r"^  stable ", jobs, re.MULTILINE)) == 1
    page = render_sweep(describe_sweep(planned(half_done.root / "other")))
    assert "3 of 3 rows have no figures yet" in page


def test_points_can_be_told_apart_on_a_narrow_terminal(half_done: SweepPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurm.sweep.command.console", Console(width=80))
    jobs = CliRunner().invoke(main, ["sweep", "train/demo", f"root={half_done.root / 'other'}", *PEAKS, "--status"]).stdout
    told = set(re.findall(r"^  decay_short of (peak=\S+ seed=\d) +\w+", jobs, re.MULTILINE))
    assert told == {one.point.name for one in half_done.points}
    assert max(len(line) for line in jobs.splitlines()) <= 80


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--submit", "--dry-run", "--run"], "--submit and --run are given at once; ask for one after the other"),
        (["--status", "--report"], "--status and --report are given at once"),
        (["--dry-run"], "--dry-run goes with --submit alone"),
        (["--run", "--dry-run"], "--dry-run goes with --submit alone"),
    ],
)
def test_what_cannot_be_asked_for_together_is_refused(tmp_path: Path, asked: list[str], told: str) -> None:
    answer = CliRunner().invoke(main, ["sweep", "train/demo", f"root={tmp_path}", *PEAKS, *asked])
    assert answer.exit_code == 2
    assert told in answer.stderr
    assert not list(tmp_path.iterdir())


def test_the_control_may_be_another_point(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "page: train/demo\noverrides: [branch=demo_short]\ncontrol: slow\nmetrics: [loss, bits_per_byte, validation]\n"
        "points: {fast: [stages.decay.lr.peak=4e-3], slow: [stages.decay.lr.peak=1e-3]}\n"
    )
    found = plan_sweep(str(tmp_path / "mine.yaml"), [f"root={tmp_path}"])
    for one, loss in zip(found.points, (2.5, 3.0), strict=True):
        finish_training(one, web=loss)
    cells = rows(found)["fast"]["cells"]
    assert cells["validation web"]["difference"] == -0.5
    assert set(cells) == {"loss", "bits_per_byte web", "validation web"}
    assert rows(found)["slow"]["is_control"]


def test_ends_are_compared_with_the_controls_same_end(tmp_path: Path) -> None:
    found = planned(tmp_path, "branch=[demo_short,demo_long]", "stages.decay.steps=5,6")
    for number, one in enumerate(found.points):
        for end, stage in one.ends.items():
            write_stage(stage)
            loss = {"short": 3.0, "long": 4.0}[end] - number
            publish(stage, counts={}, started=0.0, details={"validation": {"web": loss}})
    described = describe_results(found)["rows"]
    assert [(row["point"], row["end"]) for row in described[2:]] == [("steps=6", "short"), ("steps=6", "long")]
    assert [row["cells"]["validation web"]["difference"] for row in described[2:]] == [-1.0, -1.0]


def test_the_csv_has_a_line_a_run(half_done: SweepPlan) -> None:
    lines = list(csv.DictReader(io.StringIO(runs_as_csv(half_done))))
    assert len(lines) == 6
    assert [(line["peak"], line["seed"], line["validation web"]) for line in lines[:2]] == [
        ("0.001", "1", "3.0"),
        ("0.001", "2", "3.02"),
    ]
    assert lines[5]["validation web"] == ""
    assert lines[0]["stage"] == f"train/demo/{half_done.points[0].ends['short'].folder.name}"


def test_the_page_the_table_and_the_figures_are_written_beside_each_other(half_done: SweepPlan) -> None:
    arguments = ["sweep", "train/demo", f"root={half_done.root}", *PEAKS, "--report"]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 0, answer.output
    [page] = half_done.root.glob("sweep/demo-*/report.html")
    assert str(page) in answer.stdout
    text = page.read_text()
    assert text.startswith("<!doctype html>") or text.lstrip().startswith("<!doctype html>")
    assert "± 0.0141" in text
    assert text.count("<svg") == 1
    record = orjson.loads((page.parent / "results.json").read_bytes())
    assert record["results"]["metrics"][0]["noise"] == pytest.approx(0.0141421, rel=1e-3)
    write_results(half_done, describe_sweep(half_done))
    assert page.read_text() == text
    assert json.loads(CliRunner().invoke(main, [*arguments[:-1], "--json"]).stdout)["results"] == record["results"]


def test_another_set_of_points_has_another_folder(tmp_path: Path) -> None:
    folders = {describe_sweep(planned(tmp_path, *more))["folder"] for more in (PEAKS, PEAKS[:2])}
    assert len(folders) == 2


def test_what_lacks_is_told_with_exit_status_2(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["sweep", "train/demo", f"root={tmp_path}", "base=none", *PEAKS])
    assert answer.exit_code == 2
    assert "before this can run: base: no file matches none" in answer.stdout
    for asked in ("--run", "--submit"):
        refused = CliRunner().invoke(main, ["sweep", "train/demo", f"root={tmp_path}", "base=none", *PEAKS, asked])
        assert refused.exit_code == 2
        assert "this cannot run yet" in refused.stderr


def test_a_sweep_over_documents_is_run_once_where_it_is_shared_and_counted(tmp_path: Path) -> None:
    """For real: pages of 120 words and one of 30, which a filter of 20 words keeps and one of 50 does not."""
    write_pages(tmp_path)
    write_tokenizer(tmp_path / "tokenizer")
    plain = [text for text in overrides(tmp_path) if "min_words" not in text and "decontaminate" not in text]
    short = ["~stages.dedup", "~stages.decontaminate", "stages.clean.filters.length.min_words=20,50"]
    arguments = ["curate/web_files", *plain, *short]
    command = [sys.executable, "-m", "slurm.cli", "sweep", *arguments, "--run"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = re.findall(r"✓ curate/web_files/(\S+( of min_words=\d+)?) ", ran.stdout)
    names = [name for name, _ in made]
    assert names.count("extract") == names.count("tidy") == names.count("clean_features") == 1
    assert {"clean of min_words=20", "clean of min_words=50", "tokenize of min_words=20"} < set(names)
    assert len(list(tmp_path.glob("runs/sweep/web_files-*/report.html"))) == 1
    table = describe_results(plan_sweep(arguments[0], arguments[1:]))
    documents = [row["cells"]["documents"] for row in table["rows"]]
    assert documents[0]["mean"] == documents[1]["mean"] + 1  # the one of 30 words
    assert documents[1]["difference"] == -1
    assert [metric["is_lower_better"] for metric in table["metrics"]] == [None, None]
    assert not any(cell["is_best"] for cell in documents)
