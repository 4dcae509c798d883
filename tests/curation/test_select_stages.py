"""A page that selects as s1 did, from records to the funnel of its report, with servers that know which answers are right."""

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.selection.select import CHOSEN, KEY_SCHEMA, choose
from curation.selection.solved import read_verdict
from curation.selection.topic_list import find_topics, read_topic, read_topics
from recipes.manifest import read_manifest
from recipes.report.funnel import read_datasets
from recipes.report.record import Record
from recipes.schema import DropSolvedStage, SelectStage
from recipes.stage import Stage
from tests.chat_server import ChatServer, Reply, completion, serve
from tests.curation.small_page import documents, outputs, record_stages, run

COLUMNS = {"id": "id", "question": "problem", "thinking": "chain", "answer": "answer", "origin": "origin", "given": "given"}
PROBLEM = re.compile(r"<problem>\n(.*)\n</problem>", re.DOTALL)
KEEP = ["question", "thinking", "origin", "given"]
FORMAT = {"do": "format", "template": "long_cot", "keep": KEEP}
TOPICS = ("11", "05", "51")


def record(number: int, **more: Any) -> dict[str, Any]:
    """Chains are longer, the higher the number; every answer is right."""
    chain = f"Add them. {'So it goes. ' * number}The answer is \\boxed{{{number + 1}}}."
    return {"problem": f"What is {number} + 1?", "chain": chain, "answer": str(number + 1), "origin": "web", "given": None} | more


def number_of(prompt: str) -> int:
    found = PROBLEM.search(prompt)
    assert found is not None
    return int(found[1].split()[2])


def reply(body: dict[str, Any]) -> Reply:
    """`small` solves every second question, `large` every third, each writing the answer in a form of its own; `topics` says 11,
    05 and 51 in turn."""
    prompt = body["messages"][-1]["content"]
    number = number_of(prompt)
    if body["model"] == "topics":
        return completion(f"It needs this.\nTopic: {TOPICS[number % 3]} (of the list)")
    solves = number % {"small": 2, "large": 3}[body["model"]] == 0
    return completion(f"Well, \\boxed{{{number + 1}.0}}." if solves else "It is \\boxed{-1}.")


def endpoint(url: str, model: str) -> dict[str, Any]:
    return {"model": model, "base_url": url, "concurrency": 4, "pause_seconds": 0.01}


def selecting(url: str, **select: Any) -> dict[str, dict[str, Any]]:
    return {
        "format": FORMAT,
        "quality": {"do": "filter", "filters": {"problem_format": {}}},
        "small": {"do": "drop_solved", "solver": endpoint(url, "small")},
        "large": {"do": "drop_solved", "solver": endpoint(url, "large")},
        "topics": {"do": "label_topic", "endpoint": endpoint(url, "topics")},
        "select": {"do": "select", "total": 6, "trace": "thinking"} | select,
    }


def selected(folder: Path, rows: list[dict[str, Any]], **select: Any) -> tuple[dict[str, Stage], ChatServer]:
    with serve(reply) as server:
        planned = record_stages(folder, rows, COLUMNS, selecting(server.url, **select))
        run(planned)
    return planned, server


