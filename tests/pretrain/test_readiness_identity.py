"""What a checkpoint's files disagree on is found, and the libraries that load it are really tried."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import readiness_world as world

from pretrain.readiness.identity import checks, numbers, trained_eos
from pretrain.readiness.loading import check, with_transformers
from recipes.manifest import publish
from recipes.stage import Input, Stage, write_stage

PROMPTS = ["Question: so\nAnswer:"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokens = world.tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return world.even_model(tmp_path_factory.mktemp("whole"), tokens, {":": ["7"], "7": ["<|end|>"]})


@pytest.fixture
def checkpoint(whole: Path, tmp_path: Path) -> Path:
    """One that a test may spoil."""
    return Path(shutil.copytree(whole, tmp_path / "checkpoint"))


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (content | changes).items() if value is not None}))


def without_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[world.HEAD]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("<|step|>{{ messages[0].content }}<|end|>")


def test_files_that_agree_pass_every_check(whole: Path) -> None:
    found = checks(whole, PROMPTS, {"curate/web": 0})
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(
        ("files", "end_of_text", "vocabulary", "tied_embedding", "template", "round_trip"), "pass"
    )
    assert "there is no chat template" in found["template"].told


SPOILT: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    "generation": (
        lambda folder: edit(folder / "generation_config.json", eos_token_id=5),
        "end_of_text",
        "fail",
        "generation_config.json names 5 as end of text, the tokenizer 0",
    ),
    "no generation": (
        lambda folder: (folder / "generation_config.json").unlink(),
        "end_of_text",
        "fail",
        "generation_config.json names none as end of text, the tokenizer 0",
    ),
    "config": (
        lambda folder: edit(folder / "config.json", eos_token_id=5),
        "end_of_text",
        "concern",
        "config.json names 5 as end of text, the tokenizer 0",
    ),
    "no end": (
        lambda folder: edit(folder / "tokenizer_config.json", eos_token=None),
        "end_of_text",
        "fail",
        "names no eos_token",
    ),
    "rows": (lambda folder: edit(folder / "config.json", vocab_size=999), "vocabulary", "fail", "config.json says 999 rows"),
    "head": (without_head, "tied_embedding", "fail", "the weights have no lm_head.weight"),
    "tied": (lambda folder: edit(folder / "config.json", tie_word_embeddings=True), "tied_embedding", "concern", "hold lm_head"),
    "chat": (chat_template, "template", "concern", "its chat template writes special tokens: '<|end|>', '<|step|>'"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_does_not_agree_is_told(checkpoint: Path, name: str) -> None:
    spoil, where, verdict, told = SPOILT[name]
    spoil(checkpoint)
    found = checks(checkpoint, PROMPTS, {})[where]
    assert found.verdict == verdict
    assert told in found.told


def damaged(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def with_infinity(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights[world.HEAD][1, 1] = float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def more_ids(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"]["so wait"] = 99_999
    file.write_text(json.dumps(content))


BROKEN: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "half the weights": (damaged, "files", "model.safetensors is damaged (Error while deserializing header"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "files", "there is no tokenizer.json"),
    "no JSON": (lambda folder: (folder / "tokenizer.json").write_text("{"), "files", "tokenizer.json is damaged ("),
    "config": (lambda folder: (folder / "config.json").write_text("{"), "files", "config.json is no JSON ("),
    "list": (lambda folder: (folder / "generation_config.json").write_text("[]"), "files", "generation_config.json holds no obj"),
    "template": (
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }"),
        "template",
        "its chat template cannot be used (TemplateSyntaxError: unexpected '}')",
    ),
    "end": (
        lambda folder: edit(folder / "tokenizer_config.json", eos_token="<nowhere>"),
        "end_of_text",
        "tokenizer_config.json names '<nowhere>' as end of text, and tokenizer.json does not have it",
    ),
    "ids": (more_ids, "vocabulary", "the tokenizer has ids up to 99999, the weights only"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_fails_its_check_and_the_others_go_on(checkpoint: Path, name: str) -> None:
    spoil, where, told = BROKEN[name]
    spoil(checkpoint)
    found = checks(checkpoint, PROMPTS, {})
    assert found[where].verdict == "fail"
    assert told in found[where].told
    assert set(found) == {"files", "end_of_text", "vocabulary", "tied_embedding", "template", "round_trip"}


def test_weights_that_are_no_numbers_are_named(whole: Path, checkpoint: Path) -> None:
    assert numbers(whole).verdict == "pass"
    with_infinity(checkpoint)
    found = numbers(checkpoint)
    assert (found.verdict, found.told) == ("fail", "weights that are no finite numbers: lm_head.weight")
    damaged(checkpoint)
    assert numbers(checkpoint).verdict == "not measured"


def test_several_ends_of_text_are_enough_where_one_is_the_tokenizers(checkpoint: Path) -> None:
    edit(checkpoint / "generation_config.json", eos_token_id=[5, 0])
    assert checks(checkpoint, PROMPTS, {})["end_of_text"].verdict == "pass"


def test_a_prompt_with_a_special_token_is_a_concern(whole: Path) -> None:
    found = checks(whole, ["Question: <|step|> so"], {})["template"]
    assert (found.verdict, found.told) == ("concern", "prompts hold special tokens: '<|step|>'")


def test_the_token_that_ended_documents_is_followed_back_to_the_data(whole: Path, tmp_path: Path) -> None:
    def made(page: str, do: str, room: str, details: dict[str, Any], **inputs: Path) -> Path:
        entries = {role: Input(str(folder), "identity", str(folder)) for role, folder in inputs.items()}
        stage = Stage(page, do, room, do, 1, {}, entries, {}, "0" * 12, tmp_path / page / do)
        write_stage(stage)
        publish(stage, counts={}, started=0.0, details=details)
        return stage.folder

    web = made("curate/web", "tokenize", "curation", {"eos_id": 7})
    stable = made("train/mine", "train", "pretrain", {}, dataset=web)
    export = made("train/mine", "export", "pretrain", {}, checkpoint=stable)
    assert trained_eos(export) == {"curate/web": 7}
    assert trained_eos(tmp_path / "nowhere") == {}
    found = checks(whole, PROMPTS, trained_eos(export))["end_of_text"]
    assert (found.verdict, found.told) == ("fail", "documents of curate/web ended with 7, the tokenizer's end of text is 0")


def test_transformers_is_really_tried_and_says_what_is_wrong(whole: Path, checkpoint: Path) -> None:
    assert with_transformers(str(whole), "float32").startswith("loaded and generated")
    without_head(checkpoint)
    broken = check("transformers", checkpoint, "float32")
    assert broken.verdict == "fail"
    assert "missing_keys: lm_head.weight" in broken.told


def test_what_is_not_installed_is_said_to_be_so(whole: Path) -> None:
    found = check("no_such_library", whole, "float32")
    assert (found.verdict, found.told) == ("not measured", "not installed")
