"""Budgets of thinking on real models, in the project's own loop and in `generate` of transformers."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from thinking_models import byte_level, chain_model, engine, random_model

from pretrain.generation.engine import Asked, Engine, Output, Sampling
from pretrain.generation.forcing import Forcing, Rules, Spent
from pretrain.generation.pieces import Pieces
from recipes.schema.budgets import Budget, Budgets

PROMPTS = ["Question: a", " b c d", "Wait, so Final a b c d so", " a"]
CHAIN = (" a", " b", ".\n\n", " c", " so", "\n\n", "</", "think", ">\n\n", " answer", "<|end|>")
BUDGETS = {
    "short": Budget(max_tokens=4),
    "long": Budget(max_tokens=40, min_tokens=25),
    "wait": Budget(max_tokens=40, waits=2),
    "wait_and_more": Budget(max_tokens=60, waits=1, min_tokens=30),
    "steps": Budget(max_tokens=40, max_steps=1),
    "more_steps": Budget(max_tokens=40, min_steps=3),
}
TEXTS = Budgets(each=BUDGETS, answer_tokens=6)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return byte_level(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def chain(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thinks six tokens, of two steps, closes its thinking and answers; where its tag is refused it thinks on."""
    return chain_model(tmp_path_factory.mktemp("chain"), tokenizer, follows(tokenizer))


def follows(tokenizer: Any) -> dict[int, list[int]]:
    ids = Pieces(tokenizer, frozenset()).all.index
    named = {name: ids(name.encode()) for name in (*CHAIN, "Wait", ":", "7", ",", " d")}
    nexts = {named[name]: [named[following], named[" a"]] for name, following in pairwise(CHAIN)}
    nexts |= {number: [named[" a"]] for number in range(len(tokenizer)) if number not in nexts}
    return nexts | {named[":"]: [named["7"]], named["7"]: [named["<|end|>"]], named[" answer"]: [named[":"]]}


@pytest.fixture(scope="module")
def noise(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("noise"), tokenizer, seed=3)


def rules(model: Engine, name: str, stop: tuple[str, ...] = ()) -> Rules:
    return Rules(Pieces(model.tokenizer, model.eos), BUDGETS[name], TEXTS, stop)


def answers(model: Engine, name: str, prompts: list[str] = PROMPTS) -> list[tuple[Output, Spent]]:
    held: list[Forcing] = []

    def control(_: Asked) -> Forcing:
        held.append(Forcing(rules(model, name)))
        return held[-1]

    outputs = model.generate([Asked(text) for text in prompts], Sampling(rules(model, name).max_tokens), control)
    return [(output, forcing.finish(output.ids)) for output, forcing in zip(outputs, held, strict=True)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("short", " b.\n\n c so</think>\nFinal Answer:7"),
        ("wait", " b.\n\n c so\n\nWait a b.\n\n c so\n\nWait a b.\n\n c so\n\n</think>\n\n answer:7"),
        ("steps", " b.\n\n</think>\nFinal Answer:7"),
        ("more_steps", " b.\n\n c so\n\n a b.\n\n c so\n\n</think>\n\n answer:7"),
    ],
)
def test_a_model_thinks_as_long_as_its_budget_says(chain: Path, name: str, text: str) -> None:
    output, spent = answers(engine(chain), name, [" a"])[0]
    assert output.text == text
    assert output.finish == "eos"
    assert spent.ended_by == {"short": "max_tokens", "steps": "max_steps"}.get(name, "the model")


@pytest.mark.parametrize("model", ["chain", "noise"])
@pytest.mark.parametrize("name", BUDGETS)
def test_generate_of_transformers_writes_the_same_tokens(model: str, name: str, request: pytest.FixtureRequest) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LogitsProcessorList

    from pretrain.generation.logits_processor import BudgetProcessor

    folder = request.getfixturevalue(model)
    ours = engine(folder)
    theirs: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    processor = BudgetProcessor(rules(ours, name))
    for prompts in (PROMPTS, PROMPTS[:1]):  # the second call begins anew
        rows = ours.tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        written = theirs.generate(
            input_ids=rows["input_ids"],
            attention_mask=rows["attention_mask"],
            max_new_tokens=processor.rules.max_tokens,
            do_sample=False,
            logits_processor=LogitsProcessorList([processor]),
        )
        told = processor.spent(written)
        for row, spent, (output, ours_spent) in zip(written.tolist(), told, answers(ours, name, prompts), strict=True):
            generated = row[rows["input_ids"].shape[1] :]
            assert tuple(generated[: output.tokens]) == output.ids
            assert set(generated[output.tokens :]) <= {theirs.generation_config.pad_token_id}
            assert spent == ours_spent


def test_what_a_sampler_draws_never_ends_the_thinking_too_early(chain: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LogitsProcessorList

    from pretrain.generation.logits_processor import BudgetProcessor

    model: Any = AutoModelForCausalLM.from_pretrained(chain, dtype=torch.float32)
    processor = BudgetProcessor(rules(engine(chain), "wait_and_more"))
    prompt = engine(chain).encode(" a")
    torch.manual_seed(1)
    written = model.generate(
        input_ids=torch.tensor([prompt] * 16),
        attention_mask=torch.ones(16, len(prompt), dtype=torch.long),
        max_new_tokens=processor.rules.max_tokens,
        do_sample=True,
        temperature=3.0,
        logits_processor=LogitsProcessorList([processor]),
    )
    found = processor.spent(written)
    assert all(30 <= spent.thinking_tokens <= 60 for spent in found)
    assert {spent.ended_by for spent in found} - {"nothing"}
    assert len({tuple(row) for row in written.tolist()}) > 8


@pytest.mark.parametrize("name", ["long", "wait"])
def test_what_is_asked_beside_a_prompt_changes_nothing(noise: Path, name: str) -> None:
    together = answers(engine(noise, batch_size=4), name)
    alone = answers(engine(noise, batch_size=1), name, PROMPTS[::-1])[::-1]
    assert [(output.ids, spent) for output, spent in together] == [(output.ids, spent) for output, spent in alone]
    assert len({output.ids for output, _ in together}) == len(PROMPTS)


def test_beams_are_refused(noise: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LogitsProcessorList

    from pretrain.generation.logits_processor import BudgetProcessor

    model: Any = AutoModelForCausalLM.from_pretrained(noise, dtype=torch.float32)
    processor = LogitsProcessorList([BudgetProcessor(rules(engine(noise), "long"))])
    with pytest.raises(ValueError, match=r"beams cannot be held to a budget; generate with num_beams=1"):
        model.generate(
            input_ids=torch.tensor([[270, 271]]),
            attention_mask=torch.ones(1, 2, dtype=torch.long),
            max_new_tokens=30,
            num_beams=3,
            do_sample=False,
            logits_processor=processor,
        )
