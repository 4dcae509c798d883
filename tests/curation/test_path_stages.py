"""From recorded traces to tokens: graphs, paths, and the one door by which special tokens become ids."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation.tokens.tokenizer import DocumentTokenizer
from recipes.load import load
from recipes.manifest import read_manifest
from recipes.report.make import render
from recipes.schema import TrainRecipe
from recipes.stage import Stage
from slurm.path_stages import misplaced_marks
from tests.curation.small_page import documents, outputs, record_stages, run
from tests.slurm.dataset import write_tokenizer

COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a", "samples": "samples"}
FORMAT = {"do": "format", "template": "question_answer", "keep": ["question", "samples"]}
GRAPHS: dict[str, Any] = {"do": "build_graphs"}
RIGHT = "Let n be the number.\n2 + 3 = 5.\nSo 5 times 4 = 20.\nThe answer is $\\boxed{20}$."
OTHER = "First of all I add.\n2 + 3 = 5.\nThen 4 of these 5 are 20.\nThe answer is $\\boxed{20}$."
WRONG = "Let n be the number.\n2 + 3 = 6.\nSo 6 times 4 = 24.\nThe answer is $\\boxed{24}$."
TURNED: dict[str, Any] = {
    "text": f"{WRONG}\nWait, 2 + 3 is 5.\nSo 5 times 4 = 20.\nThat is 20.",
    "turn": [len(WRONG), len("Let n be the number.")],
}
MARKS = {"reasoning_start": "<|go|>", "reasoning_end": "<|stop|>", "reasoning_backtrack": "<|back|>", "step_end": "<|step|>"}


def row(*texts: str | dict[str, Any], q: str = "How many are there?", a: Any = "20") -> dict[str, Any]:
    samples = [{"finish": "stop", "tokens": 9, **(text if isinstance(text, dict) else {"text": text})} for text in texts]
    return {"q": q, "a": a, "samples": samples}


def page(folder: Path, rows: list[dict[str, Any]], paths: dict[str, Any] | None = None, **spec: dict[str, Any]) -> Any:
    folder.mkdir(exist_ok=True)
    if not (folder / "tokenizer").exists():
        write_tokenizer(folder / "tokenizer")
    stages = {"format": FORMAT, "graphs": GRAPHS, "paths": {"do": "sample_paths", **(paths or {})}} | spec
    return record_stages(folder, rows, COLUMNS, stages, tokenizer=str(folder / "tokenizer"))


def made(
    folder: Path, rows: list[dict[str, Any]], paths: dict[str, Any] | None = None, **spec: dict[str, Any]
) -> dict[str, Stage]:
    planned: dict[str, Stage] = page(folder, rows, paths, **spec)
    run(planned)
    return planned


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    rows = [row(RIGHT, OTHER, WRONG, TURNED), row(RIGHT, WRONG), row(WRONG, WRONG), row(RIGHT, a="proof"), row()]
    return made(tmp_path_factory.mktemp("plain"), rows, {"paths_per_question": 50})


def test_paths_cross_traces_and_some_go_astray_and_come_back(plain: dict[str, Stage]) -> None:
    docs = [doc for doc in documents(plain["paths"]) if doc["question_id"] == "doc0"]
    assert {doc["backtracks"] for doc in docs} == {0, 1}
    texts = {doc["text"].removeprefix("How many are there?\n") for doc in docs}
    crossed = "Let n be the number.\n2 + 3 = 5.\nThen 4 of these 5 are 20.\nThe answer is $\\boxed{20}$."
    astray = (
        "Let n be the number.\n2 + 3 = 6.\nSo 6 times 4 = 24.\nThat does not lead to the answer. Back to: Let n be the number."
    )
    assert {RIGHT, OTHER, crossed} <= texts
    assert any(text.startswith(f"{astray}\n2 + 3 = 5.\n") for text in texts)
    assert TURNED["text"] in texts  # the way back is the trace's own, and it is as long as it was
    assert docs[0]["possible_paths"] == ["6", "5", "0"]
    assert len({doc["id"] for doc in docs}) == len(docs) == 11
    told = next(doc for doc in docs if doc["text"].endswith(TURNED["text"]))
    assert [told["path"][place] for place in told["steps_back"]] == [2]


def test_questions_without_a_graph_are_dropped_for_what_they_lack(plain: dict[str, Stage]) -> None:
    counts = read_manifest(plain["graphs"].folder)["counts"]
    assert counts["details"]["build_graphs"] == {"answer_unreachable": 1, "no_expected_answer": 1, "no_traces": 1}
    assert counts["traces"] == {"right": 3, "turned": 1, "wrong": 4}
    assert counts["graphs"]["questions"] == 2
    assert counts["graphs"]["turns"] == 1


def test_every_node_is_in_the_statistics(plain: dict[str, Stage]) -> None:
    table = pq.read_table(plain["graphs"].folder / "nodes" / "00000.parquet").to_pylist()
    counts = read_manifest(plain["graphs"].folder)["counts"]["graphs"]
    assert len(table) == counts["nodes"]
    assert sum(node["out_degree"] for node in table) == sum(node["in_degree"] for node in table) == counts["edges"]
    assert {node["question_id"] for node in table} == {"doc0", "doc1"}
    (answer,) = (node for node in table if node["kind"] == "answer" and node["question_id"] == "doc1")
    assert (answer["distance_to_question"], answer["distance_to_answer"], answer["out_degree"]) == (5, 0, 0)
    assert {node["text"] for node in table if node["kind"] == "wrong"} >= {"2 + 3 = 6.", "So 6 times 4 = 24."}


def test_the_same_page_makes_the_same_bytes_and_another_seed_other_paths(tmp_path: Path) -> None:
    rows = [row(RIGHT, OTHER, WRONG, q=f"How many, {number}?") for number in range(20)]
    first, again = (made(tmp_path / name, rows, {"paths_per_question": 2}) for name in ("one", "two"))
    assert [entry["sha256"] for entry in outputs(first["paths"])] == [entry["sha256"] for entry in outputs(again["paths"])]
    assert len({tuple(doc["path"]) for doc in documents(first["paths"])}) > 3


def test_one_more_path_a_question_keeps_the_graphs(tmp_path: Path) -> None:
    few, more = (page(tmp_path, [row(RIGHT)], {"paths_per_question": number}) for number in (1, 2))
    assert few["graphs"].fingerprint == more["graphs"].fingerprint
    assert few["paths"].fingerprint != more["paths"].fingerprint


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_reasoning_tokens": len(RIGHT)}, "long_reasoning"),
        ({"max_tokens": len(f"How many are there?\n{RIGHT}")}, "too_long"),
        ({"max_reasoning_tokens": len(RIGHT) + 1, "max_tokens": len(f"How many are there?\n{RIGHT}") + 1}, ""),
    ],
)
def test_paths_have_fewer_tokens_than_the_page_says(tmp_path: Path, limits: dict[str, int], reason: str) -> None:
    planned = made(tmp_path, [row(RIGHT)], limits)
    counts = read_manifest(planned["paths"].folder)["counts"]
    assert counts.get("details", {}).get("sample_paths", {}) == ({reason: 1} if reason else {})
    assert counts["documents_out"] == (0 if reason else 1)


def test_what_are_no_samples_is_dropped_and_counted(tmp_path: Path) -> None:
    turns: list[Any] = [[1, 2], [9, 1], ["a", 1], 1, [1], [True, False]]
    bad = [
        "no list",
        {"text": "x"},
        [7],
        [{"finish": "stop"}],
        [{"text": None}],
        *([{"text": "ab", "turn": turn}] for turn in turns),
    ]
    bad.append(None)
    planned = made(tmp_path, [row(RIGHT), *(row() | {"samples": samples} for samples in bad)])
    counts = read_manifest(planned["graphs"].folder)["counts"]
    assert counts["details"] == {"build_graphs": {"bad_samples": len(bad)}}
    kinds = {"there are none": 1, "samples is a str, not a list": 1, "samples is a dict, not a list": 1}
    assert counts["bad_samples"] == kinds | {"a sample has no text": 3, "a turn lies outside its text": 6}
    assert counts["documents_out"] == 1


def test_odd_traces_make_no_trouble(tmp_path: Path) -> None:
    odd = [
        "",
        " \n",
        "NaN",
        "20",
        "求 x 的值 🙂\n所以 x = 20",
        "\\boxed{20}",
        "x" * 5_000,
        {"text": "2 + 3 = 5.\nSo 5 tim", "finish": "length"},
    ]
    planned = made(tmp_path, [row(*odd, RIGHT, q="Wie viele? 求 🙂"), row("\\boxed{20}")], {"paths_per_question": 50})
    texts = [doc["text"] for doc in documents(planned["paths"])]
    assert "Wie viele? 求 🙂\n求 x 的值 🙂\n所以 x = 20" in texts
    assert "How many are there?\n\\boxed{20}" in texts
    assert not any("So 5 tim" in text and "times" not in text for text in texts)


def test_the_report_tells_of_graphs_and_paths(plain: dict[str, Stage]) -> None:
    shown = render("plain", [stage.folder for stage in plain.values()])
    assert "Graphs of the questions" in shown
    assert "graphs: traces by what became of them" in shown
    assert "paths: paths by their steps back" in shown


# ------------------------------------------------------------------------------------------- special tokens


def test_special_tokens_are_single_ids_where_the_stage_put_them_and_text_elsewhere(tmp_path: Path) -> None:
    literal = RIGHT.replace("Let n", "Let <|end|> and n")
    rows = [row(RIGHT, WRONG), row(RIGHT, q="Why <|go|>?"), row(literal)]
    tokens = {"do": "tokenize"}
    planned = made(tmp_path, rows, {"special_tokens": MARKS}, tokenize=tokens)
    counts = read_manifest(planned["paths"].folder)["counts"]
    assert counts["details"]["sample_paths"] == {"special_token": 2}
    details = read_manifest(planned["tokenize"].folder)["details"]
    assert details["special_tokens"] == {"<|go|>": 257, "<|stop|>": 258, "<|back|>": 259, "<|step|>": 260}
    assert details["vocab_size"] == 261
    (plain_doc, astray) = documents(planned["paths"])
    assert astray["text"].count("<|back|>") == 1
    ids = np.fromfile(planned["tokenize"].folder / "train.bin", np.uint16).tolist()
    assert [ids.count(number) for number in range(256, 261)] == [2, 2, 2, 1, 4 + 6]
    text = plain_doc["text"]
    for token in MARKS.values():
        text = text.replace(token, "#")
    assert len(ids[: ids.index(256)]) == len(text)  # of bytes, each special token one


def test_other_pages_take_special_tokens_for_text(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    opened = DocumentTokenizer(tmp_path / "tokenizer")
    assert len(opened.encode(["<|end|> <|go|>"]).tokens) == len("<|end|> <|go|>") + 1
    assert "special_tokens" not in opened.describe()


def test_a_marked_text_has_the_ids_that_the_extended_tokenizer_gives(tmp_path: Path) -> None:
    from tokenizers import AddedToken, Tokenizer

    write_tokenizer(tmp_path / "tokenizer")
    marks = ("<|go|>", "<|go|>on", "<|stop|>")
    extended = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    extended.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    opened = DocumentTokenizer(tmp_path / "tokenizer", end_of_text=False, marks=marks)
    texts = ["", "<|go|>", "a <|go|>on b<|stop|><|go|>", "<|go|> ü 🙂 <|stop|> \n", "plain", "<|go |>"]
    encoded = opened.encode(texts)
    assert [ids.tolist() for ids in encoded.documents()] == [
        extended.encode(text, add_special_tokens=False).ids for text in texts
    ]
    assert opened.marks == {"<|go|>": 257, "<|go|>on": 258, "<|stop|>": 259}


def test_tokens_that_the_tokenizer_has_keep_their_ids(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    assert DocumentTokenizer(tmp_path / "tokenizer", marks=("<|new|>", "<|end|>")).marks == {"<|new|>": 257, "<|end|>": 256}
    with pytest.raises(ValueError, match="'a' is an ordinary token of the tokenizer; choose another one"):
        DocumentTokenizer(tmp_path / "tokenizer", marks=("a",))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"paths": {"do": "sample_paths"}}, r"'paths' draws paths from graphs; put a stage `\{do: build_graphs\}` before it"),
        (
            {"graphs": GRAPHS, "paths": {"do": "sample_paths", "special_tokens": MARKS}, "clean": {"do": "clean"}},
            "'clean' .* writes into texts behind 'paths', whose special tokens must stay",
        ),
        (
            {"graphs": GRAPHS, "paths": {"do": "sample_paths", "special_tokens": {"begin": "<|x|>"}}},
            "special_tokens has no role 'begin'; the roles are reasoning_start",
        ),
        (
            {"graphs": GRAPHS, "paths": {"do": "sample_paths", "special_tokens": {"step_start": "<|x|>", "step_end": "<|x|>"}}},
            "stands there twice",
        ),
        (
            {"graphs": GRAPHS, "paths": {"do": "sample_paths", "special_tokens": MARKS, "think_tags": True}},
            "think_tags and special_tokens both mark the reasoning",
        ),
        (
            {"graphs": GRAPHS, "clean": {"do": "decontaminate", "benchmarks": {"x": "x.jsonl"}}, "paths": {"do": "sample_paths"}},
            "makes other text behind 'clean', which would not be decontaminated",
        ),
    ],
)
def test_mistakes_on_the_page_are_told_before_anything_runs(tmp_path: Path, spec: dict[str, Any], message: str) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match=message):
        record_stages(tmp_path, [row(RIGHT)], COLUMNS, {"format": FORMAT, **spec}, tokenizer=str(tmp_path / "tokenizer"))


def test_paths_want_a_tokenizer_and_traces_want_to_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="counts with the page's `tokenizer`, which is not set"):
        record_stages(tmp_path, [row(RIGHT)], COLUMNS, {"format": FORMAT, "g": GRAPHS, "p": {"do": "sample_paths"}})
    with pytest.raises(ValueError, match=r"reads samples, and no stage before it leaves any"):
        page(tmp_path, [row(RIGHT)], format=FORMAT | {"keep": ["question"]})


def test_steps_are_named_and_a_step_back_names_its_goal(tmp_path: Path) -> None:
    tokens = {
        "name_start": "<|n|>",
        "name_end": "<|/n|>",
        "reflection_start": "<|r|>",
        "reflection_end": "<|/r|>",
        "reasoning_continue": "<|c|>",
    }
    planned = made(tmp_path, [row(RIGHT, WRONG)], {"special_tokens": tokens, "going_back": "Back to step {step}!"})
    astray = next(doc["text"] for doc in documents(planned["paths"]) if doc["backtracks"])
    assert astray.splitlines()[1:5] == [
        "<|n|>1<|/n|>Let n be the number.<|c|>",
        "<|n|>2<|/n|>2 + 3 = 6.<|c|>",
        "<|n|>3<|/n|>So 6 times 4 = 24.<|r|>Back to step 1!<|/r|>",
        "<|n|>4<|/n|>2 + 3 = 5.<|c|>",
    ]


def test_a_train_page_must_name_the_tokens_of_its_data_in_their_order(tmp_path: Path) -> None:
    marks = "{" + ", ".join(f"{role}: {json.dumps(token)}" for role, token in MARKS.items()) + "}"
    marked, unmarked = load("curate/demo_paths", (f"stages.paths.special_tokens={marks}",)), load("curate/demo_paths")

    def problems(page: object, *tokens: str) -> list[str]:
        recipe = load("train/demo", (f"special_tokens={list(tokens)}",))
        assert isinstance(recipe, TrainRecipe)
        return list(misplaced_marks(recipe, defaultdict(lambda: page), tmp_path))

    named = tuple(MARKS.values())
    assert problems(marked, *named, "<|more|>") == []
    for tokens in ((), named[::-1], ("<|more|>", *named), named[:2]):
        found = problems(marked, *tokens)
        assert found
        assert all("begin the list of the train page with them" in problem for problem in found)
    assert problems(unmarked) == problems(unmarked, "<|more|>") == []
