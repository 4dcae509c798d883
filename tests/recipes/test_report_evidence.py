"""What the report tells of classifiers, certificates, clusters and scores, from manifests and from the files beside them."""

import json
from pathlib import Path
from typing import Any

import pytest
from browser import open_at, scrolled, unfold
from report_files import HOSTILE, change, write_table
from report_page import Page
from report_road import Road

from recipes.report.clusters import cluster_sizes
from recipes.report.make import render
from recipes.report.record import Record, read_records
from recipes.report.scores import histograms
from recipes.stage import Stage

ITEM = {"benchmark": "gsm8k", "part": "questions"}
HITS = [
    {"tier": "near", "item": "g2", **ITEM, "documents": 1, "share": 0.4, "matched": "half"},
    {
        "tier": "removed",
        "benchmark": "gsm8k",
        "item": "g1",
        "part": "questions",
        "documents": 3,
        "share": 1.0,
        "matched": HOSTILE,
    },
]


def certificate(road: Road, hits: Any = HITS) -> Stage:
    road.finish(road.stage("curate/x", "read", "read", "curation"), {"documents_in": 5, "documents_out": 5})
    stage = road.stage("curate/x", "certificate", "certificate", "curation")
    (stage.folder / "certificate.json").write_text(json.dumps({"hits": hits}))
    row = {"planted": 200, "removed": 0.97, "removed_interval": [0.94, 0.99], "reported": 1.0, "reported_interval": [0.98, 1.0]}
    details = {
        "benchmarks": {"gsm8k": {"items": 1319, "items_removed": 1, "items_near": 1, "sha256": "ab" * 32}},
        "settings": {"ngram": 13, "parts": ["questions", "answers"]},
        "canaries_questions": {"verbatim": row, "numbers_changed": row | {"removed": 0.5, "removed_interval": [0.43, 0.57]}},
    }
    return road.finish(stage, {"items_hit": 2}, details=details)


def test_all_figures_of_a_benchmark_fit_a_window(browser: Any, tmp_path: Path) -> None:
    road = Road(tmp_path)
    stage = certificate(road)
    columns = "items questions with_options with_answer solutions too_short repetitive items_removed items_masked items_near"
    row = dict.fromkeys(columns.split(), 12_345) | {"sha256": "ab" * 32}
    change(stage.folder, details={"benchmarks": {"olympiad_problems": row}})
    (tmp_path / "report.html").write_text(render("curate/x", road.folders))
    open_at(browser, tmp_path / "report.html", 1280)
    unfold(browser)
    assert scrolled(browser, "datasets") == []


def read_record(stage: Stage) -> Record:
    return read_records([stage.folder])[0]


def test_a_certificate_tells_benchmarks_recall_with_intervals_and_the_items_hit(tmp_path: Path) -> None:
    road = Road(tmp_path)
    certificate(road)
    text = render("curate/x", road.folders)
    page = Page(text)
    assert page.faults == []
    assert page.find_rows("gsm8k") == [["gsm8k", "1,319", "1", "1", "ab" * 6]]
    assert page.find_rows("verbatim") == [["verbatim", "200", "0.970 0.940 – 0.990", "1.000 0.980 – 1.000"]]
    assert page.find_rows("numbers changed")[0][2] == "0.500 0.430 – 0.570"
    surest, near = page.find_rows("g1") + page.find_rows("g2")
    assert surest[1:6] == ["removed", "gsm8k", "questions", "3", "1"]
    assert near[1] == "near"
    assert page.rows.index(surest) < page.rows.index(near)
    assert page.find_rows("settings · ngram") == [["settings · ngram", "13"]]
    assert "<img" not in text


