"""The report page: its figures are the manifests', and nothing on it comes from elsewhere."""

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path

import pytest
from report_files import HOSTILE, LATEX, change
from report_page import Page
from report_road import BRANCHES, Road, make_road, report_stage

from recipes.manifest import changed_files, read_manifest
from recipes.report.figures import clean, duration, short
from recipes.report.make import make_report, render

# ---------------------------------------------------------------------------------------------------- the file


def test_the_page_is_well_formed(page: Page) -> None:
    assert page.faults == []
    assert page.open == []


def test_the_page_needs_nothing_from_elsewhere(page: Page, text: str) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "a", "use", "image"}
    for _, attributes in page.elements:
        assert not {"src", "href", "srcset", "xlink:href", "onload", "onerror"} & attributes.keys()
    style = text.split("<style>")[1].split("</style>")[0]
    assert set(re.findall(r"url\((.{16})", style)) == {"data:font/woff2;"}
    assert "@import" not in style


def test_scripts_are_those_that_draw_formulas_and_the_policy_names_no_other(page: Page, text: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert [script for script in scripts if "renderToString" in script or "katex.render(" in script] == scripts
    assert len(scripts) == len([tag for tag, _ in page.elements if tag == "script"]) == 2
    [policy] = [attributes["content"] for _, attributes in page.elements if "http-equiv" in attributes]
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; font-src data:; script-src {' '.join(hashes)}"


def test_foreign_text_is_escaped_and_shown_as_it_is(page: Page, text: str) -> None:
    assert HOSTILE not in text
    shown = "".join(page.texts)
    assert clean(HOSTILE) in shown
    assert LATEX in shown
    assert "\x00" not in text
    assert "\x1b" not in text


def test_a_hostile_name_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    road = Road(tmp_path)
    stage = road.finish(
        road.stage("curate/x", "read", "read", "curation"),
        {
            "documents_in": 5,
            "documents_out": 1,
            "unreadable": {"records": {HOSTILE: 1}},
            "dropped": {HOSTILE: {"documents": 4, "characters": 9}},
            "details": {HOSTILE: {HOSTILE: 4}},
            "scores": {HOSTILE: {"0.5": 1}},
        },
        names={f"records/{HOSTILE}": [HOSTILE]},
    )
    change(stage.folder, command=HOSTILE, software={HOSTILE: HOSTILE}, stage=HOSTILE)
    train = road.train("stable", {HOSTILE: 1.0}, {HOSTILE: stage})
    change(train.folder, stage=HOSTILE)
    text = render(HOSTILE, road.folders, missing=[HOSTILE])
    page = Page(text)
    assert page.faults == []
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert escape("<script>", quote=False) in text


def test_the_same_manifests_give_the_same_bytes(road: Road, text: str) -> None:
    assert render("train/demo", road.folders) == text


def test_make_report_writes_the_page_and_finishes_the_stage(road: Road, text: str) -> None:
    stage = report_stage(road)
    make_report(stage.folder)
    assert (stage.folder / "report.html").read_text() == text
    manifest = read_manifest(stage.folder)
    assert [entry["path"] for entry in manifest["outputs"]] == ["report.html"]
    assert manifest["counts"] == {"stages": len(road.stages)}
    assert changed_files(stage.folder) == []


def test_make_report_names_an_input_that_is_not_finished(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    (road.stages[-1].folder / "manifest.json").unlink()
    stage = report_stage(road)
    with pytest.raises(
        ValueError, match=r"train/demo/report: input 'train/demo/export_hybrid' is not finished.*run train/demo again"
    ):
        make_report(stage.folder)
    assert not stage.is_finished
    assert not (stage.folder / "report.html").exists()


# ---------------------------------------------------------------------------------------------------- the figures


def test_checkpoints_stand_with_their_parity(page: Page) -> None:
    for branch in BRANCHES:
        row = page.find_rows(branch)[0]
        assert row[1:6] == ["1,234,567", "float32", "3.1 × 10⁻⁵", "1 × 10⁻³", "passed"]


def test_a_checkpoint_above_the_limit_is_shown_as_failed(tmp_path: Path) -> None:
    road = make_road(tmp_path)
    change(road.stages[-1].folder, details={"parity": {"max_difference": 0.5}})
    page = Page(render("train/demo", road.folders))
    assert page.find_rows("hybrid")[0][3:6] == ["5 × 10⁻¹", "1 × 10⁻³", "failed"]
    assert "logits differ by 0.5, allowed are 0.001" in page.texts


def test_the_lowest_validation_loss_of_each_row_is_marked(page: Page, text: str) -> None:
    assert page.find_rows("web") == [["web", "2.6200", "2.3300", "2.3075", "2.3140"]]
    assert page.find_rows("qa") == [["qa", "2.7000", "2.4100", "2.4875", "2.3940"]]
    assert re.findall(r"<mark[^>]*>([\d.]+)</mark>", text) == ["2.3075", "2.3940"]


def test_training_stages_stand_with_steps_tokens_loss_and_restarts(page: Page) -> None:
    stable = next(row for row in page.find_rows("stable") if len(row) == 9)
    assert stable == ["stable", "120", "491,520", "8.3000", "2.6000", "3 × 10⁻³", "21.3k", "2 min 5 s", "1"]
    decay = next(row for row in page.find_rows("decay_long") if len(row) == 9)
    assert (decay[4], decay[8]) == ("2.2875", "0")


def test_blends_show_asked_and_delivered_shares_of_every_source(road: Road, page: Page) -> None:
    ledgers = [read_manifest(stage.folder)["details"]["ledger"] for stage in road.stages if stage.do == "train"]
    rows = [row for name in ("demo_web", "demo_qa") for row in page.find_rows(name) if len(row) == 6 and "%" in row[1]]
    expected = [
        [
            entry["dataset"],
            f"{100 * entry['asked_share']:.2f} %",
            f"{100 * entry['delivered_share']:.2f} %",
            f"{entry['delivered_tokens']:,}",
            f"{entry['documents_touched']:,}",
            f"{entry['epochs']:.2f}",
        ]
        for name in ("demo_web", "demo_qa")
        for ledger in ledgers
        for entry in ledger
        if entry["dataset"] == name
    ]
    assert rows == expected
    assert len(rows) == 8


def test_the_funnel_goes_from_the_first_document_to_the_exact_tokens(page: Page) -> None:
    assert page.find_rows("clean")[0] == ["clean", "2,700", "1,800", "66.7 %", "≈ 1M", "60.0 %"]
    assert page.find_rows("tokenize")[0] == ["tokenize", "780", "780", "100.0 %", "500,000", "26.0 %"]
    assert not page.find_rows("dedup_signatures")  # decides nothing


def test_drops_stand_with_reason_share_tokens_and_rules(page: Page) -> None:
    drops = [row for row in page.find_rows("clean") if row[1] in ("language", "repetition")]
    assert drops[0] == ["clean", "language", "500", "18.5 %", "≈ 200k", ""]
    assert drops[1] == ["clean", "repetition", "400", "14.8 %", "≈ 150k", "duplicate lines 277 top 2gram 123"]
    html = [row for row in page.find_rows("extract") if row[1] == "extract too short"]
    assert html == [["extract", "extract too short", "300", "10.0 %", "–", ""]]  # characters of HTML are no tokens


def test_reading_clusters_benchmarks_and_the_classifier_are_told(page: Page) -> None:
    assert page.find_rows("skipped · status 404") == [["skipped · status 404", "40"]]
    assert page.find_rows("near duplicates")[0] == ["near duplicates", "40"]
    benchmarks = [["demo_problems", "200", "187", "13", dropped] for dropped in ("20", "7")]
    assert page.find_rows("demo_problems") == benchmarks
    assert page.find_rows("tokens · validation")[0] == ["tokens · validation", "5,000"]
    assert page.find_rows("0.50") == [
        ["0.50", "0.900 0.850 – 0.920", "0.829 0.779 – 0.849", "0.910"],
        ["0.50", "0.700 0.650 – 0.720", "0.829 0.779 – 0.849", "0.910"],
    ]
    assert page.find_rows("chosen · min score") == [["chosen · min score", "0.4321"]]
    assert [row[1:3] for row in page.find_rows("5 to 9") + page.find_rows("10 to 99")] == [["2", "24"]] * 2
    assert "0.5 to 0.6: 60 documents" in page.texts


def test_totals_are_sums_of_the_manifests(road: Road, text: str) -> None:
    trained = sum(read_manifest(stage.folder)["counts"]["tokens"] for stage in road.stages if stage.do == "train")
    assert f"<dd>{short(trained)}</dd>" in text
    assert "<dd>600k</dd>" in text
    assert f"<dd>{duration(125 * len(road.stages))}</dd>" in text


def test_every_stage_stands_in_the_manifests_with_its_fingerprint_and_hashes(road: Road, page: Page) -> None:
    for stage in road.stages:
        row = page.find_rows(f"{stage.page}/{stage.name}")[0]
        assert row[1] == stage.fingerprint
        hashes = [entry["sha256"][:16] for entry in read_manifest(stage.folder)["outputs"]]
        assert {row[2] for row in page.rows if len(row) == 3} >= set(hashes)
