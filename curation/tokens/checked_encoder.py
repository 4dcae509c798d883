"""Texts to ids in the fastest way that gives those of `tokenizers`: proven on probes and on the first texts, watched on one text
of every batch after them. A text that only `tokenizers` can encode is left to it.
"""

import logging
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from curation.tokens.byte_level import Encoded, Preparation, joined, read_byte_level

NUM_CHECKED_FIRST = 64  # texts on which both ways must agree before the fast one is taken
PROBES = (
    "",
    " ",
    "a",
    "Let $x^{2}+3x = 10$; then $\\frac{-3 \\pm \\sqrt{49}}{2} \\in \\{2, -5\\}$.",
    "I'LL we've They're d'accord 'tis o'clock's it'S 'Re'vE'm'D'\u017f ''s '",
    "1 12 123 1234 12345 3.14159 1,000,000 ١٢٣٤٥ ⅔ x² ¼½ 𝟏𝟐𝟑𝟒",
    "tabs\t\tand   spaces    \n\n\n  \r\n\t indented\n    code = [1, 2]\n",
    "all\u0009white\u000b\u000cspace\u0085\u00a0\u1680\u2000 \u2007\u2028\u2029\u202f\u205f\u3000end \u3000 \u00a0",
    "Ünïcödé α ≠ β 求 x 的值 か\u3099 e\u0301 🙂\u200d🙂 \u00a0\u2009\ufeff \u0000 \u001b[0m \ud7a3",
    "Привет мир; שלום עולם; مرحبا بالعالم; नमस्ते दुनिया; สวัสดีชาวโลก; 안녕 세상; こんにちは世界; γειά σου",
    "\u0301\u0302 !\u0300a \u0e31\u0e33 \u0903\u0300\n\u200b.\r\n\r\n)\n\n (\r \ue000 \U0001f1e9\U0001f1ea \U000e0041 \U0010ffff",
    "=" * 50 + "-" * 70 + "a" * 60 + "ab" * 60 + "\n" * 40 + " " * 90 + "!",
    "<|end_of_text|> <|begin_of_text|> <s></s> [INST] <think>",
)
logger = logging.getLogger(__name__)


class Encoder(Protocol):
    """A faster way to encode prepared texts than `tokenizers`."""

    name: str

    def encode(self, texts: list[str]) -> Encoded: ...


class CheckedEncoder:
    """`wanted` is a tokenize stage's `encoder`: "auto" takes the fastest way there is, "tokenizers" no faster one."""

    def __init__(self, tokenizer: Tokenizer, wanted: str = "auto"):
        self._tokenizer = tokenizer
        self._encoders = self._agreeing() if wanted == "auto" else iter(())
        self._encoder = next(self._encoders, None)
        self._num_checked = 0

    @property
    def name(self) -> str:
        return self._encoder.name if self._encoder else "tokenizers"

    def encode(self, texts: list[str]) -> tuple[Encoded, int]:
        """Also how many texts a fast way left to `tokenizers`. A difference in the first texts ends a way for ever; a later one
        is an error."""
        while self._encoder:
            encoded, num_left = self._encode_fast(self._encoder, texts)
            checked = texts[: 1 if self._num_checked else NUM_CHECKED_FIRST]
            pairs = zip(encoded.first(len(checked)).texts(), self._encode_slowly(checked).texts(), strict=True)
            different = [i for i, (mine, reference) in enumerate(pairs) if not np.array_equal(mine, reference)]
            if not different:
                self._num_checked += len(checked)
                self._encoders = iter(())  # from now on no other is taken, and what opening one needs is free
                return encoded, num_left
            self._refuse(f"{self.name} and tokenizers give different ids for a text that begins {texts[different[0]][:80]!r}")
        return self._encode_slowly(texts), 0

    def _refuse(self, why: str) -> None:
        if self._num_checked:
            raise ValueError(f"{why}; set encoder: tokenizers on the tokenize stage")
        logger.warning("%s: the latter are taken", why)
        self._encoder = next(self._encoders, None)

    def _encode_fast(self, encoder: Encoder, texts: list[str]) -> tuple[Encoded, int]:
        prepared = [self._prepare(text) for text in texts]
        encoded = encoder.encode([text or "" for text in prepared])
        left = [i for i, length in enumerate(encoded.lengths.tolist()) if length < 0 or prepared[i] is None]
        if left:
            found = encoded.texts()
            for i, ids in zip(left, self._encode_slowly([texts[i] for i in left]).texts(), strict=True):
                found[i] = ids
            encoded = joined(found)
        return encoded, len(left)

    def _encode_slowly(self, texts: list[str]) -> Encoded:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return joined([np.array(encoding.ids, np.uint32) for encoding in encodings])

    def _agreeing(self) -> Iterator[Encoder]:
        """The ways that give the same ids for the probes, the fastest first."""
        from curation.tokens.compiled_encoder import CompiledEncoder  # imports numba, which joining ranks' files does not need
        from curation.tokens.tiktoken_encoder import TiktokenEncoder

        try:
            model, self._prepare = read_byte_level(self._tokenizer), Preparation(self._tokenizer)
        except ValueError as error:
            logger.warning("texts are encoded by tokenizers, which takes several times as long: %s", error)
            return
        for kind in (CompiledEncoder, TiktokenEncoder):
            try:
                encoder: Encoder = kind(model)
                self._check(encoder)
            except ValueError as error:
                logger.info("texts are not encoded by %s: %s", kind.name, error)
            else:
                yield encoder

    def _check(self, encoder: Encoder) -> None:
        fast, _ = self._encode_fast(encoder, list(PROBES))
        for probe, mine, reference in zip(PROBES, fast.texts(), self._encode_slowly(list(PROBES)).texts(), strict=True):
            if not np.array_equal(mine, reference):
                raise ValueError(f"it gives other ids for {probe!r}")
