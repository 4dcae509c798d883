"""Rewriting by a language model: chunks go out, faithful answers come back, and a killed rank asks nothing twice."""

import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from curation.book import StageFailed
from recipes.load import load
from recipes.manifest import read_manifest
from recipes.stage import Stage, write_stage
from tests.chat_server import ChatServer, Reply, completion, refusal, serve
from tests.curation.killed_asking import kill_after
from tests.curation.small_page import documents, outputs, run, stages

SOURCE = re.compile(r"<source>\n(.*)\n</source>", re.DOTALL)
TEXT = "Click here to log in.\n\nThe roots of $x^2 - 5x + 6 = 0$ are 2 and 3, for 2 + 3 = 5 and 2 times 3 is 6."


def source_of(body: dict[str, Any]) -> str:
    found = SOURCE.search(body["messages"][-1]["content"])
    assert found is not None
    return found.group(1)


def polish(body: dict[str, Any]) -> Reply:
    """A faithful rewriting: other words around the same mathematics."""
    return completion("We see: " + source_of(body).replace("Click here to log in.\n\n", "").replace("are", "are exactly"))


def page(folder: Path, url: str, texts: list[str], *, shards: int = 1, endpoint: Any = None, **rewrite: Any) -> dict[str, Stage]:
    given = {"model": "tiny", "base_url": url, "concurrency": 4, "pause_seconds": 0.01} | (endpoint or {})
    return stages(folder, texts, {"rewrite": {"do": "rewrite", "endpoint": given} | rewrite}, shards=shards)


def rewritten(
    folder: Path, reply: Callable[[dict[str, Any]], Reply], texts: list[str], **rewrite: Any
) -> tuple[list[dict[str, Any]], dict[str, Any], ChatServer]:
    """The documents, the manifest, and the server."""
    with serve(reply) as server:
        planned = page(folder, server.url, texts, **rewrite)
        run(planned)
    return documents(planned["rewrite"]), read_manifest(planned["rewrite"].folder), server


def test_a_faithful_rewriting_takes_the_texts_place(tmp_path: Path) -> None:
    docs, manifest, server = rewritten(tmp_path, polish, [TEXT])
    assert docs[0]["text"] == (
        "We see: The roots of $x^2 - 5x + 6 = 0$ are exactly 2 and 3, for 2 + 3 = 5 and 2 times 3 is 6."
    )  # fmt: skip
    assert docs[0]["id"] == "doc0"
    assert docs[0]["rewrite"] == {"chunks": 1, "rewritten": 1, "rejected": {}}
    assert manifest["counts"]["rewritten"] == {"whole": 1}
    assert manifest["examples"]["rewritten"][0]["before"] == TEXT
    assert server.bodies[0]["temperature"] == 0.0


def test_chunks_are_rewritten_one_by_one_and_joined_as_they_stood(tmp_path: Path) -> None:
    text = "One is 1.\n\n\nTwo is 2.\n\nThree is 3.\n"
    docs, manifest, server = rewritten(
        tmp_path, lambda body: completion(f"{source_of(body)} Yes."), [text], max_chunk_tokens=3, max_length=3.0
    )
    assert docs[0]["text"] == "One is 1. Yes.\n\n\nTwo is 2. Yes.\n\nThree is 3. Yes.\n"
    assert len(server.asked) == 3
    assert manifest["counts"]["chunks"] == {"rewritten": 3}


