"""Faster ways of encoding are taken only where they give the ids that `tokenizers` gives."""

import gzip
import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from curation.tokens.byte_level import COMPOSED, GPT2_PATTERN, Preparation, read_byte_level
from curation.tokens.checked_encoder import NUM_CHECKED_FIRST, PROBES, CheckedEncoder
from curation.tokens.compiled_encoder import CompiledEncoder
from curation.tokens.llama3_tokenizer import PATTERN, byte_letters
from curation.tokens.merge_kernel import LONGEST_WORD_BYTES
from curation.tokens.tiktoken_encoder import TiktokenEncoder
from curation.tokens.tokenizer import DocumentTokenizer
from curation.tokens.word_rules import QWEN2_PATTERN, QWEN35_PATTERN, SURROGATES, WORD_RULES

EOS = "<|end|>"
MERGES = [("a", "b"), ("c", "ab"), ("b", "b"), ("bb", "bb"), ("Ġ", "Ġ"), ("Ċ", "Ċ"), ("1", "2"), ("Ã", "©"), ("e", "d")]
DISAGREEING = [("a", "b"), ("b", "c"), ("a", "bc")]  # "abc": `tokenizers` cannot join ab and c, tiktoken does
UNKNOWN_PATTERN = r"[^\s]+|\s+"
# what words are told apart by, characters of all scripts and planes, and some that no Unicode has named yet
PIECES = (
    *"abcSsTtDdMmLlRrVvEe 019'\n\r\t.,;!?$\\{}^_=+-/<>|",
    *("'s", "'LL", "'\u017f", "  ", "    ", "\n\n", "\r\n", " \n ", "12", "123", "ab", "cab", "bbbb", EOS, "<|endoftext|>"),
    *"éß\u0301\u0308\u0378\u0409\u05d0\u0627\u0903\u0e31\u0e33\u1100\u1161\u1680\u2003\u2009\u200b\u200d\u2028\u202f\u2167⅔²①",
    *"求の한글\u3000\u3099\ue000\ufeff\ufffd\U0001d7ce\U0001f642\U00010330\U0001e900\U000323b0\U000e0041\U0010ffff\x00\x0b\x0c\x1c\x7f\x85\xa0",
)


