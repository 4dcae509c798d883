"""What became of a document, by id or URL, through all stages."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from dataset import BLOCKED, COPY, KEPT, LEAK, PAGE, SHORT, curate, overrides

from slurm.cli import main
from slurm.why import bare_url


def ask(dataset: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["why", *arguments, "--root", str(dataset / "runs")])


def fate(dataset: Path, name: str) -> dict[str, Any]:
    answer = ask(dataset, f"<urn:uuid:{name}>", "--json")
    assert answer.exit_code == 0, answer.output
    [told] = json.loads(answer.output)["documents"]
    return dict(told)


def outcomes(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["stage"], step["outcome"]) for step in told["steps"]]


def test_a_kept_document_is_followed_to_its_tokens(dataset: Path) -> None:
    told = fate(dataset, KEPT)
    assert told["verdict"] == "kept"
    assert told["url"] == f"https://Example.org/{KEPT}/"
    stages = ["extract", "tidy", "clean", "dedup", "decontaminate"]
    assert outcomes(told) == [*((name, "kept") for name in stages), ("tokenize", "tokenized")]
    assert told["steps"][0]["learned"]["source"] == "pages"
    assert told["steps"][2]["learned"]["num_words"] == 120  # learned there, and not before
    assert "num_words" not in told["steps"][1].get("learned", {})
    place = told["steps"][-1]
    [docs] = (dataset / "runs" / PAGE).glob("tokenize-*/docs.parquet")
    [row] = [row for row in pq.read_table(docs).to_pylist() if row["id"] == told["id"]]
    assert {key: place[key] for key in ("split", "document", "first_token", "num_tokens")} == {
        key: row[key] for key in ("split", "document", "first_token", "num_tokens")
    }


@pytest.mark.parametrize(
    ("name", "stage", "reason", "rule"),
    [
        (BLOCKED, "clean", "url", "blocked_word"),
        (SHORT, "clean", "length", "too_short"),
        (COPY, "dedup", "exact_duplicate", "exact_duplicate"),
        (LEAK, "decontaminate", "contaminated", "tulips"),
    ],
)
def test_a_dropped_document_is_told_with_stage_reason_and_rule(
    dataset: Path, name: str, stage: str, reason: str, rule: str
) -> None:
    told = fate(dataset, name)
    assert told["verdict"] == "dropped"
    last = told["steps"][-1]
    assert (last["stage"], last["outcome"], last["reason"], last["rule"]) == (stage, "dropped", reason, rule)


def test_a_drop_is_told_with_what_the_filter_asked_for(dataset: Path) -> None:
    last = fate(dataset, SHORT)["steps"][-1]
    assert last["asked"]["min_words"] == 50
    assert last["learned"]["num_words"] == 30


def test_a_duplicate_is_told_with_the_document_it_resembles_and_that_one_with_its_duplicates(dataset: Path) -> None:
    copy = fate(dataset, COPY)
    assert copy["steps"][-1]["duplicate_of"] == {
        "id": "<urn:uuid:page-05>",
        "url": "https://Example.org/page-05/",
        "jaccard": copy["steps"][-1]["duplicate_of"]["jaccard"],
    }
    dedup = next(step for step in fate(dataset, "page-05")["steps"] if step["stage"] == "dedup")
    assert dedup["stands_for"]["documents"] == 1
    assert dedup["stands_for"]["some"][0]["id"] == f"<urn:uuid:{COPY}>"
    assert "resembles <urn:uuid:page-05> https://Example.org/page-05/" in ask(dataset, COPY).output


def test_a_leak_is_told_with_its_evidence(dataset: Path) -> None:
    found = fate(dataset, LEAK)["steps"][-1]["learned"]["contamination"]
    assert found["benchmark"] == "tulips"
    assert "seventeen rows of tulips" in found["matched"]


@pytest.mark.parametrize(
    "given",
    [
        f"<urn:uuid:{KEPT}>",
        f"urn:uuid:{KEPT}",
        KEPT,
        f"https://Example.org/{KEPT}/",
        f"https://example.org/{KEPT}",
        f"http://Example.org/{KEPT}/#part",
        f"example.org/{KEPT}",
    ],
)
def test_ids_and_urls_are_found_however_they_are_written(dataset: Path, given: str) -> None:
    answer = ask(dataset, given, "--json")
    assert [told["id"] for told in json.loads(answer.output)["documents"]] == [f"<urn:uuid:{KEPT}>"]


def test_urls_are_compared_by_host_path_and_query() -> None:
    assert bare_url("HTTPS://Example.ORG/A/?q=1#top") == "example.org/A/?q=1"
    assert bare_url("example.org/A/") == "example.org/A" != bare_url("example.org/a")
    assert bare_url("<urn:uuid:1-2>") == "<urn:uuid:1-2>"


def test_an_unknown_document_is_no_success_and_the_nearest_are_named(dataset: Path) -> None:
    answer = ask(dataset, "<urn:uuid:page-0")
    assert answer.exit_code == 1
    assert "no document is <urn:uuid:page-0: searched" in answer.output
    assert "near: <urn:uuid:page-00>  https://Example.org/page-00/" in answer.output
    record = json.loads(ask(dataset, "https://example.org/page-01/comments-and-more-of-them", "--json").output)
    assert record["documents"] == []
    assert [near["id"] for near in record["nearest"]] == ["<urn:uuid:page-01>"]
    assert json.loads(ask(dataset, "zzzzzzzz", "--json").output)["nearest"] == []


def test_a_page_with_its_overrides_may_be_asked(dataset: Path) -> None:
    answer = CliRunner().invoke(main, ["why", SHORT, PAGE, *overrides(dataset), "--json"])
    assert json.loads(answer.output)["documents"][0]["steps"][-1]["reason"] == "length"
    never_run = overrides(dataset, "stages.extract.min_chars=7")
    answer = CliRunner().invoke(main, ["why", SHORT, PAGE, *never_run])
    assert answer.exit_code == 2
    assert f"no stage of curation of {PAGE} is finished; make them with: midtrain run {PAGE}" in answer.stderr


def test_other_parameters_behind_a_stage_are_another_way(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    curate(copy, "stages.clean.filters.length.min_words=20")
    told = json.loads(ask(copy, SHORT, "--json").output)["documents"]
    assert sorted(entry["verdict"] for entry in told) == ["dropped", "kept"]


def test_nothing_finished_and_an_empty_question_are_mistakes(dataset: Path, tmp_path: Path) -> None:
    answer = ask(tmp_path, "x")
    assert answer.exit_code == 2
    assert f"no stage of curation is finished under {tmp_path}/runs; name the results with --root" in answer.stderr
    assert ask(dataset, " ").exit_code == 2


def test_a_damaged_shard_is_named(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    [shard] = (copy / "runs" / PAGE).glob("extract-*/documents/00000.parquet")
    shard.write_bytes(shard.read_bytes()[:-9])
    answer = ask(copy, KEPT)
    assert answer.exit_code == 2
    assert f"{shard} cannot be read" in answer.stderr
    assert "midtrain verify PAGE" in answer.stderr
