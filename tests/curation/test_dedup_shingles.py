"""Both ways of signing texts, compiled and plain, see the same words, and they are the words of Python."""

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from curation.dedup.shingles import MinHash, Shingler, Signer, fold, lower, text_keys

ALPHABET = "aB z09_.,;-\n\t\r\x0b\x1c\x85\xa0\u2003\u3000éÉßİıΣσςǅÅ‛’“πΠ∑√≤𝔸𝒳中文字ปัญหाहिन्दी٣²½ⅷ\u0301\u200b\ufeff👩‍🔬\x00\x7f"
TEXTS = (
    "",
    " ",
    "\n\t \u2003",
    "x",
    "2 + 2 = 4",
    "one two three four",
    "one two three four five",
    "ΟΔΥΣΣΕΥΣ ΣΙΣΥΦΟΣ und STRASSE, İstanbul IŞIK ﬁnal ﬂow",
    "\x00 a \x00b\x00",
    "$\\frac{1}{2}x^{2}+\\alpha_{i}\\,dx$ and $e^{i\\pi}=-1$ " * 5,
    "word " * 300,
    "中文 字符 测试 数学 公式 " * 20,
)


def random_texts(num: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(300))) for _ in range(num)]


@pytest.mark.parametrize("ngram", [1, 5, 9])
def test_the_compiled_path_and_numpy_give_the_same_hashes(ngram: int) -> None:
    texts = pa.array([*TEXTS, *random_texts(300, seed=ngram)], pa.large_string())
    minhash = MinHash(4, 3, seed=ngram)
    compiled, plain = (Signer(ngram, minhash, by_kernel=by_kernel)(texts) for by_kernel in (True, False))
    assert np.array_equal(compiled.keys, plain.keys)
    assert np.array_equal(compiled.starts, plain.starts)
    assert np.array_equal(compiled.packed, plain.packed)
    assert np.array_equal(compiled.band_keys, plain.band_keys)


def test_every_assigned_code_point_gives_the_same_hashes_on_both_paths() -> None:
    assigned = [*range(0xD800), *range(0xE000, 0x34000), *range(0xE0000, 0xE0200), 0x10FFFF]
    texts = pa.array(["x".join(map(chr, assigned[at::100])) for at in range(100)], pa.large_string())
    minhash = MinHash(1, 1, seed=0)
    compiled, plain = (Signer(2, minhash, by_kernel=by_kernel)(texts) for by_kernel in (True, False))
    assert np.array_equal(compiled.packed, plain.packed)
    assert np.array_equal(compiled.keys, plain.keys)


def test_a_slice_of_texts_is_signed_like_the_texts_alone() -> None:
    texts = pa.array(TEXTS, pa.large_string())
    signer = Signer(5, MinHash(2, 2, seed=1))
    part, alone = signer(texts.slice(4, 6)), signer(pa.array(TEXTS[4:10], pa.large_string()))
    assert np.array_equal(part.band_keys, alone.band_keys)
    assert np.array_equal(part.keys, alone.keys)
    assert len(signer(texts.slice(3, 0)).keys) == 0


def test_words_are_those_of_a_regular_expression_on_lower_case_text() -> None:
    for text in (*TEXTS, *random_texts(200, seed=3)):
        words = re.findall(r"\w+", text.lower())
        if "İ" not in text and "Σ" not in text:
            assert re.findall(r"\w+", lower(text)) == words
    one, other = (Shingler(2)(text) for text in ("Ein ΣΟΦΟΣ, so ISTANBUL", "ein σοφοσ so istanbul"))
    assert one.tolist() == other.tolist()
    assert len(Shingler(3)("a b c d e")) == 3


def test_a_shingle_depends_on_the_order_of_its_words() -> None:
    words = np.array([[1], [2], [3]], np.uint64)
    assert fold(words).tolist() != fold(words[::-1]).tolist()
    assert Shingler(3)("a b c").tolist() != Shingler(3)("c b a").tolist()


@pytest.mark.parametrize("by_kernel", [True, False])
def test_text_keys_differ_unless_texts_are_equal_up_to_white_space(by_kernel: bool) -> None:
    same = ["a b\nc.", " a  b\u2003c.\n", "a\tb c."]
    others = ["ab c.", "a bc.", "a b c", "a b c .", "A b c.", "b a c.", "", "a b c.\x00"]
    keys = text_keys(pa.array([*same, *others], pa.large_string()), by_kernel=by_kernel).tolist()
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 1 + len(others)


@pytest.mark.parametrize("num_bands", [1, 2, 5])
def test_both_ends_of_a_permutation_never_share_a_band(num_bands: int) -> None:
    minhash = MinHash(num_bands, 4, seed=3)
    bands = minhash.signature(np.array([12345], np.uint32)).reshape(minhash.shape)  # the smallest value is the largest
    assert all(len(set(band)) == 4 for band in bands.tolist())
    half = len(minhash.a) // 4
    assert np.array_equal(bands[half:], bands[: num_bands - half])


def test_a_long_text_is_signed_block_after_block() -> None:
    minhash = MinHash(2, 3, seed=3)
    shingles = np.random.default_rng(0).integers(0, 1 << 32, 5_000, np.uint64).astype(np.uint32)
    permuted = minhash.a[:, None] * shingles + minhash.b[:, None]
    assert np.array_equal(minhash.signature(shingles), np.r_[permuted.min(axis=1), permuted.max(axis=1)])
