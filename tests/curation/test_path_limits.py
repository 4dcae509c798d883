"""What graphs leave out of a question's traces, who may read samples, and that a question is held out whole."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curation.tokens.write import split_of
from recipes.manifest import read_manifest
from recipes.stage import Stage
from tests.curation.small_page import documents, record_stages, run
from tests.slurm.dataset import write_tokenizer

COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a", "samples": "samples"}
FORMAT = {"do": "format", "template": "question_answer", "keep": ["question", "samples"]}
PATHS: dict[str, dict[str, Any]] = {"graphs": {"do": "build_graphs"}, "paths": {"do": "sample_paths"}}
VERIFIED: dict[str, Any] = {"do": "keep_verified", "template": "short_cot"}
RIGHT = "Let n be the number.\n2 + 3 = 5.\nSo 5 times 4 = 20.\nThe answer is $\\boxed{20}$."
OTHER = "First of all I add.\n2 + 3 = 5.\nThen 4 of these 5 are 20.\nThe answer is $\\boxed{20}$."
WRONG = "Let n be the number.\n2 + 3 = 6.\nSo 6 times 4 = 24.\nThe answer is $\\boxed{24}$."


def row(*samples: Any, q: str = "How many are there?") -> dict[str, Any]:
    return {"q": q, "a": "20", "samples": list(samples)}


def made(folder: Path, rows: list[dict[str, Any]], spec: dict[str, dict[str, Any]]) -> dict[str, Stage]:
    write_tokenizer(folder / "tokenizer")
    planned = record_stages(folder, rows, COLUMNS, {"format": FORMAT} | spec, tokenizer=str(folder / "tokenizer"))
    run(planned)
    return planned


def counts(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = read_manifest(stage.folder)["counts"]
    return found


def test_a_trace_that_was_cut_off_makes_no_dead_ends(tmp_path: Path) -> None:
    cut = {"text": "Let n be the number.\n4 times 5 is\nThen 20", "finish": "length"}
    planned = made(tmp_path, [row(cut, RIGHT, WRONG), row(cut)], PATHS)
    assert counts(planned["graphs"])["traces"] == {"unfinished": 2, "right": 1, "wrong": 1}
    assert counts(planned["graphs"])["details"]["build_graphs"] == {"no_traces": 1}
    texts = [doc["text"] for doc in documents(planned["paths"])]
    assert len(texts) == 2
    assert any("2 + 3 = 6." in text for text in texts)
    assert not any("4 times 5" in text for text in texts)


def test_traces_beyond_the_steps_of_a_question_are_left_out_and_shorter_ones_go_on(tmp_path: Path) -> None:
    long = "\n".join(f"{number} is more than {number - 1}." for number in range(100, 105)) + "\nIt is \\boxed{20}."
    spec = {"graphs": {"do": "build_graphs", "max_steps": 8}}
    planned = made(tmp_path, [row(RIGHT, long, OTHER)], spec)
    assert counts(planned["graphs"])["traces"] == {"right": 2, "beyond_max_steps": 1}
    kinds = pq.read_table(planned["graphs"].folder / "nodes" / "00000.parquet")["text"].to_pylist()
    assert not any("is more than" in text for text in kinds)


def test_samples_that_are_plain_texts_make_the_graphs_of_those_that_are_objects(tmp_path: Path) -> None:
    asked = [row(RIGHT, WRONG), row({"text": RIGHT, "finish": "stop"}, {"text": WRONG})]
    graphs = [doc["graph"] for doc in documents(made(tmp_path, asked, PATHS)["graphs"])]
    assert len(graphs) == 2
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"v": VERIFIED, "g": {"do": "build_graphs"}}, r"'g' \(build_graphs\) reads samples, and 'v' before it has used them up"),
        ({"g": {"do": "build_graphs"}, "v": VERIFIED}, r"'v' \(keep_verified\) reads samples, and 'g' before it has used them"),
        (
            {"g": {"do": "build_graphs"}, "h": {"do": "build_graphs"}},
            "and 'g' before it has used them up; leave one of the two out",
        ),
    ],
)
def test_samples_are_used_by_one_stage(tmp_path: Path, spec: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_stages(tmp_path, [], COLUMNS, {"format": FORMAT} | spec)


def test_nothing_is_masked_behind_paths_with_special_tokens(tmp_path: Path) -> None:
    marked = {"do": "sample_paths", "special_tokens": {"step_end": "<|step|>"}}
    mask = {"do": "decontaminate", "benchmarks": {"x": "x.jsonl"}, "on_hit": "mask"}
    with pytest.raises(ValueError, match=r"'mask' \(decontaminate\) writes into texts behind 'paths'.*; give it `on_hit: drop`"):
        record_stages(tmp_path, [], COLUMNS, {"format": FORMAT} | PATHS | {"paths": marked, "mask": mask}, tokenizer="any")


def test_a_question_is_held_out_in_all_of_its_documents_and_in_all_datasets_of_its_share(tmp_path: Path) -> None:
    rows = [row(RIGHT, OTHER, WRONG, q=f"How many are there of {number}?") for number in range(30)]
    tokenize = {"do": "tokenize", "validation_share": 0.4}
    spec = {"paths": PATHS | {"t": tokenize}, "verified": {"v": VERIFIED, "t": tokenize}, "plain": {"t": tokenize}}
    held_out = {}
    for name, stages in spec.items():
        (tmp_path / name).mkdir()
        splits: dict[str, set[str]] = {"train": set(), "validation": set()}
        planned = made(tmp_path / name, rows, stages)
        table = pq.read_table(planned["t"].folder / "docs.parquet").to_pylist()
        assert len(table) == {"paths": 150, "verified": 60, "plain": 30}[name]
        for line in table:
            splits[line["split"]].add(line["id"].split("/")[0])
        assert not splits["train"] & splits["validation"]
        held_out[name] = splits["validation"]
    assert held_out["paths"] == held_out["verified"] == held_out["plain"]
    assert held_out["plain"] == {f"doc{n}" for n in range(30) if split_of(f"doc{n}", 0.4) == "validation"}
    assert 0 < len(held_out["plain"]) < 30