def counts(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = read_manifest(stage.folder)["counts"]
    return found


def test_the_whole_road_from_records_to_the_funnel(tmp_path: Path) -> None:
    rows = [record(n) for n in range(60)] + [record(61, problem="What is 61 + 1? ![Image](a.png)")]
    planned, server = selected(tmp_path, rows)
    steps = read_datasets([Record(stage.folder, read_manifest(stage.folder)) for stage in planned.values()])[0].steps
    assert [(step.name, step.documents_in, step.documents_out) for step in steps] == [
        ("format", 61, 61), ("quality", 61, 60), ("small", 60, 30), ("large", 30, 20), ("topics", 20, 20), ("select", 20, 6)
    ]  # fmt: skip
    assert counts(planned["quality"])["details"]["problem_format"] == {"image": 1}
    assert counts(planned["small"])["solving"] == {"solved": 30, "unsolved": 30}
    assert counts(planned["select"])["dropped"]["not_selected"]["documents"] == 14
    asked = Counter(body["model"] for body in server.bodies)
    assert asked == {"small": 60, "large": 30, "topics": 20}  # the second model is asked about what the first one left
    hard = {n for n in range(60) if n % 2 and n % 3}
    docs = documents(planned["select"])
    assert {number_of(f"<problem>\n{doc['question']}\n</problem>") for doc in docs} <= hard
    assert sorted(doc["selected"]["place"] for doc in docs) == [*range(6)]
    assert {doc["topic"] for doc in docs} == {"05", "51"}  # what 11 has is divisible by three, so it was solved
    choice = read_manifest(planned["select_choice"].folder)
    assert choice["counts"]["topics"]["05"]["candidates"] == 10
    assert sum(topic["selected"] for topic in choice["counts"]["topics"].values()) == choice["counts"]["ways"]["uniform"] == 6
    lengths = choice["details"]["mean_trace_length"]
    assert lengths["of_selected"] > lengths["of_candidates"]  # long chains are twice as likely as the next


def test_another_total_asks_and_measures_nothing_again_and_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [record(n) for n in range(30)]
    (tmp_path / "again").mkdir()
    planned, server = selected(tmp_path, rows)
    again, _ = selected(tmp_path / "again", rows)
    assert outputs(planned["select"]) == outputs(again["select"])
    asked = server.asked.total()
    with serve(reply) as other:
        fewer = record_stages(tmp_path, rows, COLUMNS, selecting(other.url, total=3))
        run(fewer)
    assert asked == 30 + 15 + 10
    assert other.asked.total() == 0
    assert fewer["select_keys"].folder == planned["select_keys"].folder
    assert len(documents(fewer["select"])) == 3


def test_the_seed_set_is_taken_first_if_its_answers_are_right_and_its_traces_long(tmp_path: Path) -> None:
    rows = [record(n) for n in range(30)]
    rows[1] |= {"origin": "contest/2024"}  # long enough and right
    rows[5] |= {"origin": "contest/2024", "chain": "Long enough, and yet it is \\boxed{77}."}
    rows[7] |= {"origin": "other", "chain": "\\boxed{8}"}
    planned, _ = selected(tmp_path, rows, seed_set={"contest": 20, "other": 50}, origin="origin", total=3)
    docs = documents(planned["select"])
    assert [doc["id"] for doc in docs if doc["selected"]["way"] == "seed_set"] == ["doc1"]
    assert counts(planned["select"])["ways"] == {"seed_set": 1, "uniform": 2}
    told = counts(planned["select_keys"])["seed_set"]
    assert told == {"contest": {"right": 1, "wrong": 1}, "other": {"too_short": 1}}


def keys(folder: Path, rows: list[tuple[str, int, bool, str, int]], num_files: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.parquet" for number in range(num_files)]
    for number, file in enumerate(files):
        mine = [dict(zip(KEY_SCHEMA.names, (*row[:4], number), strict=True)) for row in rows[number::num_files]]
        pq.write_table(pa.Table.from_pylist(mine, KEY_SCHEMA), file)
    return files


def chosen_ids(file: Path) -> list[tuple[str, str]]:
    return [(row["id"], row["way"]) for row in pq.read_table(file / CHOSEN).to_pylist()]


def test_the_number_of_shards_changes_no_selection(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = [(chance.choice("abcd"), chance.randrange(40), chance.random() < 0.05, f"doc{n}", 0) for n in range(200)]
    params = SelectStage(do="select", total=40, uniform_until=30, topic_weights={"a": 2.0, "b": 1.0})
    for num_files in (1, 3):
        files = keys(tmp_path / str(num_files), rows, num_files)
        choose(files, params, tmp_path / f"out{num_files}", seed=11)
    assert chosen_ids(tmp_path / "out1") == chosen_ids(tmp_path / "out3")
    ways = Counter(way for _, way in chosen_ids(tmp_path / "out1"))
    assert ways["weighted"] == 10
    assert ways["seed_set"] + ways["uniform"] == 30
    topics = {row[3]: row[0] for row in rows}
    assert {topics[id_] for id_, way in chosen_ids(tmp_path / "out1") if way == "weighted"} <= {"a", "b"}


def test_when_the_target_s_topics_run_out_the_rest_is_drawn_from_all(tmp_path: Path) -> None:
    rows = [("a" if n < 2 else "b", n, False, f"doc{n}", 0) for n in range(10)]
    params = SelectStage(do="select", total=9, uniform_until=1, topic_weights={"a": 1.0})
    told, _ = choose(keys(tmp_path / "keys", rows, 1), params, tmp_path / "out", seed=1)
    assert sum(told["ways"].values()) == 9
    assert told["topics"]["a"] == {"candidates": 2, "selected": 2}


def test_a_seed_set_larger_than_the_total_is_refused(tmp_path: Path) -> None:
    rows = [("a", n, True, f"doc{n}", 0) for n in range(4)]
    with pytest.raises(ValueError, match="the seed set has 4 documents, more than total=3; ask for longer traces in seed_set"):
        choose(keys(tmp_path / "keys", rows, 1), SelectStage(do="select", total=3), tmp_path / "out", seed=1)


def test_documents_without_a_topic_are_a_mistake_that_is_named(tmp_path: Path) -> None:
    planned = record_stages(tmp_path, [record(1)], COLUMNS, {"format": FORMAT, "select": {"do": "select", "total": 1}})
    with pytest.raises(ValueError, match=r"document 'doc0' has no 'topic' in its metadata.*put a label_topic stage before"):
        run(planned)


# ---------------------------------------------------------------------------------------------------- solved


def solved(folder: Path, rows: list[dict[str, Any]], **spec: Any) -> tuple[set[str], dict[str, Any]]:
    """The ids that were left, and the counts."""
    planned = record_stages(folder, rows, COLUMNS, {"format": FORMAT, "solved": {"do": "drop_solved"} | spec})
    run(planned)
    return {doc["id"] for doc in documents(planned["solved"])}, counts(planned["solved"])


def test_attempts_that_the_records_have_are_graded_without_a_server(tmp_path: Path) -> None:
    rows = [
        record(1, given="Surely \\boxed{2}"),
        record(2, given=["It is 9.", "No, it is 3."]),
        record(3, given=["5"]),
        record(4, given=None),
        record(5, given="6", answer=""),
    ]
    left, told = solved(tmp_path, rows, attempt="given")
    assert left == {"doc2", "doc3", "doc4"}
    assert told["solving"] == {"solved": 2, "unsolved": 1, "no_attempt": 1, "no_expected_answer": 1}
    assert told["details"] == {"solved": {"given": 2}}


def test_a_model_may_be_asked_several_times_until_it_is_right(tmp_path: Path) -> None:
    def seldom(body: dict[str, Any]) -> Reply:
        right = body["seed"] % 3 == 0
        return completion("\\boxed{2}" if right else "\\boxed{0}")

    with serve(seldom) as server:
        left, _ = solved(tmp_path, [record(1)], solver=endpoint(server.url, "m"), samples=3)
    assert left == set()
    assert len({body["seed"] for body in server.bodies}) == server.asked.total() <= 3


def test_a_judge_reads_attempts_that_no_grader_can_compare(tmp_path: Path) -> None:
    def judge(body: dict[str, Any]) -> Reply:
        prompt = body["messages"][-1]["content"]
        if "blue" in prompt:
            return completion("They say the same.\nCorrect: yes")
        return completion("I cannot tell." if "riddle" in prompt else "Another one.\n**Correct: no**")

    rows = [
        record(1, answer="the blue one", given="It is the one that is blue."),
        record(2, answer="three", given="Four."),
        record(3, answer="a riddle", given="Who knows."),
    ]
    with serve(judge) as server:
        left, told = solved(tmp_path, rows, attempt="given", judge=endpoint(server.url, "judge"))
    assert left == {"doc1", "doc2"}
    assert told["solving"] == {"solved": 1, "unsolved": 1, "no_verdict": 1}
    assert told["language_model"]["requests"] == 5  # three tries to get a verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Correct: yes", True),
        ("So.\n**Correct: No**", False),
        ("Correct: yes\nor not", None),
        ("", None),
        ("Correct: maybe", None),
    ],
)
def test_a_verdict_is_read_from_the_last_line_alone(answer: str, verdict: bool | None) -> None:
    assert read_verdict(answer) is verdict


def test_a_solver_and_a_field_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="set either solver"):
        DropSolvedStage(do="drop_solved")


