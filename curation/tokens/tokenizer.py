"""A tokenizer folder, opened for making documents: ids with the end-of-text token behind, in the type Megatron reads."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from curation.tokens.checked_encoder import CheckedEncoder
from curation.tokens.llama3_tokenizer import BEGIN_OF_TEXT, END_OF_TEXT, tokenizer_from_tiktoken
from curation.tokens.marks import encode_marked, mark_ids
from curation.tokens.special_tokens import keep_text, refuse_spelt, roles_of
from recipes.fingerprint import tokenizer_hash
from recipes.schema import TokenizeStage

MAX_UINT16_VOCABULARY = 65_500  # as megatron.core's DType.optimal_dtype


class Tokenized(NamedTuple):
    """Tokens of documents one behind another, in the type Megatron reads, and how many of each. `num_left`: how many documents a
    faster way left to `tokenizers`."""

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]
    num_left: int

    def documents(self) -> list[npt.NDArray[Any]]:
        return np.split(self.tokens, np.cumsum(self.lengths)[:-1])


@lru_cache(maxsize=1)
def open_tokenizer(folder: Path, params: TokenizeStage, marks: tuple[str, ...]) -> "DocumentTokenizer":
    """Opening takes up to two seconds: a rank that works in several goes opens once. Its memory knows calls by how they are
    written, so that `marks` has no default."""
    ends = {"begin_of_text": params.begin_of_text, "end_of_text": params.end_of_text}
    return DocumentTokenizer(folder, params.encoder, **ends, marks=marks)


class DocumentTokenizer:
    """`folder` holds tokenizer.json with tokenizer_config.json, or is (or holds) Meta's tokenizer.model of Llama 3.

    `encoder` "auto" encodes in the fastest way there is, "tokenizers" in no faster one. Documents get the begin-of-text
    and end-of-text tokens that are asked for. `marks` are the special tokens that texts may hold (marks.py); all others stay
    text where a document spells them out (special_tokens.py), while added tokens that are not special become their ids."""

    def __init__(
        self,
        folder: Path,
        encoder: str = "auto",
        *,
        begin_of_text: bool = False,
        end_of_text: bool = True,
        marks: tuple[str, ...] = (),
    ):
        self.folder = folder
        self.tokenizer = self._open()
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.roles = roles_of(folder)
        keep_text(self.tokenizer, {*self.roles.values(), *marks})  # an end of text that a page spells out ends no document
        refuse_spelt(self.tokenizer, self.roles)
        self.marks = mark_ids(self.tokenizer, marks)
        self.vocab_size = max(*self.tokenizer.get_vocab(with_added_tokens=True).values(), *self.marks.values()) + 1
        self.dtype = np.dtype(np.uint16 if self.vocab_size < MAX_UINT16_VOCABULARY else np.int32)
        self.eos = self._special("eos_token", END_OF_TEXT)
        self._before = [self._special("bos_token", BEGIN_OF_TEXT)] if begin_of_text else []
        self._behind = [self.eos] if end_of_text else []
        self.encoder = CheckedEncoder(self.tokenizer, encoder)

    def encode(self, texts: list[str]) -> Tokenized:
        """Tokens of each text between those that every document gets."""
        encode = self.encoder.encode
        encoded, num_left = encode_marked(encode, texts, self.marks) if self.marks else encode(texts)
        lengths = encoded.lengths + len(self._before) + len(self._behind)
        ends = np.cumsum(lengths)
        tokens = np.empty(lengths.sum(), self.dtype)
        is_text = np.ones(len(tokens), np.bool_)
        for places, special in ((ends - lengths, self._before), (ends - 1, self._behind)):
            if special:
                tokens[places] = special
                is_text[places] = False
        tokens[is_text] = encoded.ids
        return Tokenized(tokens, lengths, num_left)

    def describe(self) -> dict[str, str]:
        """What a dataset must remember of it."""
        described = {
            "dtype": self.dtype.name,
            "vocab_size": str(self.vocab_size),
            "eos_id": str(self.eos),
            "tokenizer_sha256": tokenizer_hash(self.folder),
        }
        return described | ({"special_tokens": json.dumps(self.marks)} if self.marks else {})

    @staticmethod
    def read_description(metadata: dict[bytes, bytes]) -> dict[str, Any]:
        """`describe`, back from a parquet file's metadata."""
        texts = {key: metadata[key.encode()].decode() for key in ("dtype", "vocab_size", "eos_id", "tokenizer_sha256")}
        marks = {"special_tokens": json.loads(metadata[b"special_tokens"])} if b"special_tokens" in metadata else {}
        return texts | {"vocab_size": int(texts["vocab_size"]), "eos_id": int(texts["eos_id"])} | marks

    def _open(self) -> Tokenizer:
        if self.folder.is_file():
            return tokenizer_from_tiktoken(self.folder)
        if (self.folder / "tokenizer.json").is_file():
            return Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        for file in (self.folder / "tokenizer.model", self.folder / "original" / "tokenizer.model"):
            if file.is_file():
                return tokenizer_from_tiktoken(file)
        raise ValueError(
            f"{self.folder} is not a tokenizer folder: it has no tokenizer.json (nor Llama 3's tokenizer.model); save one with "
            "transformers' AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        )

    def _special(self, role: str, of_llama3: str) -> int:
        """The id of the folder's eos_token or bos_token."""
        token = self.roles.get(role)
        if token is None and not (self.folder / "tokenizer.json").is_file():
            token = of_llama3  # Llama 3's own file names no roles
        if token is None:
            raise ValueError(f"{self.folder} names no {role}, and every document gets it; set {role} in tokenizer_config.json")
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"{self.folder} names {role} {token!r}, which its vocabulary does not have; correct {role}")
        return int(number)