def byte_level(merges: list[tuple[str, str]], pattern: str = PATTERN) -> Tokenizer:
    """A BPE of all bytes and these merges, in their order."""
    vocabulary = {letter: number for number, letter in enumerate(byte_letters())}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(EOS, special=True)])
    tokenizer.encode_special_tokens = True
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS}))
    return folder


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def random_texts(num: int) -> list[str]:
    rng = random.Random(1)
    every = [point for point in range(0x110000) if point not in SURROGATES]
    texts = ["".join(rng.choices(PIECES, k=rng.randrange(1, 60))) for _ in range(num)]
    return texts + ["".join(map(chr, rng.sample(every, 40))) for _ in range(num // 4)]


@pytest.mark.parametrize("pattern", WORD_RULES, ids=["gpt2", "llama3", "qwen2", "qwen35"])
def test_the_compiled_pass_gives_the_ids_of_tokenizers_for_texts_of_all_characters(pattern: str) -> None:
    tokenizer = byte_level(MERGES, pattern)
    encoder = CompiledEncoder(read_byte_level(tokenizer))
    texts = [*random_texts(2_000), *PROBES]
    mine = [ids.tolist() for ids in encoder.encode(texts).texts()]
    for text, found, expected in zip(texts, mine, ids_of(tokenizer, texts), strict=True):
        assert found == expected, text


def test_the_expressions_are_those_of_qwen() -> None:
    rest = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    assert r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + rest == QWEN2_PATTERN
    rest = rest.replace(r"\p{L}", r"\p{L}\p{M}")
    assert r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}" + rest == QWEN35_PATTERN


def test_words_are_remembered_only_as_themselves() -> None:
    tokenizer = byte_level([])
    encoder = CompiledEncoder(read_byte_level(tokenizer))
    words = ["a", "a\0", "\0a", "\0", "\0\0", "abc", "abcd", "abcdefgh", "abcdefgh\0", "abcdefghijklmno", "abcdefghijklmnop"]
    texts = [*words, *reversed(words)]
    assert [ids.tolist() for ids in encoder.encode(texts).texts()] == ids_of(tokenizer, texts)


def test_a_forgotten_word_is_encoded_again() -> None:
    tokenizer = byte_level(MERGES)
    encoder = CompiledEncoder(read_byte_level(tokenizer))
    encoder._memory = encoder._memory[:2].copy()
    texts = [f"cab {number} éab bb{number % 7}" for number in range(500)]
    assert [ids.tolist() for ids in encoder.encode(texts).texts()] == ids_of(tokenizer, texts)


def test_a_word_that_is_a_token_stays_whole_where_the_tokenizer_says_so() -> None:
    tokenizer = byte_level(MERGES)
    content = json.loads(tokenizer.to_str())
    content["model"]["vocab"]["abab"] = content["model"]["vocab"]["abcabcabcabcabcabcabc"] = 500
    content["model"]["vocab"]["abab"] = 501
    for whole_words in (True, False):
        content["model"]["ignore_merges"] = whole_words
        tokenizer = Tokenizer.from_str(json.dumps(content))
        texts = ["abab", "abcabcabcabcabcabcabc", "ababab", "abab ab"]
        found = CompiledEncoder(read_byte_level(tokenizer)).encode(texts).texts()
        assert [ids.tolist() for ids in found] == ids_of(tokenizer, texts)
        assert (found[0].tolist() == [501]) is whole_words


@pytest.mark.parametrize("character", ["a", " ", "\n", "求", "=", "1"])
def test_very_long_words_are_left_to_tokenizers(character: str) -> None:
    tokenizer = byte_level(MERGES, GPT2_PATTERN)
    encoder = CheckedEncoder(tokenizer)
    texts = ["cab", "ab " + character * 50_000, character * (LONGEST_WORD_BYTES // len(character.encode()))]
    encoded, num_left = encoder.encode(texts)
    assert num_left == 1
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)


@pytest.mark.parametrize("pattern", [PATTERN, UNKNOWN_PATTERN], ids=["compiled", "tiktoken"])
def test_texts_are_composed_where_the_tokenizer_composes_them(pattern: str) -> None:
    tokenizer = byte_level(MERGES, pattern)
    tokenizer.normalizer = normalizers.NFC()
    texts = ["e\u0301", "\u00e9", "가\u11a8 \u1112\u1161\u11ab", "a\u0323\u0307 \u212b \u2126 ≠ =\u0338", "“é” — ≤"]
    encoded, _ = CheckedEncoder(tokenizer).encode(texts)
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)
    assert encoded.texts()[0].tolist() == encoded.texts()[1].tolist()


def test_characters_that_are_taken_for_composed_never_change() -> None:
    every = [chr(point) for point in range(0x10000) if COMPOSED.fullmatch(chr(point))]
    seconds = {
        unicodedata.normalize("NFD", chr(point))[-1]
        for point in range(0x30000)
        if len(unicodedata.decomposition(chr(point)).split()) == 2
    }
    assert len(every) > 20_000
    for character in every:
        assert unicodedata.is_normalized("NFC", character)
        assert not unicodedata.combining(character)
    composing = {second for second in seconds if unicodedata.combining(second)}
    assert not composing & set(every)


def test_texts_with_added_tokens_that_are_not_special_are_left_to_tokenizers() -> None:
    tokenizer = byte_level(MERGES)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<K>", normalized=True)])
    prepare = Preparation(tokenizer)
    assert prepare("<K> cab") is None
    assert prepare("<\u212a> cab") is None  # composed, the Kelvin sign is a K
    assert prepare("K cab") == "K cab"
    texts = ["<K> cab", "cab", "<\u212a> cab"]
    encoded, num_left = CheckedEncoder(tokenizer).encode(texts)
    assert num_left == 2
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)


def test_tokenizers_of_other_expressions_are_encoded_by_tiktoken() -> None:
    tokenizer = byte_level(MERGES, UNKNOWN_PATTERN)
    encoder = CheckedEncoder(tokenizer)
    texts = random_texts(200)
    encoded, _ = encoder.encode(texts)
    assert encoder.name == "tiktoken"
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)