def test_a_tokenizer_on_the_page_decides_how_long_chunks_are(tmp_path: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate([*alphabet, "<|end|>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    (tmp_path / "letters").mkdir()
    tokenizer.save(str(tmp_path / "letters" / "tokenizer.json"))
    (tmp_path / "letters" / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    text = "One is 1.\n\nTwo is 2.\n\nThree is 3."
    with serve(lambda body: completion(source_of(body))) as server:
        ask: dict[str, Any] = {
            "rewrite": {"do": "rewrite", "endpoint": {"model": "tiny", "base_url": server.url}, "max_chunk_tokens": 12}
        }
        by_letter = stages(tmp_path, [text], ask, tokenizer=str(tmp_path / "letters"))
        by_guess = stages(tmp_path, [text], ask)
        run(by_letter)
        run(by_guess)
    assert [documents(planned["rewrite"])[0]["rewrite"]["chunks"] for planned in (by_letter, by_guess)] == [3, 1]
    assert by_letter["rewrite"].fingerprint != by_guess["rewrite"].fingerprint


def drop_a_number(body: dict[str, Any]) -> Reply:
    source = source_of(body)
    return completion(source.replace("2", "7") if "Two" in source else source)


def test_a_rejected_chunk_stays_as_it_was(tmp_path: Path) -> None:
    texts = ["One is 1.\n\nTwo is 2.", "Two of 22."]
    docs, manifest, _ = rewritten(tmp_path, drop_a_number, texts, max_chunk_tokens=3)
    assert [doc["text"] for doc in docs] == texts
    assert docs[0]["rewrite"] == {"chunks": 2, "rewritten": 1, "rejected": {"numbers_added": 1}}
    assert manifest["counts"]["rewritten"] == {"kept": 1, "part": 1}
    assert manifest["counts"]["chunks"] == {"rejected_numbers_added": 2, "rewritten": 1}
    assert manifest["examples"]["rejected/numbers_added"][0]["answer"] == "Two is 7."


def test_a_document_with_a_rejected_chunk_goes_when_the_page_says_so(tmp_path: Path) -> None:
    texts = ["One is 1.\n\nTwo is 2.", "Three is 3."]
    docs, manifest, _ = rewritten(tmp_path, drop_a_number, texts, max_chunk_tokens=3, on_reject="drop")
    assert [doc["id"] for doc in docs] == ["doc1"]
    assert manifest["counts"]["dropped"]["rewrite_rejected"]["documents"] == 1
    assert manifest["counts"]["details"]["rewrite_rejected"] == {"numbers_added": 1}
    assert manifest["examples"]["dropped/rewrite_rejected"][0]["text"] == texts[0]


def test_a_rejected_answer_is_asked_for_again_when_the_page_says_so(tmp_path: Path) -> None:
    def better_the_second_time(body: dict[str, Any]) -> Reply:
        return completion("I cannot rewrite this.") if body["temperature"] == 0.0 else polish(body)

    docs, _, server = rewritten(tmp_path, better_the_second_time, [TEXT], attempts=2)
    assert docs[0]["rewrite"]["rewritten"] == 1
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(TEXT, finish="length"), "cut_off"),
        (completion("I'm sorry, but I cannot help with that."), "refusal"),
        (refusal(400, "maximum context length is 100 tokens"), "context_too_long"),
    ],
)
def test_what_the_model_cannot_do_is_counted_by_its_reason(tmp_path: Path, reply: Reply, reason: str) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        return reply if "<source>" in body["messages"][-1]["content"] else completion("Yes.")

    docs, manifest, _ = rewritten(tmp_path, answer, [TEXT])
    assert docs[0]["text"] == TEXT
    assert docs[0]["rewrite"]["rejected"] == {reason: 1}
    assert manifest["counts"]["chunks"] == {f"rejected_{reason}": 1}


def test_cost_is_counted_and_the_budget_stops_the_stage_until_it_is_raised(tmp_path: Path) -> None:
    texts = [f"{TEXT} And {n} is {n}." for n in range(9)]
    prices = {"input_price": 10.0, "output_price": 100.0, "concurrency": 1}
    with serve(polish) as server:
        with pytest.raises(StageFailed, match=r"the budget is spent: \$0.01 of max_cost=\$0.01"):
            run(page(tmp_path, server.url, texts, endpoint=prices | {"max_cost": 0.01}))
        planned = page(tmp_path, server.url, texts, endpoint=prices | {"max_cost": 1.0})
        run(planned)
        assert set(server.asked.values()) == {1}
    counts = read_manifest(planned["rewrite"].folder)["counts"]["language_model"]
    assert (counts["microdollars"], counts["input_tokens"], counts["answered_from_cache"]) == (18_000, 900, 5)


def test_chunks_that_come_twice_are_paid_once_in_whichever_part_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.parts.PART_DOCUMENTS", 2)
    texts = [f"{TEXT} And {n % 3} is {n % 3}." for n in range(6)]
    with serve(polish) as server:
        planned = page(tmp_path, server.url, texts, endpoint={"input_price": 10.0, "output_price": 100.0})
        run(planned)
    counts = read_manifest(planned["rewrite"].folder)["counts"]["language_model"]
    assert counts == {
        "requests": 3, "answered_by_server": 3, "answered_from_cache": 3,
        "input_tokens": 300, "output_tokens": 30, "microdollars": 6_000,
    }  # fmt: skip


def test_a_stage_that_finished_without_an_answer_keeps_its_bytes_and_one_that_is_made_again_asks_again(tmp_path: Path) -> None:
    def choke(body: dict[str, Any]) -> Reply:
        return refusal(500, "no") if "<source>" in body["messages"][-1]["content"] else completion("Yes.")

    with serve(choke) as failing:
        planned = page(tmp_path, failing.url, [TEXT], endpoint={"max_retries": 1})
        run(planned)
    assert documents(planned["rewrite"])[0]["rewrite"]["rejected"] == {"server_error": 1}
    with serve(polish) as mended:
        finished = page(tmp_path, mended.url, [TEXT])
        before = outputs(planned["rewrite"])
        run(finished)
        assert outputs(finished["rewrite"]) == before
        assert not mended.asked
        again = page(tmp_path, mended.url, [TEXT], max_length=1.7)
        run(again)
    assert documents(again["rewrite"])[0]["rewrite"] == {"chunks": 1, "rewritten": 1, "rejected": {}}


def test_any_number_of_shards_asks_the_same_and_finds_what_was_answered(tmp_path: Path) -> None:
    texts = [f"{TEXT} And {n} is {n}." for n in range(12)]
    with serve(polish) as server:
        one = page(tmp_path, server.url, texts)
        run(one)
        three = page(tmp_path, server.url, texts, shards=3)
        run(three)
        assert set(server.asked.values()) == {1}
    key = "id"
    assert sorted(documents(three["rewrite"]), key=lambda doc: doc[key]) == sorted(
        documents(one["rewrite"]), key=lambda doc: doc[key]
    )


class Gate:
    """A server that answers as many requests as it is told to, and lets the others wait."""

    def __init__(self) -> None:
        self.left = 0
        self.lock = threading.Lock()
        self.opened = threading.Event()

    def reply(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            self.left -= 1
            waits = self.left < 0
        if waits:
            self.opened.wait(60)
        return polish(body)


def test_a_killed_rank_asks_nothing_twice_and_leaves_the_same_bytes(tmp_path: Path) -> None:
    texts = [f"{TEXT} And {n} is {n}." for n in range(60)]
    with serve(polish) as server:
        whole = page(tmp_path, server.url, texts)
        run(whole)
    (tmp_path / "killed").mkdir()
    gate, concurrency, stops = Gate(), 3, (1, 20, 40)
    with serve(gate.reply) as server:
        planned = page(tmp_path / "killed", server.url, texts, endpoint={"concurrency": concurrency})
        stage = planned["rewrite"]
        run({"read": planned["read"]})
        write_stage(stage)
        for before, wanted in pairwise((0, *stops)):
            gate.left = wanted - before
            kill_after(stage, wanted)
        gate.left = 1_000
        gate.opened.set()
        run(planned)
        assert sum(server.asked.values()) <= 60 + len(stops) * concurrency  # twice: only what was under way at a kill
    counts = read_manifest(stage.folder)["counts"]["language_model"]
    assert (counts["answered_from_cache"], counts["answered_by_server"]) == (40, 20)
    assert outputs(stage) == outputs(whole["rewrite"])


def test_rewriting_belongs_before_decontamination(tmp_path: Path) -> None:
    benchmark = tmp_path / "benchmark.jsonl"
    benchmark.write_text('{"id": "1", "question": "How many bulbs are left standing in the garden after the storm of May?"}\n')
    spec: dict[str, Any] = {
        "decontaminate": {"do": "decontaminate", "benchmarks": {"one": str(benchmark)}},
        "rewrite": {"do": "rewrite", "endpoint": {"model": "tiny"}},
    }
    with pytest.raises(ValueError, match=r"stage 'rewrite' \(rewrite\) makes other text behind 'decontaminate'"):
        stages(tmp_path, [TEXT], spec)


def test_bounds_that_nothing_can_meet_are_refused() -> None:
    given = ["stages.rewrite.do=rewrite", "stages.rewrite.endpoint.model=tiny", "stages.rewrite.min_length=2.0"]
    with pytest.raises(ValueError, match=r"stages.rewrite: min_length=2.0 is above max_length=1.6"):
        load("curate/web_files", given)


def test_a_real_server_rewrites_documents(language_model: tuple[str, str], tmp_path: Path) -> None:
    url, model = language_model
    prompt = tmp_path / "short.txt"
    prompt.write_text("{text}\n rewrite")
    texts = ["If $x=3$ then $x+2=5$ follows.", "The 17 sheep of the 4 farmers."]
    planned = page(tmp_path, url, texts, endpoint={"model": model, "concurrency": 2}, prompt=str(prompt), max_answer_tokens=30)
    run(planned)
    docs = documents(planned["rewrite"])
    assert docs[0]["text"] == "Since $x=3$, $x+2=5$."
    assert docs[1]["text"] == texts[1]
    assert docs[1]["rewrite"]["rejected"] == {"numbers_added": 1}
