"""tiktoken is taken only where it gives the ids that `tokenizers` gives."""

import gzip
import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from curation.tokens.byte_pairs import BytePairs
from curation.tokens.llama3_tokenizer import PATTERN, byte_letters
from curation.tokens.tokenizer import DocumentTokenizer

EOS = "<|end|>"
TEXTS = ["A cab, a bab: $x_1 \\ge 2$.", "e\u0301 and \u00e9, α ≠ β\n\n  \t!", "", "It's 12345 o'clock", "b" * 300]


def byte_level(merges: list[tuple[str, str]], pre_tokenizer: pre_tokenizers.PreTokenizer | None = None) -> Tokenizer:
    """A BPE of all bytes and these merges, in their order."""
    vocabulary = {letter: number for number, letter in enumerate(byte_letters())}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(EOS, special=True)])
    tokenizer.encode_special_tokens = True
    return tokenizer


MERGES = [("a", "b"), ("c", "ab"), ("b", "b"), ("bb", "bb")]


def save(tokenizer: Tokenizer, folder: Path) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS}))
    return folder


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    ],
    ids=["gpt2", "llama3"],
)
def test_ids_are_equal(pre_tokenizer: pre_tokenizers.PreTokenizer) -> None:
    tokenizer = byte_level(MERGES, pre_tokenizer)
    fast = BytePairs(tokenizer)
    for text in (*TEXTS, f"a page that says {EOS}"):
        ids = fast.encode(text)
        assert ids is not None
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids


def test_texts_are_composed_where_the_tokenizer_composes_them() -> None:
    tokenizer = byte_level(MERGES)
    tokenizer.normalizer = normalizers.NFC()
    fast = BytePairs(tokenizer)
    one, other = fast.encode("e\u0301"), fast.encode("\u00e9")
    assert one is not None
    assert other is not None
    assert one.tolist() == other.tolist() == tokenizer.encode("e\u0301").ids


def test_texts_with_added_tokens_that_are_not_special_are_left_to_tokenizers() -> None:
    tokenizer = byte_level(MERGES)
    tokenizer.add_tokens(["<think>"])
    fast = BytePairs(tokenizer)
    assert fast.encode("<think> cab") is None
    assert fast.encode("think cab") is not None


def test_merges_out_of_the_order_of_ids_are_refused() -> None:
    tokenizer = byte_level(MERGES)
    content = json.loads(tokenizer.to_str())
    content["model"]["merges"].reverse()
    with pytest.raises(ValueError, match="merges are not in the order of its ids"):
        BytePairs(Tokenizer.from_str(json.dumps(content)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: setattr(t, "normalizer", normalizers.Lowercase()), "changes texts before it"),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Whitespace()), "cuts texts in a way"),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)), "cuts texts in a way"),
    ],
)
def test_other_tokenizers_are_refused(change, why: str) -> None:  # type: ignore[no-untyped-def]
    tokenizer = byte_level(MERGES)
    change(tokenizer)
    with pytest.raises(ValueError, match=why):
        BytePairs(tokenizer)


DISAGREEING = [("a", "b"), ("b", "c"), ("a", "bc")]  # "abc": `tokenizers` cannot join ab and c, tiktoken does


def test_a_difference_in_the_first_documents_ends_the_fast_way(tmp_path: Path) -> None:
    tokenizer = byte_level(DISAGREEING)
    documents = DocumentTokenizer(save(tokenizer, tmp_path))
    assert documents.encoder == "tiktoken"
    texts = ["zzz", "abc"]
    eos = tokenizer.token_to_id(EOS)
    assert [ids.tolist() for ids in documents.encode(texts)] == [[*tokenizer.encode(text).ids, eos] for text in texts]
    assert documents.encoder == "tokenizers"


def test_a_later_difference_is_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    folder = save(byte_level(DISAGREEING), tmp_path)
    documents = DocumentTokenizer(folder)
    documents.encode(["zzz"])
    with pytest.raises(ValueError, match=r"different ids for a text that begins 'abc'; set encoder: tokenizers"):
        documents.encode(["abc"])
    slow = DocumentTokenizer(folder, "tokenizers")
    slow.encode(["zzz"])
    assert slow.encode(["abc"])[0].tolist() == [*slow.tokenizer.encode("abc").ids, slow.eos]


def test_gpt2_ids_are_equal_on_real_text(shared_data: Path) -> None:
    tokenizer = Tokenizer.from_file(str(shared_data / "tokenizer" / "gpt2_tokenizer.json"))
    fast = BytePairs(tokenizer)
    for name in ("planetmath_tex", "c4_demo"):
        with gzip.open(shared_data / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts = [json.loads(line)["text"] for line, _ in zip(file, range(100), strict=False)]
        for text, encoding in zip(texts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            ids = fast.encode(text)
            assert ids is not None
            assert ids.tolist() == encoding.ids