# ---------------------------------------------------------------------------------------------------- topics


def test_the_shipped_list_is_the_classification_s_top_level() -> None:
    topics = read_topics(Path(find_topics("msc2020")))
    assert len(topics) == 63
    assert topics["11"] == "Number theory"


def test_a_topic_is_a_code_of_the_list_on_the_last_line() -> None:
    topics = {"05": "Combinatorics", "11": "Number theory"}
    assert read_topic("It counts.\n**Topic: 05**", topics) == "05"
    assert read_topic("Topic: 11 Number theory", topics) == "11"
    assert read_topic("Topic: 99", topics) is None
    assert read_topic("Topic: 05\nI am not sure.", topics) is None
    assert read_topic("", topics) is None


def test_the_model_is_shown_the_list_and_questions_without_a_topic_are_dropped(tmp_path: Path) -> None:
    def unsure(body: dict[str, Any]) -> Reply:
        return completion("Topic: 11" if number_of(body["messages"][-1]["content"]) == 1 else "No idea.")

    with serve(unsure) as server:
        stage = {"do": "label_topic", "endpoint": endpoint(server.url, "m"), "attempts": 2}
        planned = record_stages(tmp_path, [record(1), record(2)], COLUMNS, {"format": FORMAT, "topics": stage})
        run(planned)
    assert [(doc["id"], doc["topic"]) for doc in documents(planned["topics"])] == [("doc0", "11")]
    assert counts(planned["topics"])["dropped"]["topic_missing"]["documents"] == 1
    assert counts(planned["topics"])["topics"] == {"11 Number theory": 1}
    assert server.asked.total() == 3
    prompt = server.bodies[0]["messages"][-1]["content"]
    assert "\n05 Combinatorics\n" in prompt
    assert "{topics}" not in prompt


@pytest.mark.parametrize(
    ("content", "problem"), [("", "names no topic"), ("a\tA\na\tB\n", "line 2"), ("a A\n", "no new CODE TAB NAME")]
)
def test_a_list_that_is_none_is_refused_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "list.tsv"
    file.write_text(content)
    with pytest.raises(ValueError, match=problem):
        read_topics(file)