def test_leaks_that_the_detector_missed_and_datasets_compared_with_nothing_are_concerns(tmp_path: Path) -> None:
    road = Road(tmp_path)
    stage = certificate(road)
    details = read_record(stage).tree("details")
    assert "were found" not in render("curate/x", road.folders)
    details["canaries_questions"]["verbatim"]["removed"] = 0.8
    change(stage.folder, details=details)
    told = render("curate/x", road.folders).replace("\u00a0", " ")
    assert "of planted benchmark questions (verbatim) only 80.0 % were found" in told
    assert "compared with no benchmark" not in told
    road.finish(road.stage("curate/x", "tokenize", "tokenize", "curation"), {"tokens": {"train": 5}})
    assert "it was compared with no benchmark: its page has no decontaminate stage" in render("curate/x", road.folders)


@pytest.mark.parametrize("hits", [None, "x", [3, {}], {"a": 1}])
def test_an_odd_certificate_breaks_nothing(tmp_path: Path, hits: Any) -> None:
    road = Road(tmp_path)
    certificate(road, hits)
    assert Page(render("curate/x", road.folders)).find_rows("verbatim")


def test_duplicates_are_told_by_the_size_of_their_cluster(tmp_path: Path) -> None:
    road = Road(tmp_path)
    stage = road.stage("curate/x", "dedup_clusters", "dedup_clusters", "curation")
    counted = {"2": 7, "3": 2, "9": 1, "1000": 1, "1,5": 3, "x": "y"}
    record = read_record(road.finish(stage, {"cluster_sizes": counted}))
    told = [(size.label, size.clusters, size.documents) for size in cluster_sizes(record)]
    assert told == [("2", 7, 14), ("3", 2, 6), ("5 to 9", 1, 9), ("1,000 and more", 1, 1000)]


def features(road: Road, num_shards: int) -> Stage:
    stage = road.stage("curate/x", "clean_features", "features", "curation")
    for shard in range(num_shards):
        scores = {"language_score": [0.05, 0.55, 0.55, 1.0, float("nan"), None], "num_words_score": list("abcdef")}
        write_table(stage.folder / "features" / f"{shard:05d}.parquet", scores)
    return road.finish(stage, {"documents_in": 6 * num_shards})


def test_scores_of_features_are_drawn_with_what_the_filter_asked_for(tmp_path: Path) -> None:
    road = Road(tmp_path)
    measured = features(road, 2)
    asked = {"filters": {"language": {"min_score": 0.65}}}
    judged = road.finish(road.stage("curate/x", "clean", "filter", "curation", params=asked, features=measured), {})
    [(heading, plot)] = histograms([read_record(measured), read_record(judged)])
    assert heading == "clean_features: language score of all documents"
    assert "0 to 0.1: 2; " in plot
    assert "0.5 to 0.6: 4; " in plot
    assert "0.9 to 1: 2 documents" in plot
    assert 'class="mark strong"' in plot


def test_of_many_files_of_features_a_few_are_read_and_the_heading_says_so(tmp_path: Path) -> None:
    [(heading, _)] = histograms([read_record(features(Road(tmp_path), 9))])
    assert heading == "clean_features: language score of documents in 4 of 9 shards"


def test_a_classifier_without_intervals_or_calibration_is_still_told(tmp_path: Path) -> None:
    road = Road(tmp_path)
    details = {"at_thresholds": [{"threshold": 0.5, "precision": 0.9, "recall": 0.8, "f1": 0.85}], "calibration": {"bins": []}}
    stage = road.finish(road.stage("curate/x", "classifier", "train_classifier", "curation"), {}, details=details)
    filtered = road.finish(road.stage("curate/x", "read", "read", "curation"), {"documents_in": 5, "documents_out": 5})
    page = Page(render("curate/x", [stage.folder, filtered.folder]))
    assert page.find_rows("0.50") == [["0.50", "0.900", "0.800", "0.850"]]
    change(stage.folder, details={"at_thresholds": "x", "calibration": 3, "out_of_distribution": [1], "chosen": 2})
    assert "Its manifest holds no measurements." in Page(render("curate/x", [stage.folder, filtered.folder])).texts
