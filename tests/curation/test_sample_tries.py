"""What the sample says of its recorded tries and long traces is true, and the demo's pages keep and drop exactly that."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from curation.filters.scripts import ScriptsFilter
from curation.sample.thinking import FLAWS, TOPIC_CODES
from curation.selection.topic_list import find_topics, read_topics
from curation.shards import read_shard
from recipes import schema
from recipes.final_answer import boxed, final_answer, same_by_text
from recipes.grading import Grader
from recipes.manifest import read_manifest
from recipes.pass_at_k import pass_at_k
from recipes.report.make import render
from recipes.stage import Stage
from slurm.plan import plan
from tests.curation.sample_files import read_lines
from tests.curation.small_page import documents, run

SIZES = (
    "demo_data:stages.sample.num_pages=100",
    "demo_data:stages.sample.num_problems=120",
    "max_unreadable_records=0.2",
)
SOLVED = ("right", "repeated", "mixed", "unboxed")
DROPS = {  # of a long trace with a flaw: the stage, the reason
    "wrong": ("check_answers", "check_answers"),
    "mixed": ("filter", "scripts"),
    "circling": ("filter", "hesitation"),
    "endless": ("filter", "tokens"),
    "pictured": ("filter", "problem_format"),
    "no_topic": ("topics", "topic_missing"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Stage]:
    """The stages of both pages, by page and name, finished up to their tokens."""
    root = tmp_path_factory.mktemp("results")
    stages: dict[tuple[str, str], Stage] = {}
    for page in ("curate/demo_short_cot", "curate/demo_long_cot"):
        planned = plan(page, (*SIZES, f"root={root}"))
        assert not planned.problems
        wanted = [stage for stage in planned.stages if stage.do in KINDS]
        run({f"{stage.page}/{stage.name}": stage for stage in wanted})
        stages |= {(stage.page.removeprefix("curate/demo_"), stage.name): stage for stage in wanted}
    return stages


KINDS = (
    *("sample", "format", "check_answers", "features", "filter", "drop_solved", "label_topic", "keep_verified", "pass_at_k"),
    *("dedup_signatures", "dedup_candidates", "dedup_pairs", "dedup_clusters", "dedup", "decontaminate"),
    *("select_keys", "select_choice", "select"),
)


@pytest.fixture(scope="module")
def truths(made: dict[tuple[str, str], Stage]) -> dict[str, dict[str, Any]]:
    return {truth["id"]: truth for truth in read_lines(made["data", "sample"].folder / "tries.jsonl")}


def rows(made: dict[tuple[str, str], Stage], name: str) -> dict[str, dict[str, Any]]:
    """The records of a file that are no dirt, by id."""
    found = {}
    for line in (made["data", "sample"].folder / name / f"{name}.jsonl").read_bytes().splitlines():
        try:
            row = json.loads(line.decode())
        except (UnicodeDecodeError, json.JSONDecodeError):
            continue
        if row["answer"]:
            found[row["id"]] = row
    return found


def tries(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any], str, list[str]]]:
    """(kind, sample, answer, texts of the right ones before it) of all tries."""
    for name in ("short_cot", "long_cot"):
        for row in (row for row in rows(made, name).values() if row["id"] in truths):
            before: list[str] = []
            for kind, sample in zip(truths[row["id"]]["tries"], row["samples"], strict=True):
                yield kind, sample, row["answer"], before
                before = [*before, sample["text"]] if kind == "right" else before


def test_every_kind_of_try_is_what_it_is_called(made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]) -> None:
    scripts = ScriptsFilter(schema.ScriptsFilter())
    seen: Counter[str] = Counter()
    with Grader() as grader:
        for kind, sample, answer, before in tries(made, truths):
            text = sample["text"]
            seen[kind] += 1
            assert grader.grade(text, answer).is_correct == (kind in SOLVED), (kind, text)
            assert bool(boxed(text)) == (kind not in ("unboxed", "unfinished")), (kind, text)
            assert (scripts.filter(Document(text=text, id="")) is True) == (kind != "mixed"), (kind, text)
            assert sample["finish"] == ("length" if kind == "unfinished" else "stop")
            same = [" ".join(text.split()) == " ".join(other.split()) for other in before]
            assert any(same) == (kind == "repeated"), (kind, text)
    assert seen.keys() == {*SOLVED, "wrong", "unfinished"}
    counted = json.loads((made["data", "sample"].folder / "truth.json").read_bytes())["planted"]
    assert seen == Counter(counted["short_cot"]["tries"]) + Counter(counted["long_cot"]["tries"])


def test_wrong_tries_go_the_way_of_right_ones_up_to_their_mistake(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]
) -> None:
    shared: Counter[bool] = Counter()
    for row in rows(made, "long_cot").values():
        by_kind = defaultdict(set)
        for kind, sample in zip(truths[row["id"]]["tries"], row["samples"], strict=True):
            by_kind[kind].update(sample["text"].splitlines())
        if by_kind["right"] and by_kind["wrong"]:
            shared[bool(by_kind["right"] & by_kind["wrong"])] += 1
            assert all(not same_by_text(final_answer(line), row["answer"]) for line in by_kind["wrong"] if "boxed" in line)
    assert shared[True] > 5 * shared[False]


def test_the_short_page_keeps_the_different_right_tries_of_problems_that_are_neither_too_hard_nor_too_easy(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]
) -> None:
    verified = made["short_cot", "verified"]
    kept = Counter(doc["question_id"] for doc in documents(verified) if doc["question_id"] in truths)
    reasons: Counter[str] = Counter()
    solved: Counter[int] = Counter()
    for row in rows(made, "short_cot").values():
        if row["id"] not in truths:
            continue
        kinds = truths[row["id"]]["tries"]
        num_solved = sum(kind in SOLVED for kind in kinds)
        solved[num_solved] += 1
        if num_solved in (0, len(kinds)) or "right" not in kinds:
            reasons["unsolved" if not num_solved else "too_easy" if num_solved == len(kinds) else "never_in_form"] += 1
            assert row["id"] not in kept
        else:
            assert kept[row["id"]] == min(2, kinds.count("right")), kinds
    dropped = dropped_documents(verified, "keep_verified")
    assert Counter(doc.metadata["dropped_because"] for doc in dropped if doc.id in truths) == reasons
    assert reasons.keys() == {"unsolved", "too_easy", "never_in_form"}
    table = read_manifest(made["short_cot", "verified_pass_at_k"].folder)["details"]["pass_at_k"]
    true = sum(pass_at_k(4, right, 2) * number for right, number in solved.items()) / solved.total()
    assert table["2"]["low"] < true < table["2"]["high"]
    assert table["4"]["prompts"] == read_manifest(verified.folder)["counts"]["documents_in"]


def dropped_documents(stage: Stage, reason: str) -> list[Document]:
    return [doc for shard in sorted((stage.folder / "dropped" / reason).glob("*.parquet")) for doc in read_shard(shard)]


def test_preference_pairs_put_right_tries_before_wrong_ones(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]
) -> None:
    pairs = [pair for file in sorted((made["short_cot", "verified"].folder / "pairs").iterdir()) for pair in read_lines(file)]
    samples = rows(made, "short_cot")
    ranks = {"wrong": 0, "unfinished": 0, "mixed": 1, "unboxed": 1, "right": 2, "repeated": 2}
    compared = 0
    for pair in (pair for pair in pairs if pair["id"] in truths):
        told = zip(truths[pair["id"]]["tries"], samples[pair["id"]]["samples"], strict=True)
        kinds = {sample["text"].strip(): kind for kind, sample in told}
        assert ranks[kinds[pair["chosen"]]] > ranks[kinds[pair["rejected"]]]
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("flaw", list(DROPS))
def test_long_traces_are_dropped_for_their_flaw_and_for_nothing_else(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]], flaw: str
) -> None:
    stage, reason = DROPS[flaw]
    planted = {truth["id"] for truth in truths.values() if truth.get("flaw") == flaw}
    found = {doc.id for doc in dropped_documents(made["long_cot", stage], reason) if doc.id in truths}
    if flaw == "no_topic":  # most of those that the weak solver solves are gone by then
        planted = {id_ for id_ in planted if truths[id_]["attempt"] == "wrong"}
    assert found == planted
    assert set(FLAWS.values()) == DROPS.keys()


def test_what_the_weak_solver_solves_is_dropped_and_the_rest_is_drawn_from_all_topics(
    made: dict[tuple[str, str], Stage], truths: dict[str, dict[str, Any]]
) -> None:
    before = {doc["id"] for doc in documents(made["long_cot", "decontaminate"])}
    unsolved = {doc["id"] for doc in documents(made["long_cot", "unsolved"])}
    assert unsolved == {id_ for id_ in before if id_ not in truths or truths[id_]["attempt"] == "wrong"}
    docs = documents(made["long_cot", "select"])
    topics = {id_: row["topic"] for id_, row in rows(made, "long_cot").items()}
    assert all(doc["topic"] == topics[doc["id"]] for doc in docs if doc["id"] in truths)
    assert {doc["id"] for doc in docs if doc["id"] in truths} <= unsolved
    assert set(TOPIC_CODES.values()) <= read_topics(Path(find_topics("msc2020"))).keys()


def test_the_report_shows_the_funnel_and_pass_at_k(made: dict[tuple[str, str], Stage]) -> None:
    page = render("curate/demo_short_cot", [stage.folder for (name, _), stage in made.items() if name == "short_cot"])
    assert "pass@4" in page
    assert "never in form" in page
