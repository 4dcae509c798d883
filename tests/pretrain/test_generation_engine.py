"""The engine's answers: those of transformers when greedy, drawn by nothing but their own seed, ended where they should."""

import json
import shutil
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from thinking_models import byte_level, chain_model, engine, random_model

from pretrain.generation import open_engine
from pretrain.generation.engine import Asked, Engine, Sampling, seed_of
from recipes import schema

PROMPTS = ["Question: a + b", "so", " d c b a" * 7, "é wait", "Final Answer: 7 8"]
ASKED = [Asked(prompt, seed=number) for number, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return byte_level(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def noise(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("noise"), tokenizer, seed=3)


@pytest.fixture(scope="module")
def noisy(noise: Path) -> Engine:
    return engine(noise, batch_size=4)


def chained(folder: Path, tokenizer: Any, *pieces: str) -> Path:
    """A model that writes these pieces one after another behind the first."""
    ids = [id_of(tokenizer, piece) for piece in pieces]
    return chain_model(folder, tokenizer, {token: [after] for token, after in pairwise(ids)})


def id_of(tokenizer: Any, piece: str) -> int:
    ids: list[int] = tokenizer.encode(piece)
    assert len(ids) == 1, piece
    return ids[0]


def test_greedy_answers_are_those_of_transformers_own_generate(noisy: Any) -> None:
    import torch

    for asked, answer in zip(ASKED, noisy.generate(ASKED, Sampling(30)), strict=True):
        ids = torch.tensor([noisy.encode(asked.prompt)])
        whole = noisy.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, do_sample=False, pad_token_id=0)
        assert list(answer.ids) == whole[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize(
    "sampling", [Sampling(25), Sampling(25, 1.0), Sampling(25, 0.7, 0.9), Sampling(25, 1.0, stop=("a", "7"))]
)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_an_answer_depends_on_nothing_that_is_asked_beside_it(
    noise: Path, noisy: Engine, sampling: Sampling, batch_size: int
) -> None:
    other = engine(noise, batch_size)
    backwards = other.generate(ASKED[::-1], sampling)[::-1]
    for asked, together, apart in zip(ASKED, noisy.generate(ASKED, sampling), backwards, strict=True):
        (alone,) = noisy.generate([asked], sampling)
        assert (together.ids, together.text, together.finish) == (apart.ids, apart.text, apart.finish)
        assert (together.ids, together.text, together.finish) == (alone.ids, alone.text, alone.finish)


def test_a_seed_decides_what_is_drawn(noisy: Engine) -> None:
    sampling = Sampling(20, 1.0)
    first, again, other = noisy.generate([Asked("so", 1), Asked("so", 1), Asked("so", 2)], sampling)
    assert first == again
    assert first.ids != other.ids
    assert seed_of(1, "gsm8k", 2) != seed_of(1, "gsm8k", 21)
    assert seed_of(1, 23) != seed_of(12, 3)


def test_a_stop_string_ends_an_answer_and_is_no_part_of_it(tokenizer: Any, tmp_path: Path) -> None:
    """It may lie over several tokens, and begin inside one."""
    model = engine(chained(tmp_path, tokenizer, " a", " b", " c", " d", "<|end|>"))
    (answer,) = model.generate([Asked(" a")], Sampling(10, stop=("x", "b c", "c")))
    assert (answer.text, answer.tokens, answer.finish) == (" ", 2, "stop")
    (answer,) = model.generate([Asked(" a")], Sampling(10, stop=("never",)))
    assert (answer.text, answer.tokens, answer.finish) == (" b c d", 4, "eos")
    (answer,) = model.generate([Asked(" a")], Sampling(2))
    assert (answer.text, answer.tokens, answer.finish) == (" b c", 2, "length")


def test_a_character_of_several_tokens_can_stop_an_answer(tokenizer: Any, tmp_path: Path) -> None:
    first, second = tokenizer.encode("é")
    folder = chain_model(tmp_path, tokenizer, {id_of(tokenizer, " a"): [first], first: [second], second: [first]})
    (answer,) = engine(folder).generate([Asked(" a")], Sampling(9, stop=("éé",)))
    assert (answer.text, answer.tokens, answer.finish) == ("", 4, "stop")


def test_every_end_of_text_that_the_checkpoint_names_ends_an_answer(tokenizer: Any, tmp_path: Path) -> None:
    folder = chained(tmp_path, tokenizer, " a", " b", "<|step|>", " c")
    told = json.loads((folder / "generation_config.json").read_text())
    told["eos_token_id"] = [id_of(tokenizer, "<|end|>"), id_of(tokenizer, "<|step|>")]
    (folder / "generation_config.json").write_text(json.dumps(told))
    (answer,) = engine(folder).generate([Asked(" a")], Sampling(9))
    assert (answer.text, answer.tokens, answer.finish) == (" b", 2, "eos")


def test_special_tokens_that_end_nothing_stay_to_be_seen(tokenizer: Any, tmp_path: Path) -> None:
    (answer,) = engine(chained(tmp_path, tokenizer, " a", "<|step|>", " b", "<|end|>")).generate([Asked(" a")], Sampling(9))
    assert answer.text == "<|step|> b"


def test_what_does_not_fit_the_models_positions_is_told(noisy: Engine) -> None:
    exactly, over, nearly = (Asked(" a" * number) for number in (256, 300, 250))
    outputs = noisy.generate([exactly, over, nearly], Sampling(40))
    assert [output.finish for output in outputs[:2]] == ["too_long", "too_long"]
    assert [output.tokens for output in outputs[:2]] == [0, 0]
    assert outputs[2].tokens <= 6
    assert noisy.log_likelihoods([(" a" * 300, " b"), (" a", " b")])[0] is None


def test_an_empty_prompt_is_refused_where_nothing_stands_before_a_text(noisy: Engine) -> None:
    with pytest.raises(ValueError, match="an empty prompt cannot be asked"):
        noisy.generate([Asked("")], Sampling(3))


def test_log_likelihoods_are_those_of_the_model(noisy: Any) -> None:
    import torch

    pairs = [("Question: a", " b c"), ("so", "</think>\n\n"), (" d" * 40, " Answer: 7 8 9")]
    for (before, behind), told in zip(pairs, noisy.log_likelihoods(pairs), strict=True):
        ids, start = noisy.encode(before + behind), len(noisy.encode(before))
        with torch.no_grad():
            logs = noisy.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        assert told == pytest.approx(sum(float(logs[at - 1, ids[at]]) for at in range(start, len(ids))), abs=1e-4)
        assert told == pytest.approx(noisy.log_likelihoods([(before, behind)])[0], abs=1e-4)


def test_a_token_over_the_seam_belongs_to_the_continuation(noisy: Engine) -> None:
    """`>` and the line's end are one token: the probability is that of all that the first prompt did not have already."""
    whole, split = noisy.log_likelihoods([("</think", ">\n"), ("</think>", "\n")])
    assert len(noisy.encode("</think>\n")) == len(noisy.encode("</think")) + 1 == len(noisy.encode("</think>"))
    assert split == pytest.approx(whole, abs=1e-5)


def test_entropy_is_that_of_the_distribution_a_token_was_drawn_from(tokenizer: Any, tmp_path: Path) -> None:
    """All logits are 0 behind a token that says nothing of what follows, and the distribution is even."""
    import math

    folder = chain_model(tmp_path, tokenizer, {})
    (answer,) = engine(folder).generate([Asked(" a", 5)], Sampling(1, 1.0))
    assert answer.entropy == pytest.approx(math.log(len(tokenizer)), rel=1e-4)


class Steered:
    """Forbids ` b`, and puts ` d d` in place of every ` c`."""

    def __init__(self, forbidden: int, replaced: int, by: int):
        self.never, self.instead_of, self.by = forbidden, replaced, by

    def forbidden(self, generated: Sequence[int]) -> Collection[int]:
        return (self.never,)

    def replaced(self, generated: Sequence[int], drawn: int) -> Sequence[int]:
        return (self.by, self.by) if drawn == self.instead_of else (drawn,)


def test_a_controller_forbids_and_replaces_tokens(tokenizer: Any, tmp_path: Path) -> None:
    a, b, c, d, end = (id_of(tokenizer, piece) for piece in (" a", " b", " c", " d", "<|end|>"))
    folder = chain_model(tmp_path, tokenizer, {a: [b, c], c: [a], d: [end]})
    (free,) = engine(folder).generate([Asked(" a")], Sampling(1))
    (steered,) = engine(folder).generate([Asked(" a")], Sampling(9), lambda asked: Steered(b, c, d))
    assert free.text == " b"
    assert (steered.text, steered.finish) == (" d d", "eos")


@pytest.mark.parametrize(
    ("key", "value", "told"), [("num_hidden_layers", 2, "missing keys"), ("vocab_size", 40, "mismatched keys")]
)
def test_a_folder_that_is_not_what_its_config_says_is_refused(
    noise: Path, tmp_path: Path, key: str, value: int, told: str
) -> None:
    """transformers would fill in random weights and go on."""
    shutil.copytree(noise, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ValueError, match=f"is not the model that its config.json describes: {told}"):
        engine(tmp_path)


def test_a_model_whose_weights_are_no_numbers_answers_nothing(tokenizer: Any, tmp_path: Path) -> None:
    broken: Any = engine(chain_model(tmp_path, tokenizer, {}))
    broken.model.lm_head.weight.data[5, 5] = float("nan")
    with pytest.raises(ValueError, match=r"the model's logits are no numbers \(NaN\)"):
        broken.generate([Asked(" a")], Sampling(3))
    with pytest.raises(ValueError, match=r"the model's logits are no numbers \(NaN\)"):
        broken.log_likelihoods([(" a", " b")])


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no Hugging Face folder"):
        engine(tmp_path)


def test_vllm_is_asked_for_only_where_it_is_installed(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.generation.vllm_engine.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"vLLM is not installed; pip install vllm, or take engine\.kind=transformers"):
        open_engine(noise, schema.Engine(kind="vllm"), schema.Serving())
