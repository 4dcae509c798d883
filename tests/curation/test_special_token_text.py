"""Texts that spell special tokens out hold none of their ids, whatever tokenizer.json says of these tokens."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curation.tokens.llama3_tokenizer import PATTERN
from curation.tokens.tokenizer import DocumentTokenizer
from tests.curation.test_encoders import EOS, MERGES, UNKNOWN_PATTERN, byte_level

ROLES = {"bos_token": "<|bos|>", "eos_token": EOS, "pad_token": "<|pad|>", "unk_token": {"content": "<|unk|>"}}
PROTECTED = ("<|bos|>", EOS, "<|pad|>", "<|unk|>")
TOOL = "<tool_call>"


def folder_of(tmp_path: Path, *, pattern: str = PATTERN, is_special: bool = False, file: str = "tokenizer_config.json") -> Path:
    """Its tokenizer.json flags the tokens with roles as told, and never `<tool_call>`."""
    tokenizer = byte_level(MERGES, pattern)
    tokenizer.add_tokens([*PROTECTED, TOOL])
    content = json.loads(tokenizer.to_str())
    for entry in content["added_tokens"]:
        entry["special"] = is_special and entry["content"] != TOOL
    folder = tmp_path / str(is_special)
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / file).write_text(json.dumps(ROLES))
    return folder


@pytest.mark.parametrize(
    ("pattern", "encoder", "name"),
    [(PATTERN, "auto", "compiled"), (UNKNOWN_PATTERN, "auto", "tiktoken"), (PATTERN, "tokenizers", "tokenizers")],
)
def test_a_role_makes_a_token_special_for_all_ways_of_encoding(tmp_path: Path, pattern: str, encoder: str, name: str) -> None:
    flagged = DocumentTokenizer(folder_of(tmp_path, pattern=pattern, is_special=True), encoder, end_of_text=False)
    opened = DocumentTokenizer(folder_of(tmp_path, pattern=pattern), encoder, end_of_text=False)
    texts = ["cab", *(text for token in PROTECTED for text in (token, f"a {token} b", f"{token}{token}\n{TOOL} cab"))]
    encoded = opened.encode(texts)
    assert opened.encoder.name == name
    found = [ids.tolist() for ids in encoded.documents()]
    assert found == [ids.tolist() for ids in flagged.encode(texts).documents()]
    ids = {token: opened.tokenizer.token_to_id(token) for token in (*PROTECTED, TOOL)}
    for text, document in zip(texts, found, strict=True):
        assert not {ids[token] for token in PROTECTED} & set(document)
        assert document.count(ids[TOOL]) == text.count(TOOL)
        assert opened.tokenizer.decode(document, skip_special_tokens=False) == text


def test_the_special_tokens_map_names_roles_too(tmp_path: Path) -> None:
    opened = DocumentTokenizer(folder_of(tmp_path, file="special_tokens_map.json"))
    assert opened.encode([f"a {EOS} b"]).tokens.tolist().count(opened.eos) == 1


def test_gpt2_without_flags_keeps_its_end_of_text_behind_documents(tmp_path: Path, shared_data: Path) -> None:
    content = json.loads((shared_data / "tokenizer" / "gpt2_tokenizer.json").read_text())
    content["added_tokens"][0]["special"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    opened = DocumentTokenizer(tmp_path)
    encoded = opened.encode(["a <|endoftext|> b"])
    assert encoded.tokens.tolist() == [64, 1279, 91, 437, 1659, 5239, 91, 29, 275, 50256]
    assert encoded.num_left == 0


def test_a_page_may_register_a_token_that_is_not_flagged_and_no_ordinary_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    opened = DocumentTokenizer(folder, end_of_text=False, marks=(TOOL,))
    assert opened.marks == {TOOL: opened.tokenizer.token_to_id(TOOL)}
    assert opened.encode([f"cab{TOOL}cab"]).tokens.tolist() == [257, opened.marks[TOOL], 257]
    with pytest.raises(ValueError, match="'cab' is an ordinary token of the tokenizer; choose another one"):
        DocumentTokenizer(folder, marks=("cab",))


def test_a_vocabulary_that_spells_its_end_of_text_is_refused(tmp_path: Path) -> None:
    """As Unigram models do, whose pieces are found in any text."""
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("</s>", 0.0), ("a", -1.0), ("\u2581", -2.0)], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken("</s>", special=True), AddedToken("<unk>", special=True)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", "unk_token": "<unk>"}))
    with pytest.raises(ValueError, match=r"makes its eos_token of the text '</s>', .* name another eos_token in"):
        DocumentTokenizer(tmp_path)
