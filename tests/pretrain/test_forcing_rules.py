"""Budgets of thinking, held over tokens that a made-up model draws at random."""

import random
from pathlib import Path
from typing import Any

import pytest
from thinking_models import byte_level

from pretrain.generation.forcing import Forcing, Rules
from pretrain.generation.marker import Marker
from pretrain.generation.pieces import Pieces
from recipes.schema.budgets import Budget, Budgets

END = "</think>"
DRAWN = ("</", "think", ">", ">\n\n", " think", " so", " a", "Wait", "\n\n", ".\n\n", "Final", " Answer", ":", "<", "7")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return byte_level(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def pieces(tokenizer: Any) -> Pieces:
    return Pieces(tokenizer, frozenset([tokenizer.eos_token_id]))


def texts(**keys: Any) -> Budgets:
    return Budgets.model_validate({"each": {"one": {"max_tokens": 8}}, **keys})


def ids(pieces: Pieces, *written: str) -> list[int]:
    return [token for text in written for token in ([0] if text == "<|end|>" else [pieces.all.index(text.encode())])]


def write(rules: Rules, wishes: list[int]) -> tuple[list[int], Forcing]:
    """As an engine does; a wish that is forbidden gives way to the next one. Ends with the text, or with the wishes."""
    forcing, generated, wishes = Forcing(rules), list[int](), list(wishes)
    while wishes and not (generated and generated[-1] in rules.pieces.eos):
        forbidden = forcing.forbidden(generated)
        drawn = wishes.pop(0)
        if drawn not in forbidden:
            generated += forcing.replaced(generated, drawn)
    return generated, forcing


def test_a_token_stands_for_its_bytes_whatever_its_neighbours_are(tokenizer: Any, pieces: Pieces) -> None:
    for text in ("</think>\n\nFinal Answer: 数学 α²", "a  b\t\n", "🧮"):
        assert pieces.text(tokenizer.encode(text)) == text
    assert pieces.text(tokenizer.encode("a<|end|>")) == "a"
    assert pieces.text(tokenizer.encode("a<|step|>")) == "a<|step|>"


def test_tokens_of_a_sentencepiece_vocabulary_stand_for_their_bytes_too() -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "</", "think", ">", "\n", "W", "▁W"]
    model = models.BPE({name: number for number, name in enumerate(names)}, [("▁", "W")], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    sentencepiece = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")
    pieces = Pieces(sentencepiece, frozenset([1]))
    for text in ("a W≤ 数a\n", "W"):
        assert pieces.text(sentencepiece.encode(text)) == f" {text}"
    assert pieces.all[-1] == b" W"
    assert pieces.tokens("W") == (len(names) - 1,)


def test_a_tag_is_found_wherever_its_tokens_are_cut_and_what_would_write_it_is_known(pieces: Pieces) -> None:
    whole, caught = Marker(END, pieces), Marker(END, pieces, 2)
    assert whole.read(0, b"a </think>\n</thi") == (5, 10)
    assert {pieces.all[token] for token in whole.writing(7)} == {b">", b">\n", b">\n\n"}
    assert whole.writing(0) == frozenset()
    assert {pieces.all[token] for token in caught.writing(0)} == {b"</"}
    assert {pieces.all[token] for token in caught.writing(1)} == {b"/", b"</"}
    assert Marker("aab", pieces).read(0, b"aaab") == (0, 4)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_model_draws_its_thinking_is_within_its_budget_and_each_forced_text_stands_where_it_is_told(
    pieces: Pieces, seed: int
) -> None:
    luck = random.Random(seed)
    chunks = [
        [0],
        *([token] for token in ids(pieces, *DRAWN)),
        ids(pieces, "</", "think", ">"),
        ids(pieces, "</", "think", ">\n\n"),
    ]
    ends = set()
    for _ in range(300):
        low, high = sorted(luck.choices(range(1, 30), k=2))
        steps = sorted(luck.choices(range(1, 6), k=2))
        is_by_steps = luck.random() < 0.5
        budget = Budget(
            max_tokens=high,
            min_tokens=0 if is_by_steps else low,
            min_steps=luck.choice([0, 0, steps[0]]),
            max_steps=steps[1] if is_by_steps else None,
            waits=luck.randrange(3),
        )
        rules = Rules(pieces, budget, texts(answer_tokens=5))
        generated, forcing = write(rules, [token for chunk in luck.choices(chunks, k=80) for token in chunk])
        spent = forcing.finish(generated)
        ends.add(spent.ended_by)
        check(rules, generated, forcing)
    assert ends >= {"the model", "max_tokens", "max_steps", "end of text"}


def check(rules: Rules, generated: list[int], forcing: Forcing) -> None:
    """Against the text alone."""
    budget, spent, pieces = rules.budget, forcing.spent, rules.pieces
    assert len(generated) <= rules.max_tokens
    start = forcing.answer_start
    assert start is not None
    assert spent.thinking_tokens <= budget.max_tokens
    thinking = pieces.text(generated[: spent.thinking_tokens])
    assert spent.thinking_tokens >= budget.min_tokens
    assert END in pieces.text(generated[:start])
    assert not (set(generated[: spent.thinking_tokens]) & pieces.eos)
    for span in spent.forced:
        written = pieces.text(generated[span.at : span.at + span.tokens])
        if span.what == "closing":
            assert span.at == spent.thinking_tokens
            assert pieces.text(generated[: span.at + span.tokens]).endswith("</think>\nFinal Answer:")
        else:
            assert written == ("Wait" if span.what == "wait" else "")
    assert spent.waits <= budget.waits
    if spent.ended_by == "the model":
        assert thinking.count(END) == 1
        assert spent.thinking_tokens > budget.min_tokens
        assert spent.waits == budget.waits
        assert spent.steps >= budget.min_steps
    else:
        assert END not in thinking
    if spent.ended_by == "max_tokens":
        assert spent.thinking_tokens == budget.max_tokens
    if spent.ended_by == "max_steps":
        assert spent.steps == budget.max_steps
    counted = sum(bool(step.strip()) for step in thinking.split(END)[0].split("\n\n")[:-1])
    assert spent.steps == counted
    answered = [token for token in generated[start:] if token not in pieces.eos]
    assert len(answered) == spent.answer_tokens <= 5


def test_wait_stands_in_place_of_the_tag_so_often_and_no_half_of_the_tag_is_left(pieces: Pieces) -> None:
    rules = Rules(pieces, Budget(max_tokens=20, waits=2), texts())
    wishes = ids(pieces, " a", "</", " b", "</", " c", "</", "think", ">\n\n", "7", "<|end|>")
    generated, forcing = write(rules, wishes)
    assert pieces.text(generated) == " aWait bWait c</think>\n\n7"
    assert [(span.at, span.tokens, span.what) for span in forcing.spent.forced] == [(1, 1, "wait"), (3, 1, "wait")]
    assert (forcing.spent.thinking_tokens, forcing.spent.answer_tokens, forcing.spent.ended_by) == (8, 1, "the model")
    assert forcing.answer(generated) == "</think>7"


def test_an_end_of_text_without_an_answer_makes_the_model_answer(pieces: Pieces) -> None:
    generated, forcing = write(Rules(pieces, Budget(max_tokens=20), texts()), ids(pieces, " a", "<|end|>", "7", "<|end|>"))
    assert pieces.text(generated) == " a</think>\nFinal Answer:7"
    assert forcing.answer(generated) == "</think>\nFinal Answer:7"
    assert forcing.spent.ended_by == "end of text"


def test_what_of_the_closing_stands_already_is_not_written_twice(pieces: Pieces) -> None:
    generated, _ = write(Rules(pieces, Budget(max_tokens=3), texts()), ids(pieces, " a", "</", "think", ">", "7", "<|end|>"))
    assert pieces.text(generated) == " a</think>\nFinal Answer:7"
    generated, _ = write(Rules(pieces, Budget(max_tokens=4), texts()), ids(pieces, " a", "</", "think", ">", "7", "<|end|>"))
    assert pieces.text(generated) == " a</think>7"


def test_a_plain_text_marker_ends_thinking_as_a_tag_does(pieces: Pieces) -> None:
    plain = texts(end="Final Answer:", closing="\n\nFinal Answer:", wait="\n\nWait,")
    wishes = ids(pieces, " a", "Final", " Answer", ":", " b", "Final", " Answer", ":", "7", "<|end|>")
    generated, forcing = write(Rules(pieces, Budget(max_tokens=20, waits=1), plain), wishes)
    assert pieces.text(generated) == " aFinal Answer\n\nWait, bFinal Answer:7"
    assert forcing.answer(generated) == "Final Answer:7"


def test_steps_are_counted_by_their_marker_and_closed_at_the_last(pieces: Pieces) -> None:
    wishes = ids(pieces, " a", "\n\n", "\n\n", " b", ".\n\n", " c", "\n\n", "7", "<|end|>")
    generated, forcing = write(Rules(pieces, Budget(max_tokens=20, max_steps=2), texts()), wishes)
    assert pieces.text(generated) == " a\n\n\n\n b.\n\n</think>\nFinal Answer:\n\n7"
    assert (forcing.spent.steps, forcing.spent.ended_by) == (2, "max_steps")
    tagged = texts(step="<|step|>", closing="</think>")
    step = [pieces.all.index(b"<|step|>")]
    wishes = [*ids(pieces, " a"), *step, *ids(pieces, "</", " b"), *step, *ids(pieces, "</", "think", ">", "7", "<|end|>")]
    generated, forcing = write(Rules(pieces, Budget(max_tokens=20, min_steps=2, max_steps=3), tagged), wishes)
    assert pieces.text(generated) == " a<|step|> b<|step|></think>7"
    assert (forcing.spent.steps, forcing.spent.ended_by, forcing.spent.guarded) == (2, "the model", 5)


def test_the_closing_tag_of_a_step_is_not_taken_for_that_of_the_thinking(pieces: Pieces) -> None:
    steps = texts(step="</a>", closing="</think>")
    wishes = ids(pieces, " a", "</", "a", ">", " b", "</", "think", "a", ">", "</", "think", ">", "7", "<|end|>")
    generated, forcing = write(Rules(pieces, Budget(max_tokens=20, min_steps=2), steps), wishes)
    assert pieces.text(generated) == " a</a> b</a></think>7"
    assert forcing.spent.steps == 2


def test_an_answer_ends_with_what_stops_it_or_when_it_is_long_enough(pieces: Pieces) -> None:
    rules = Rules(pieces, Budget(max_tokens=9), texts(answer_tokens=3), ["Question:"])
    begin = ids(pieces, " a", "</", "think", ">")
    generated, forcing = write(rules, begin + ids(pieces, "7", "Question", ":", "8", "9"))
    assert pieces.text(generated) == " a</think>7Question:"
    assert forcing.answer(generated) == "</think>7"
    assert forcing.spent.forced[-1].what == "stop"
    generated, forcing = write(rules, begin + ids(pieces, "7", "8", "9", "7"))
    assert pieces.text(generated) == " a</think>789"
    assert generated[-1] in pieces.eos
    assert forcing.spent.forced[-1].what == "answer_tokens"


def test_texts_that_no_tokens_write_are_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<|end|>": 0, "a": 1, "?": 2, "</think>": 3}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pieces = Pieces(PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>", unk_token="?"), frozenset([0]))
    with pytest.raises(ValueError, match=r"the checkpoint's tokenizer cannot write 'Wait': it makes '.*\?'; take other words"):
        Rules(pieces, Budget(max_tokens=3), texts(closing="</think>"))
    rules = Rules(pieces, Budget(max_tokens=3), texts(closing="</think>", wait="a"))
    assert rules.rest_of_closing(b"a </thi") == (3,)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"each": {"x": {"max_tokens": 4, "min_tokens": 5}}}, r"min_tokens=5 is more than max_tokens=4; raise the cap"),
        ({"each": {"x": {"max_tokens": 4, "min_steps": 5, "max_steps": 1}}}, r"min_steps=5 is more than max_steps=1"),
        ({"each": {"x": {"max_tokens": 4, "min_tokens": 2, "max_steps": 1}}}, r"min_tokens=2 and max_steps=1 .* leave one out"),
        ({"each": {"../x": {"max_tokens": 4}}}, r"budget '../x': a name has letters, digits, _ and - alone"),
        ({"each": {}}, r"at least 1 item"),
        ({"closing": "Answer:"}, r"closing 'Answer:' does not hold end '</think>', so that thinking would never be over"),
        ({"wait": "</think>"}, r"wait '</think>' holds end '</think>', which ends the thinking; write another"),
    ],
)
def test_budgets_that_cannot_be_kept_are_refused_on_the_page(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        texts(**keys)
