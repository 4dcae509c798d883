"""Tokens of text with mathematics: the readable pattern says what they are, the compiled pass finds the same."""

import gzip
import json
import random
from pathlib import Path

import pytest

from curation.decontaminate.math_token_hashes import find_hashes, normalised_bytes, original_places
from curation.decontaminate.math_token_kernels import NUMBER, WORD
from curation.decontaminate.math_tokens import find_tokens, normalise

TRICKY = [
    "",
    "a \\, b \\",
    r"1,234,567.5 and 1{,}000 and 1\,000 and 1,\!000 and 1,23 and 1,2345 and 1. and .5 and 12,345,67",
    r"\frac12 \dfrac34x frac7 \frac{1}{2} \sqrt2 \begin{align*} a &= b \end  {x} \begin{unclosed \begin\foo \beginx",
    r"\left( \alpha \right] \sin\theta \Delta \unknown \_x \1 \é \漢 \  <= >= != ! <== --> -- + / = < >",
    "x²³ 10⁻² α≠β 𝛼 １２ ½ ﬁn École İstanbul ΣΑΣ naïve e\u0301 \u00adsoft\u00adhyphen a_b_1 ١٢٣ ١,٠٠٠",
    "求 x 的值。芳芳买了一本书有99页 カタカナ 한국어 text",
    "See [asy] draw((0,0)--(1,1)); [/asy] the é [asy] open",
    "> quoted > 3\n>> >= twice\n \t> > x > 2\n>\\> y\n->z\n\\\n> w\r\n>v\n>= 5\n>>= 6",
    "\ud800 lone \udfff surrogates 😀 \x00\x1f\x85 end",
]


def agree(texts: list[str]) -> None:
    """The compiled pass finds the pattern's tokens at the same places, and tokens and hashes match one to one."""
    found = find_hashes(texts)
    hash_of: dict[str, int] = {}
    token_of: dict[int, str] = {}
    for number, text in enumerate(texts):
        normal = normalise(text)
        mine = slice(found.offsets[number], found.offsets[number + 1])
        expected = find_tokens(normal)
        places = [
            (len(normal[:s].encode("utf-8", "surrogatepass")), normal[s:e].encode("utf-8", "surrogatepass"))
            for _, s, e in expected
        ]
        assert found.starts[mine].tolist() == [start for start, _ in places]
        assert (found.ends[mine] - found.starts[mine]).tolist() == [len(piece) for _, piece in places]
        for (token, _, _), hashed in zip(expected, found.hashes[mine].tolist(), strict=True):
            assert hash_of.setdefault(token, hashed) == hashed, token
            assert token_of.setdefault(hashed, token) == token
            assert bool(hashed & int(NUMBER)) == token[0].isdecimal()
            assert bool(hashed & int(WORD)) <= (not token.startswith("\\"))


def test_the_compiled_pass_finds_the_tokens_of_the_pattern() -> None:
    agree(TRICKY)
    rng = random.Random(5)
    pieces = [
        *"".join(TRICKY),
        "frac",
        "\\",
        "\\begin{",
        "}",
        "{,}",
        ",",
        ".",
        "123",
        "456",
        " ",
        "<=",
        "\\,",
        "\n",
        "\n>",
        "> ",
        "\t",
    ]
    agree(["".join(rng.choices(pieces, k=rng.randint(1, 60))) for _ in range(2_000)])


def test_the_compiled_pass_agrees_with_the_pattern_on_real_texts(shared_data: Path) -> None:
    files = [("text/planetmath_tex", 150), ("text/c4_demo", 150), ("benchmarks/cmath", 150), ("benchmarks/math_test", 300)]
    texts = []
    for name, count in files:
        with gzip.open(shared_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [" ".join(map(str, json.loads(next(lines)).values())) for _ in range(count)]
    agree(texts)


def test_tokens_join_spellings_but_keep_meanings_apart() -> None:
    def tokens(text: str) -> list[str]:
        return [token for token, _, _ in find_tokens(normalise(text))]

    assert tokens(r"$x^{2}+\dfrac12 \leq 1{,}000$, \sin\left(\alpha\right)") == tokens("x² + \\frac{1}{2} ≤ 1,000; sin(α)")
    assert tokens(r"\begin{align*} a &= b \\ \end{align*}") == ["a", "=", "b"]
    assert tokens("> If x > 2\n> > then\n>y") == tokens("If x > 2\nthen\ny")
    assert tokens("求 x 的值") == ["求", "x", "的", "值"]
    assert tokens("１２ 𝑥 10²") == ["12", "x", "10", "2"]
    assert tokens("See [asy] draw((0,0)--(1,1)); [/asy] the figure") == ["see", "the", "figure"]
    assert tokens("α ≠ β") != tokens("α = β")
    assert tokens(r"\Delta") != tokens(r"\delta")
    assert tokens("𝛼𝛽 É") == [r"\alpha", r"\beta", "é"]


def test_hashes_tell_numbers_and_words() -> None:
    one, other = find_hashes(["1 + 22 cats"]).hashes, find_hashes(["7 + 3.5 cats"]).hashes
    assert [int(hashed & NUMBER) for hashed in one] == [1, 0, 1, 0]
    assert (one != other).tolist() == [True, False, True, False]
    assert [int(hashed & WORD > 0) for hashed in one] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "text",
    ["plain words", "Über x² und ﬁne α≠β [asy]draw é;[/asy] Ende É", "Über x² und ﬁne α≠β Ende É", "求 x 的值 e\u0301 end"],
)
def test_places_are_found_again_in_the_text_as_it_was(text: str) -> None:
    normal = normalised_bytes(text)
    places = original_places(text, range(len(normal)))
    assert places == sorted(places)
    assert places == [original_places(text, [place])[0] for place in range(len(normal))]
    for word in (word for word in ("words", "Ende", "end", "und", "x") if word.encode() in normal):
        assert text[places[normal.index(word.encode())] :].startswith(word)


def test_bytes_are_normalised_as_characters_are() -> None:
    for text in TRICKY:
        assert normalised_bytes(text) == normalise(text).encode("utf-8", "surrogatepass")