def test_tiktoken_refuses_merges_out_of_the_order_of_ids_and_the_compiled_pass_does_not() -> None:
    tokenizer = byte_level(MERGES)
    content = json.loads(tokenizer.to_str())
    content["model"]["merges"].reverse()
    tokenizer = Tokenizer.from_str(json.dumps(content))
    with pytest.raises(ValueError, match="merges are not in the order of its ids"):
        TiktokenEncoder(read_byte_level(tokenizer))
    texts = random_texts(200)
    encoded, _ = CheckedEncoder(tokenizer).encode(texts)
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: setattr(t, "normalizer", normalizers.Lowercase()), "changes texts before it"),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Whitespace()), "cuts texts in a way"),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)), "cuts texts in a way"),
        (lambda t: setattr(t, "model", models.BPE({"a": 0}, [])), "lacks tokens for single bytes"),
        (lambda t: setattr(t, "model", models.WordLevel({"a": 0}, "a")), "is not a byte-level BPE"),
    ],
)
def test_other_tokenizers_are_encoded_by_tokenizers(change: Callable[[Tokenizer], None], why: str) -> None:
    tokenizer = byte_level(MERGES)
    change(tokenizer)
    with pytest.raises(ValueError, match=why):
        read_byte_level(tokenizer)
    assert CheckedEncoder(tokenizer).name == "tokenizers"


def test_a_difference_in_the_first_documents_ends_the_fast_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = byte_level(DISAGREEING, UNKNOWN_PATTERN)
    documents = DocumentTokenizer(save(tokenizer, tmp_path))
    assert documents.encoder.name == "tiktoken"
    texts = ["zzz", "abc"]
    eos = tokenizer.token_to_id(EOS)
    assert [ids.tolist() for ids in documents.encode(texts).documents()] == [[*ids, eos] for ids in ids_of(tokenizer, texts)]
    assert documents.encoder.name == "tokenizers"
    assert "tiktoken and tokenizers give different ids for a text that begins 'abc': the latter are taken" in caplog.text


def test_a_difference_of_the_compiled_pass_is_found_and_the_next_way_taken(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = byte_level(MERGES)
    encoder = CheckedEncoder(tokenizer)
    assert isinstance(encoder._encoder, CompiledEncoder)
    encoder._encoder._model.byte_ids[ord("z")] = 0  # as a defect would
    texts = ["cab", "zzz"]
    encoded, _ = encoder.encode(texts)
    assert encoder.name == "tiktoken"
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)
    assert "compiled and tokenizers give different ids" in caplog.text


def test_a_later_difference_is_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    folder = save(byte_level(DISAGREEING, UNKNOWN_PATTERN), tmp_path)
    documents = DocumentTokenizer(folder)
    documents.encode(["zzz"] * NUM_CHECKED_FIRST)
    with pytest.raises(ValueError, match=r"different ids for a text that begins 'abc'; set encoder: tokenizers"):
        documents.encode(["abc"])
    slow = DocumentTokenizer(folder, "tokenizers")
    slow.encode(["zzz"])
    assert slow.encode(["abc"]).tokens.tolist() == [*ids_of(slow.tokenizer, ["abc"])[0], slow.eos]


def test_gpt2_ids_are_equal_on_real_text(shared_data: Path) -> None:
    tokenizer = Tokenizer.from_file(str(shared_data / "tokenizer" / "gpt2_tokenizer.json"))
    encoder = CheckedEncoder(tokenizer)
    for name in ("planetmath_tex", "c4_demo"):
        with gzip.open(shared_data / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts = [json.loads(line)["text"] for line, _ in zip(file, range(100), strict=False)]
        encoded, _ = encoder.encode(texts)
        assert encoder.name == "compiled"
        assert [ids.tolist() for ids in encoded.texts()] == ids_of(tokenizer, texts)


def test_ids_are_equal_on_real_pages_in_many_languages(shared_data: Path) -> None:
    with gzip.open(shared_data / "web" / "web_thirdparty.jsonl.gz", "rt", encoding="utf-8") as file:
        pages = [json.loads(line)["html"][:20_000] for line, _ in zip(file, range(60), strict=False)]
    gpt2 = Tokenizer.from_file(str(shared_data / "tokenizer" / "gpt2_tokenizer.json"))
    gpt2.pre_tokenizer = byte_level([], QWEN2_PATTERN).pre_tokenizer
    gpt2.normalizer = normalizers.NFC()
    encoder = CheckedEncoder(gpt2)
    encoded, _ = encoder.encode(pages)
    assert encoder.name == "compiled"
    assert [ids.tolist() for ids in encoded.texts()] == ids_of(gpt2, pages)
