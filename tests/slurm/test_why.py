"""What became of a document, by id or URL, through all stages."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from dataset import BLOCKED, COPY, KEPT, LEAK, PAGE, SHORT, curate, overrides
from datatrove.data import Document

from curation.shards import ShardWriter
from slurm.cli import main
from slurm.shards import Shard
from slurm.urls import bare_url, plain_part
from slurm.why import find


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


def test_an_id_that_several_files_have_is_found_in_all_of_them_and_with_its_file_in_one(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "00000.parquet")
    made = ["<urn:uuid:1>@pages/a.jsonl", "<urn:uuid:1>@pages/b.jsonl", "<urn:uuid:11>@pages/a.jsonl"]
    for id_ in made:
        writer.write(Document(text="x", id=id_, metadata={}))
    writer.close()
    for asked, expected in (("1", made[:2]), ("<urn:uuid:1>", made[:2]), (made[1], made[1:2])):
        found, _ = find(asked, [Shard(tmp_path / "00000.parquet", None)])
        assert [sighting.id for sighting in found] == expected


@pytest.mark.parametrize(
    ("asked", "number", "shown"),
    [
        ("pm3", 3, ["pm3"]),
        ("pm3#2", 3, ["pm3#2"]),
        ("pm3#9", 3, []),
        ("7", 2, ["<urn:uuid:7>@pages/a.jsonl"]),
        ("7#2", 2, ["<urn:uuid:7>@pages/a.jsonl#2"]),
        ("<urn:uuid:7>@pages/a.jsonl#2", 2, ["<urn:uuid:7>@pages/a.jsonl#2"]),
        ("pm31", None, ["pm31"]),
    ],
)
def test_an_id_that_came_several_times_is_told_with_all_of_them(
    tmp_path: Path, asked: str, number: int | None, shown: list[str]
) -> None:
    documents = tmp_path / "runs" / "curate" / "x" / "read-0123456789ab" / "documents"
    documents.mkdir(parents=True)
    writer = ShardWriter(documents / "00000.parquet")
    ids = ["pm3#3", "pm3", "pm31", "pm3#2", "<urn:uuid:7>@pages/a.jsonl", "<urn:uuid:7>@pages/a.jsonl#2"]
    for id_ in ids:
        writer.write(Document(text="x", id=id_, metadata={}))
    writer.close()
    manifest = {"page": "curate/x", "stage": "read", "do": "read", "counts": {"documents_in": 6, "duplicate_ids": 3}}
    (documents.parent / "manifest.json").write_text(json.dumps(manifest))
    told = json.loads(ask(tmp_path, asked, "--json").output)
    assert (told["same_id"] and told["same_id"]["documents"]) == number
    assert [fate["id"] for fate in told["documents"]] == shown
    same = "3 documents came with this id; they were numbered: pm3, pm3#2, pm3#3\n"
    assert (same in ask(tmp_path, asked).output) == (number == 3)


def test_urls_are_compared_by_host_path_and_query() -> None:
    assert bare_url("HTTPS://Example.ORG/A/?q=1#top") == "example.org/A/?q=1"
    assert bare_url("example.org/A/") == "example.org/A" != bare_url("example.org/a")
    assert bare_url("<urn:uuid:1-2>") == "<urn:uuid:1-2>"


SPELLINGS = [
    ("https://a.example/%22two%22/%C3%BC", 'https://a.example/"two"/ü'),
    ("https://Müller.example/Straße?q=1", "http://xn--mller-kva.example/Stra%C3%9Fe?q=1#top"),
    ("https://a.example/back\\slash and space", "a.example/back%5Cslash%20and%20space"),
    ("http://[::1/broken", "[::1/broken"),
    ("http://[::1]:80/page", "HTTP://[::1]:80/page/"),
]


@pytest.mark.parametrize(("one", "other"), [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_a_url_is_found_in_whichever_way_it_is_written(tmp_path: Path, one: str, other: str) -> None:
    writer = ShardWriter(tmp_path / "00000.parquet")
    for number, url in enumerate(["http://[bad", one, None, "https://a.example/"]):
        writer.write(Document(text="", id=str(number), metadata={"url": url}))
    writer.close()
    assert plain_part(other)
    found, _ = find(other, [Shard(tmp_path / "00000.parquet", None)])
    assert [sighting.id for sighting in found] == ["1"]


def test_an_impossible_url_is_no_mistake(dataset: Path) -> None:
    answer = ask(dataset, "http://[::1/nowhere")
    assert answer.exit_code == 1
    assert "no document is http://[::1/nowhere: searched" in answer.output


def test_a_document_is_followed_into_the_steps_that_saw_it(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    tokens = fate(copy, KEPT)["steps"][-1]
    other = fate(copy, "page-05")["steps"][-1]
    assert tokens["split"] == other["split"] == "train"
    # two samples, of this document and of the next one; the blend gives the first one twice: to steps 1 and 3 of one sample each
    write_training(copy, tokens["made"], documents=[tokens["document"], 99], begins=[[0, 0], [1, 0], [2, 0]], blend=[0, 1, 0])
    told = fate(copy, KEPT)
    assert told["verdict"] == "kept"
    last = told["steps"][-1]
    assert (last["stage"], last["outcome"], last["dataset"], last["steps"], last["num_steps"]) == (
        "train/tiny/stable", "blended", "pages", [1, 3], 2,
    )  # fmt: skip
    assert "as pages: seen in steps 1, 3" in ask(copy, KEPT).output
    assert fate(copy, "page-05")["steps"][-1]["num_steps"] == 0
    assert "as pages: no step saw it" in ask(copy, "page-05").output
    shutil.rmtree(copy / "runs" / "train" / "tiny" / "stable-0123456789ab" / "index")
    assert "its index is gone" in ask(copy, KEPT).output


def write_training(folder: Path, made: str, *, documents: list[int], begins: list[list[int]], blend: list[int]) -> None:
    """What a training stage leaves of its blend: one dataset, samples in order."""
    stage = folder / "runs" / "train" / "tiny" / "stable-0123456789ab"
    arrays = {
        "document_index": np.array(documents, np.int32),
        "sample_index": np.array(begins, np.int32),
        "shuffle_index": np.arange(len(begins) - 1, dtype=np.uint32),
        "dataset_index": np.zeros(len(blend), np.int16),
        "dataset_sample_index": np.array(blend, np.int64),
    }
    (stage / "index").mkdir(parents=True)
    for name, array in arrays.items():
        np.save(stage / "index" / f"{name}.npy", array)
    files = {name: f"{name}.npy" for name in arrays}
    dataset = {"name": "pages", "share": 1.0, **{name: files.pop(name) for name in list(arrays)[:3]}}
    record = {"sequence_length": 8, "global_batch_size": 1, "steps": len(blend), **files, "datasets": [dataset]}
    (stage / "index" / "blend.json").write_text(json.dumps(record))
    inputs = {"dataset/pages": {"identity": "", "made_by": made}}
    manifest = {"page": "train/tiny", "stage": "stable", "do": "train", "fingerprint": "0123456789ab", "inputs": inputs}
    (stage / "manifest.json").write_text(json.dumps(manifest))


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
    assert [entry["verdict"] for entry in told] == ["kept", "dropped"]  # the newest first
    clean = {"stage": f"{PAGE}/clean", "key": "filters.length.min_words", "a": 20, "b": 50}
    assert [entry["differs"] for entry in told] == [[], [clean]]
    shown = ask(copy, SHORT).output
    assert f"made with {PAGE}/clean filters.length.min_words: 50 (above: 20)" in shown
    assert "the same as above" not in shown
    alike = ask(copy, KEPT).output
    assert alike.count("made with ") == alike.count("every stage told the same as above") == 1
    assert alike.count(" tokenized ") == 1


def test_another_way_of_making_what_a_stage_reads_is_told_too(dataset: Path, tmp_path: Path) -> None:
    """Signatures are not on the way of a document."""
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    curate(copy, "stages.dedup.num_bands=19", "stages.extract.min_chars=150")
    [newest, other] = json.loads(ask(copy, KEPT, "--json").output)["documents"]
    assert newest["differs"] == []
    keys = {(row["stage"].rpartition("/")[2], row["key"]): (row["a"], row["b"]) for row in other["differs"]}
    assert keys[("extract", "min_chars")] == (150, 200)
    assert keys[("dedup_signatures", "num_bands")] == (19, 20)


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
