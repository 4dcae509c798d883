"""The bytes that each token of a tokenizer stands for."""

import re
from collections.abc import Sequence
from typing import Any

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # what sentencepiece falls back to


class Pieces:
    """A tokenizer's tokens as bytes. `eos`: the ids that end a text."""

    def __init__(self, tokenizer: Any, eos: frozenset[int]):
        self._tokenizer = tokenizer
        self.all = token_bytes(tokenizer)
        self.eos = eos

    def bytes_of(self, token: int) -> bytes:
        """Of an end of text, and of rows of the model that are no tokens: nothing."""
        return b"" if token in self.eos or token >= len(self.all) else self.all[token]

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.bytes_of, tokens)).decode("utf-8", "replace")

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens that write a text, a space before it perhaps; ValueError where the tokenizer cannot."""
        found = self.encode(text)
        if text.strip() not in self.text(found):
            raise ValueError(f"the checkpoint's tokenizer cannot write {text!r}: it makes {self.text(found)!r}; take other words")
        return found


def token_bytes(tokenizer: Any) -> list[bytes]:
    """By id. 128,000 tokens take a tenth of a second where they are byte-level, and a second elsewhere."""
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    if "ByteLevel" in str(getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", "")):
        alphabet = byte_alphabet()
        return [_byte_level(name, alphabet) if name and name not in added else (name or "").encode() for name in names]
    behind = tokenizer.encode("a", add_special_tokens=False)[-1:]  # at the head of a text a decoder may drop a space
    head = tokenizer.decode(behind)
    texts = [tokenizer.decode([*behind, token])[len(head) :] if name else "" for token, name in enumerate(names)]
    bytes_alone = [BYTE_TOKEN.fullmatch(name or "") for name in names]
    return [bytes([int(found[1], 16)]) if found else text.encode() for found, text in zip(bytes_alone, texts, strict=True)]


def _byte_level(name: str, alphabet: dict[str, int]) -> bytes:
    return bytes(map(alphabet.__getitem__, name)) if alphabet.keys() >= set(name) else name.encode()


def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level tokenizers write bytes (GPT-2): printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
