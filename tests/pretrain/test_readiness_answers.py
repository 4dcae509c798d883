"""A readiness card's figures are those that a hand counts, of models whose weights were set by hand."""

import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import readiness_world as world

import pretrain.readiness.stage as readiness_stage
from pretrain.__main__ import main
from pretrain.readiness import answers, loading
from recipes import exits
from recipes.manifest import read_manifest

PROBLEMS = (("so", "7"), ("wait", "8"), ("so so", "9"))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return world.tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def even(tokens: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers 7 or 8, each as often, and ends."""
    follows = {":": ["7", "8"], "7": ["<|end|>"], "8": ["<|end|>"]}
    return world.even_model(tmp_path_factory.mktemp("even"), tokens, follows)


@pytest.fixture(scope="module")
def endless(tokens: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.even_model(tmp_path_factory.mktemp("endless"), tokens, {":": [" so"], " so": [" a"], " a": [" so"]})


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signals are handled as before, whatever a stage asks for."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {"problems": world.problems(tmp_path / "problems.jsonl", *PROBLEMS)}


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [row for file in sorted((folder / "answers" / kind).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def mean(found: dict[str, Any], name: str) -> Any:
    return found["figures"][name]["mean"]


def test_every_figure_is_the_one_that_a_hand_counts(even: Path, files: dict[str, Path], tmp_path: Path) -> None:
    stage = world.answers_stage(tmp_path, even, files)
    found = world.asked(stage)
    kept = rows(stage.folder, "free")
    assert [(row["problem"], row["sample"]) for row in kept] == [(problem, sample) for problem in range(3) for sample in range(6)]
    assert {row["prompt"] for row in kept} == {f"Question: {question}\nAnswer:" for question, _ in PROBLEMS}
    right = [sum(row["text"] == answer for row in kept[place * 6 : place * 6 + 6]) for place, answer in enumerate("789")]
    assert right[2] == 0
    assert all(0 < number < 6 for number in right[:2])
    assert mean(found, "right") == pytest.approx(sum(right) / 18)
    assert mean(found, "mixed_groups") == pytest.approx(2 / 3)
    assert mean(found, "all_wrong_groups") == pytest.approx(1 / 3)
    assert mean(found, "all_right_groups") == 0
    twice = sum(1 - math.comb(6 - number, 2) / math.comb(6, 2) for number in right) / 3
    assert found["pass_at_k"]["2"]["mean"] == pytest.approx(twice)
    assert list(found["pass_at_k"]) == ["1", "2", "4", "6"]
    assert found["pass_at_k"]["6"]["mean"] == pytest.approx(2 / 3)
    assert [mean(found, name) for name in ("stopped", "ended_by_eos", "truncated", "loops", "boxed")] == [1, 1, 0, 0, 0]
    assert mean(found, "tokens") == 2
    assert mean(found, "entropy") == pytest.approx(math.log(2) / 2, abs=1e-3)
    assert found["lengths"]["bins"] == [[2, 4, sum(right), 18 - sum(right)]]
    counts = read_manifest(stage.folder)["counts"]
    assert counts["finish"] == {"eos": 18}
    assert counts["grades"]["correct"] == sum(right)


def test_a_model_that_never_stops_is_seen_to_loop(endless: Path, files: dict[str, Path], tmp_path: Path) -> None:
    found = world.asked(world.answers_stage(tmp_path, endless, files, max_tokens=40))
    assert [mean(found, name) for name in ("stopped", "truncated", "loops", "right")] == [0, 1, 1, 0]
    assert mean(found, "tokens") == 40
    assert mean(found, "repeated") > 0.8
    assert mean(found, "entropy") < 0.01


def test_a_model_that_is_silent_has_no_answers_of_any_length(tokens: Any, files: dict[str, Path], tmp_path: Path) -> None:
    silent = world.even_model(tmp_path / "silent", tokens, {":": ["<|end|>"]})
    found = world.asked(world.answers_stage(tmp_path, silent, files))
    assert mean(found, "tokens") == 1
    assert mean(found, "right") == 0
    assert found["counts"]["grades"]["trouble"] == {"no_answer": 18}


def test_one_that_answers_only_when_it_is_made_to_reason_gains_by_it(tokens: Any, files: dict[str, Path], tmp_path: Path) -> None:
    quiet = world.even_model(tmp_path / "quiet", tokens, {":": ["<|end|>"], " so": ["7"], "7": ["<|end|>"]})
    stage = world.answers_stage(tmp_path, quiet, files, forced={"opening": " so", "samples": 2})
    found = world.asked(stage)
    assert {row["prompt"][-4:] for row in rows(stage.folder, "forced")} == {": so"}
    assert mean(found, "opens_a_derivation") == 0
    assert mean(found, "forced_gain") == pytest.approx(1 / 3)
    assert found["forced"]["pass_at_k"]["2"]["mean"] == pytest.approx(1 / 3)


def test_who_has_read_a_benchmark_completes_it_and_not_the_same_with_other_numbers(
    tokens: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    reader = world.even_model(
        tmp_path / "reader", tokens, {" b": [" c"], " c": [" d"], " d": [" "], " ": ["7"], "7": ["<|end|>"]}
    )
    files["benchmark"] = world.problems(
        tmp_path / "read.jsonl", *[(f"{begin} so a b c d 7", "1") for begin in ("so", "wait", "a")] * 5
    )
    stage = world.answers_stage(tmp_path, reader, files, contamination={"benchmark": "benchmark", "max_tokens": 8})
    found = world.asked(stage)
    assert {row["prompt"] for row in rows(stage.folder, "completed")} == {f"{begin} so a b c" for begin in ("so", "wait", "a")}
    told = found["contamination"]["completed"]
    assert [told[kind]["mean"] for kind in ("benchmark", "control", "difference")] == [1, 0, 1]
    assert found["contamination"]["longest_match"]["control"]["mean"] == 0.5
    assert world.judged(world.card_stage(stage))["checks"]["contamination"]["verdict"] == "fail"


def test_a_reciter_is_found_out_though_some_rests_are_longer_than_it_may_write(
    tokens: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    follows = {" b": [" c"], " c": [" d"], " d": [" "], " ": ["7"], "7": ["<|end|>"]}
    reader = world.even_model(tmp_path / "reader", tokens, follows)
    short = [("so so a b c d 7", "1")] * 10
    files["benchmark"] = world.problems(tmp_path / "read.jsonl", *short, ("so " * 40 + "a b c d 7", "1"))
    stage = world.answers_stage(tmp_path, reader, files, contamination={"benchmark": "benchmark", "max_tokens": 4})
    found = world.asked(stage)["contamination"]
    assert (found["questions"], found["left_out"]) == (10, 1)
    assert found["completed"]["benchmark"]["mean"] == 1
    told = world.judged(world.card_stage(stage))["checks"]["contamination"]["told"]
    assert told == "1 questions left out: there was no room to complete them"


def test_a_control_of_later_questions_may_be_named(tokens: Any, files: dict[str, Path], tmp_path: Path) -> None:
    reader = world.even_model(tmp_path / "reader", tokens, {" c": [" d"], " d": ["<|end|>"]})
    files["benchmark"] = world.problems(tmp_path / "read.jsonl", ("so a b c d", "1"), ("so", "one word cannot be cut"))
    files["control"] = world.problems(tmp_path / "later.jsonl", ("so a b c a", "1"), ("a a b c d", "1"))
    named = {"benchmark": "benchmark", "control": "control", "max_tokens": 4, "prefix_share": 0.8}
    found = world.asked(world.answers_stage(tmp_path, reader, files, contamination=named))["contamination"]
    assert (found["questions"], found["control_questions"]) == (1, 2)
    assert [found["completed"][kind]["mean"] for kind in ("benchmark", "control", "difference")] == [1, 0.5, 0.5]


def test_a_stage_that_was_stopped_goes_on_and_leaves_the_same_bytes(
    even: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PART", 4)
    whole = world.answers_stage(tmp_path / "whole", even, files)
    world.asked(whole)
    stopped = world.answers_stage(tmp_path / "stopped", even, files)
    opened = readiness_stage.open_engine

    def open_and_stop(*given: Any) -> Any:
        engine, ask, times = opened(*given), None, []
        ask = engine.generate

        def generate(*questions: Any) -> Any:
            times.append(1)
            if len(times) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return ask(*questions)

        monkeypatch.setattr(engine, "generate", generate)
        return engine

    with monkeypatch.context() as patch:
        patch.setattr(readiness_stage, "open_engine", open_and_stop)
        assert main([str(stopped.folder)]) == exits.INTERRUPTED
    parts = sorted((stopped.folder / "answers/free").glob("*.parquet"))
    assert [part.name for part in parts] == ["00000.parquet", "00001.parquet"]
    written = [part.stat().st_mtime_ns for part in parts]
    world.asked(stopped)
    assert [part.stat().st_mtime_ns for part in parts] == written
    assert read_manifest(stopped.folder)["outputs"] == read_manifest(whole.folder)["outputs"]


def test_a_checkpoint_that_transformers_cannot_load_is_asked_nothing_and_its_card_fails(
    even: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = loading.Check("fail", "transformers: weights are missing")
    monkeypatch.setattr(loading, "check", lambda *given: broken)
    stage = world.answers_stage(tmp_path, even, files, loads=["transformers"])
    world.asked(stage)
    card = world.judged(world.card_stage(stage))
    assert card["checks"]["loads_transformers"] == {"verdict": "fail", "told": "transformers: weights are missing"}
    assert card["checks"]["pass_at_1"]["verdict"] == "not measured"
    assert not (stage.folder / "answers").exists()


def spoilt(even: Path, folder: Path, **of_config: Any) -> Path:
    """A copy with another config.json."""
    shutil.copytree(even, folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | of_config))
    return folder


def refused(stage: Any) -> dict[str, Any]:
    """The checks of a card whose every figure is not measured."""
    assert world.asked(stage)["figures"] == {}
    checks: dict[str, Any] = world.judged(world.card_stage(stage))["checks"]
    assert {checks[name]["verdict"] for name in ("pass_at_1", "stopped", "entropy")} == {"not measured"}
    return checks


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_cut_in_half_makes_a_card_that_says_so(
    even: Path, files: dict[str, Path], tmp_path: Path, file: str
) -> None:
    broken = spoilt(even, tmp_path / "broken")
    content = (broken / file).read_bytes()
    (broken / file).write_bytes(content[: len(content) // 2])
    stage = world.answers_stage(tmp_path, broken, files)
    checks = refused(stage)
    assert checks["files"]["verdict"] == "fail"
    assert file in checks["files"]["told"]
    assert not (stage.folder / "answers").exists()


@pytest.mark.parametrize(("number", "told"), [(math.nan, "no finite numbers: lm_head.weight"), (3e38, "logits are no numbers")])
def test_weights_that_give_no_numbers_make_a_card_that_says_so(
    even: Path, files: dict[str, Path], tmp_path: Path, number: float, told: str
) -> None:
    from safetensors.torch import load_file, save_file

    broken = spoilt(even, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights[world.HEAD][:] = number
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    checks = refused(world.answers_stage(tmp_path, broken, files))
    assert checks["numbers"]["verdict"] == "fail"
    assert told in checks["numbers"]["told"]


def test_prompts_that_no_room_is_left_behind_make_a_card_that_says_so(even: Path, files: dict[str, Path], tmp_path: Path) -> None:
    narrow = spoilt(even, tmp_path / "narrow", max_position_embeddings=4)
    checks = refused(world.answers_stage(tmp_path, narrow, files))
    assert checks["prompts_fit"]["verdict"] == "fail"
    assert "no prompt leaves room for a token" in checks["prompts_fit"]["told"]
    files["problems"] = world.problems(tmp_path / "mixed.jsonl", ("so", "7"), ("so " * 40, "8"))
    wide = spoilt(even, tmp_path / "wide", max_position_embeddings=32)
    mixed = world.asked(world.answers_stage(tmp_path / "mixed", wide, files))["checks"]["prompts_fit"]
    assert mixed == {"verdict": "concern", "told": "1 of 2 prompts leave no room for a token"}


def test_another_limit_makes_another_card_of_the_same_answers(even: Path, files: dict[str, Path], tmp_path: Path) -> None:
    stage = world.answers_stage(tmp_path, even, files)
    found = world.asked(stage)
    lenient = world.judged(world.card_stage(stage, min_boxed={"concern": None, "fail": None}))
    assert lenient["checks"]["boxed"]["verdict"] == "pass"
    assert lenient["figures"] == found["figures"]
    (stage.folder.with_name("readiness_it-0") / "manifest.json").unlink()
    strict = world.judged(world.card_stage(stage, min_boxed={"concern": 1.0, "fail": 0.9}))
    assert strict["checks"]["boxed"]["verdict"] == "fail"
    assert strict["checks"]["boxed"]["limit"] == {"beyond": "below", "concern": 1.0, "fail": 0.9}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "odd.jsonl is empty: it has no row"),
        (b"{", "odd.jsonl, line 1 is not JSON"),
        (b"[1]\n", "odd.jsonl, line 1 is a list"),
        (b'{"question": "a", "answer": "1"}\n{"question": "b"}\n', "odd.jsonl, row 2 has no column 'answer'; it has question"),
        (b'{"question": " ", "answer": "1"}\n', "odd.jsonl, row 1, column 'question': ' ' is no text"),
        (b'{"question": "a", "answer": NaN}\n', "odd.jsonl, row 1, column 'answer': nan is no text"),
    ],
)
def test_a_file_that_is_no_file_of_problems_is_named_with_row_and_column(
    even: Path, tmp_path: Path, content: bytes, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "odd.jsonl").write_bytes(content)
    stage = world.answers_stage(tmp_path, even, {"problems": tmp_path / "odd.jsonl"})
    assert main([str(stage.folder)]) == exits.MISTAKE
    assert what in caplog.text
