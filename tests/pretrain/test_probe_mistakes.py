"""What a person can do wrong with a probe, and what they are told; none of it loads torch for long."""

import json
from pathlib import Path
from typing import Any

import pytest
from probe_world import PROBE, make_problems, make_stage, run
from pydantic import ValidationError

from pretrain.probe import stage as probe_stage
from pretrain.probe.split import in_turn, split
from pretrain.probe.stage import silent
from pretrain.problems.problem import Problem
from recipes.load import load
from recipes.schema import ProveRecipe
from recipes.schema.probe import Probe


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tokenizer and a configuration; nothing here comes to its weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    words = {"<|end|>": 0, "?": 1, "what": 2}
    tokenizer = {"version": "1.0", "model": {"type": "WordLevel", "vocab": words, "unk_token": "?"}, "added_tokens": []}
    tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    write_config(folder, eos_token="<|end|>")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 3, "max_position_embeddings": 64}))
    return folder


def write_config(folder: Path, **told: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **told}))


def test_a_machine_without_trl_is_told_which_extra_lacks(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(tmp_path, "run", checkpoint, make_problems(tmp_path / "problems.jsonl"))
    monkeypatch.setattr(probe_stage.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'midtrain\[rl\]'"):
        run(stage)


@pytest.mark.parametrize(
    ("content", "keys", "said"),
    [
        ("", {}, "is empty: it has no row"),
        ('{"question": "x", "answer": "1"\n', {}, "line 1 is not JSON"),
        ('{"question": "x", "answer": NaN}\n', {}, "row 1, column 'answer': nan is no text"),
        ('{"question": "x", "answer": null}\n', {}, "row 1, column 'answer': None is no text"),
        ('{"question": "  ", "answer": 1}\n', {}, "row 1, column 'question': '  ' is no text"),
        ('{"problem": "x", "answer": "1"}\n', {}, "row 1 has no column 'question'; it has answer, problem"),
        ('{"question": "x", "answer": "1"}\n' * 90, {}, "of 90 problems 1 are different and short enough"),
        (None, {"held_out": {"problems": 60}}, "of 60 problems 60 are different and short enough, too few to hold out 60"),
        (None, {"max_tokens": 60}, "of 60 problems 0 are different and short enough"),
        (None, {"max_tokens": 64}, "max_tokens=64 leaves no prompt a place: the model has 64 positions"),
    ],
)
def test_problems_that_cannot_be_used_are_told(
    content: str | None, keys: dict[str, Any], said: str, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    problems = make_problems(tmp_path / "problems.jsonl")
    if content is not None:
        problems.write_text(content)
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        run(make_stage(tmp_path, "run", checkpoint, problems, **keys))


def test_too_few_problems_are_told_before_anything_is_loaded(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_stage, "_load_quietly", lambda device: pytest.fail("torch was loaded"))
    problems = make_problems(tmp_path / "problems.jsonl")
    with pytest.raises(ValueError, match="of 60 problems 60 are different and short enough, too few to hold out 60"):
        run(make_stage(tmp_path, "run", checkpoint, problems, held_out={"problems": 60}))


def test_a_checkpoint_whose_answers_never_end_is_told(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_config(checkpoint)
    with pytest.raises(ValueError, match="its tokenizer names no eos_token"):
        run(make_stage(tmp_path, "run", checkpoint, make_problems(tmp_path / "problems.jsonl")))


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no Hugging Face folder: it has no config\.json"):
        run(make_stage(tmp_path, "run", tmp_path, make_problems(tmp_path / "problems.jsonl")))


def test_no_question_is_trained_on_and_held_out_however_often_it_stands_there() -> None:
    questions = [f"what is {number // 2}" for number in range(40)] + ["what  is 3", "Ω 你好"]
    problems = [Problem(number, str(number), question, "7") for number, question in enumerate(questions)]
    made = split(problems, held_out=8, seed=1, fits=lambda problem: problem.question != "what is 5")
    trained, asked = ({" ".join(p.question.split()) for p in part} for part in (made.training, made.held_out))
    assert not trained & asked
    assert (len(made.training), len(made.held_out), made.repeated, made.too_long) == (12, 8, 21, 1)
    again = split(list(reversed(problems)), held_out=8, seed=1, fits=lambda problem: problem.question != "what is 5")
    assert [p.question.split() for p in again.held_out] == [p.question.split() for p in made.held_out]
    other = split(problems, held_out=8, seed=2, fits=lambda problem: True)
    assert [p.question for p in other.held_out] != [p.question for p in made.held_out]


def test_all_problems_come_once_before_any_comes_again() -> None:
    problems = [Problem(number, str(number), f"what is {number}", "7") for number in range(5)]
    turns = [problem.number for problem in in_turn(problems, 12, seed=1)]
    assert sorted(turns[:5]) == sorted(turns[5:10]) == [0, 1, 2, 3, 4]
    assert turns[:5] != turns[5:10]
    assert len(turns) == 12


def test_a_policy_that_is_no_number_any_more_answers_nothing() -> None:
    told = silent({"problem": 3, "right": True, "answer": "7", "tokens": 9, "finish": "eos", "text": "7"})
    assert (told["problem"], told["right"], told["text"], told["finish"]) == (3, False, "", "diverged")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rollouts": 1}, "greater than or equal to 2"),
        ({"questions": 3, "rollouts": 3, "updates": 2}, "cannot be parted evenly into updates=2"),
        ({"checkpoints": ["a", "a"]}, "names one twice"),
        ({"reward": {"format": -1}}, "greater than or equal to 0"),
        ({"reward": {"control_chance": 1}}, "less than 1"),
        ({"step": 3}, "did you mean 'steps'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Probe.model_validate(PROBE | keys)


def test_a_page_that_probes_a_checkpoint_it_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no checkpoint 'hybird'; did you mean 'hybrid'"):
        load("prove/demo", ["probe.checkpoints=[hybird]"])


def test_a_page_can_leave_its_probe_out() -> None:
    page = load("prove/demo", ["~probe"])
    assert isinstance(page, ProveRecipe)
    assert page.probe is None


def test_more_seeds_and_other_limits_of_collapse_leave_a_run_as_it_is() -> None:
    few = Probe.model_validate(PROBE)
    more = Probe.model_validate(PROBE | {"seeds": 5, "checkpoints": ["a"], "collapse": {"longer": 2.0}})
    assert few.of_a_run() == more.of_a_run()
    assert few.of_a_run() != Probe.model_validate(PROBE | {"learning_rate": 1e-3}).of_a_run()
