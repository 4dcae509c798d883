"""Filters for chains of thought: too long in tokens, in another script, turning round and round, in a loop."""

from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document
from tokenizers import Tokenizer, models, pre_tokenizers

from curation.filters import FILTERS
from recipes.load import load
from recipes.manifest import read_manifest
from recipes.schema import FILTER_PARAMETERS
from tests.curation.small_page import documents, record_stages, run

CALM = "We add three to both sides and divide by two, which gives x = 4. Then we check it in the first equation. " * 3


def judge(name: str, text: str, **params: Any) -> bool | tuple[bool, str]:
    judged = FILTERS[name](FILTER_PARAMETERS[name].model_validate(params)).filter(Document(text=text, id="d"))
    assert isinstance(judged, bool | tuple)
    return judged


def letters(folder: Path) -> str:
    """The folder of a tokenizer for which every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate([*alphabet, "<|end|>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    return str(folder)


@pytest.mark.parametrize(
    "text",
    [
        CALM,
        CALM + "Let α be the angle, ℝ the reals, 𝑥 ∈ ℤ and µ the mean of Erdős' data.",
        CALM * 3 + " Чебышёв",  # one name
        "1 + 1 = 2",
        "",
    ],
)
def test_latin_letters_greek_ones_and_those_of_formulas_are_kept(text: str) -> None:
    assert judge("scripts", text) is True


@pytest.mark.parametrize(
    "slip", ["所以我们得到答案是四", "Итак, мы получаем ответ", "したがって答えは", "그래서 답은 넷이다", "इसलिए उत्तर है"]
)
def test_a_slip_into_another_script_is_dropped(slip: str) -> None:
    assert judge("scripts", CALM + slip) == (False, "other_script")


def test_a_page_may_allow_other_scripts() -> None:
    text = CALM + "所以我们得到答案是四"
    assert judge("scripts", text, allowed=["latin", "han"]) is True
    assert judge("scripts", text, max_other_share=0.5) is True


def test_a_text_that_only_turns_round_is_dropped_and_one_that_doubts_now_and_then_is_kept() -> None:
    assert judge("hesitation", CALM + "Wait, but is that right? Alternatively, maybe not. " * 10) == (False, "too_often")
    assert judge("hesitation", CALM * 4 + "Wait, but is that right? Alternatively, maybe not. " * 3) is True


def test_a_short_text_may_say_but_and_no_word_is_found_inside_another() -> None:
    assert judge("hesitation", "But wait: is it 4?") is True
    assert judge("hesitation", "Butter, waiter, maybes, howevering! " * 20) is True


def test_the_rate_is_counted_for_every_document() -> None:
    doc = Document(text="wait " + "word " * 199, id="d")
    assert FILTERS["hesitation"](FILTER_PARAMETERS["hesitation"]()).filter(doc) is True
    assert doc.metadata["hesitation"] == {"words": 1, "per_1000_words": 5.0}


def test_documents_are_measured_in_tokens_of_the_pages_tokenizer_and_each_guard_is_a_reason(tmp_path: Path) -> None:
    loop = "".join(f"We try {n} and it is not the answer that we want to have here. " for n in "123") * 20
    texts = {
        "kept": CALM,
        "short": "x = 4",
        "long": CALM * 20,
        "chinese": CALM + "所以我们得到答案是四",
        "doubtful": CALM + "Wait, but no. Hmm, maybe. " * 10,
        "loop": loop,
    }
    filters = {
        "tokens": {"min_tokens": 20, "max_tokens": 5_000},
        "scripts": {},
        "hesitation": {},
        "repetition": {"max_top_ngram_share": {}, "max_duplicate_ngram_share": {8: 0.8}},
    }
    rows = [{"q": name, "t": text} for name, text in texts.items()]
    spec = {"format": {"do": "format", "template": "long_cot"}, "guard": {"do": "filter", "filters": filters}}
    columns = {"id": "q", "question": "q", "thinking": "t"}
    planned = record_stages(tmp_path, rows, columns, spec, tokenizer=letters(tmp_path / "letters"))
    assert "tokenizer/tokens" in planned["guard_features"].inputs
    run(planned)
    kept = documents(planned["guard"])
    assert [doc["id"] for doc in kept] == ["kept"]
    assert kept[0]["num_tokens"] == len("kept\n" + CALM.strip())
    counts = read_manifest(planned["guard"].folder)["counts"]
    assert counts["details"] == {
        "hesitation": {"too_often": 1},
        "repetition": {"duplicate_8gram": 1},
        "scripts": {"other_script": 1},
        "tokens": {"too_long": 1, "too_short": 1},
    }


def test_counting_tokens_without_a_tokenizer_is_a_mistake_on_the_page() -> None:
    given = ["tokenizer=null", "stages={read: {do: read}, guard: {do: filter, filters: {tokens: {}}}}"]
    with pytest.raises(ValueError, match=r"the filter `tokens` counts with the page's `tokenizer`, which is not set"):
        load("curate/web_files", given)
    with pytest.raises(ValueError, match=r"min_tokens=9 is above max_tokens=5: nothing could be kept"):
        FILTER_PARAMETERS["tokens"].model_validate({"min_tokens": 9, "max_tokens": 5})
