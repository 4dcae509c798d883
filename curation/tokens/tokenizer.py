"""A tokenizer folder, opened for making documents: ids with the end-of-text token behind, in the type Megatron reads.

Encoding takes the fast way (`BytePairs`) where it gives the same ids: proven on probes and on the first documents, watched on one
document of every batch after them.
"""

import json
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from curation.tokens.byte_pairs import BytePairs
from curation.tokens.llama3_tokenizer import BEGIN_OF_TEXT, END_OF_TEXT, tokenizer_from_tiktoken
from recipes.fingerprint import tokenizer_hash
from recipes.schema import TokenizeStage

MAX_UINT16_VOCABULARY = 65_500  # as megatron.core's DType.optimal_dtype
NUM_CHECKED_FIRST = 64  # documents on which both ways must agree before the fast one is taken
logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def open_tokenizer(folder: Path, params: TokenizeStage) -> "DocumentTokenizer":
    """Opening takes up to two seconds: a rank that works in several goes opens once."""
    return DocumentTokenizer(folder, params.encoder, begin_of_text=params.begin_of_text, end_of_text=params.end_of_text)


class DocumentTokenizer:
    """`folder` holds tokenizer.json with tokenizer_config.json, or is (or holds) Meta's tokenizer.model of Llama 3.

    `encoder` "auto" encodes with tiktoken where it can, "tokenizers" never. Documents get the begin-of-text and end-of-text
    tokens that are asked for."""

    def __init__(self, folder: Path, encoder: str = "auto", *, begin_of_text: bool = False, end_of_text: bool = True):
        self.folder = folder
        self.tokenizer = self._open()
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # "<|end_of_text|>" in a page is text, never the end of a document
        self.vocab_size = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.dtype = np.dtype(np.uint16 if self.vocab_size < MAX_UINT16_VOCABULARY else np.int32)
        self.eos = self._special("eos_token", END_OF_TEXT)
        self._before = np.array([self._special("bos_token", BEGIN_OF_TEXT)] if begin_of_text else [], self.dtype)
        self._behind = np.array([self.eos] if end_of_text else [], self.dtype)
        self._fast = self._open_fast() if encoder == "auto" else None
        self._num_checked = 0

    @property
    def encoder(self) -> str:
        return "tokenizers" if self._fast is None else "tiktoken"

    def encode(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        """Token ids of each text between the tokens that every document gets."""
        ids = self._encode_fast(texts) if self._fast is not None else None
        return [np.concatenate((self._before, one, self._behind)).astype(self.dtype) for one in ids or self._encode_slowly(texts)]

    def _encode_slowly(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, self.dtype) for encoding in encodings]

    def _encode_fast(self, texts: list[str]) -> list[npt.NDArray[Any]] | None:
        """None, now and for ever, if the first documents show a difference; a later difference is an error."""
        assert self._fast is not None
        found = [self._fast.encode(text) for text in texts]
        others = [i for i, ids in enumerate(found) if ids is None]
        for i, ids in zip(others, self._encode_slowly([texts[i] for i in others]), strict=True):
            found[i] = ids
        encoded = [ids for ids in found if ids is not None]
        first = not self._num_checked
        checked = texts[:NUM_CHECKED_FIRST] if first else texts[:1]
        self._num_checked += len(checked)
        for text, fast, ids in zip(checked, encoded, self._encode_slowly(checked), strict=False):
            if not np.array_equal(fast, ids):
                if not first:
                    raise ValueError(
                        f"tiktoken and tokenizers give different ids for a text that begins {text[:80]!r}; set "
                        "encoder: tokenizers on the tokenize stage"
                    )
                self._fast = None
                return None
        return encoded

    def describe(self) -> dict[str, str]:
        """What a dataset must remember of it."""
        return {
            "dtype": self.dtype.name,
            "vocab_size": str(self.vocab_size),
            "eos_id": str(self.eos),
            "tokenizer_sha256": tokenizer_hash(self.folder),
        }

    @staticmethod
    def read_description(metadata: dict[bytes, bytes]) -> dict[str, Any]:
        """`describe`, back from a parquet file's metadata."""
        texts = {key: metadata[key.encode()].decode() for key in ("dtype", "vocab_size", "eos_id", "tokenizer_sha256")}
        return texts | {"vocab_size": int(texts["vocab_size"]), "eos_id": int(texts["eos_id"])}

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

    def _open_fast(self) -> BytePairs | None:
        try:
            return BytePairs(self.tokenizer)
        except ValueError as error:
            logger.info("%s is encoded by tokenizers: %s", self.folder, error)
            return None

    def _special(self, role: str, of_llama3: str) -> int:
        """The id of the folder's eos_token or bos_token."""
        token: Any = None
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            file = self.folder / name
            if token is None and file.is_file():
                token = json.loads(file.read_text(encoding="utf-8")).get(role)
        if token is None and not (self.folder / "tokenizer.json").is_file():
            token = of_llama3  # Llama 3's own file names no roles
        if token is None:
            raise ValueError(f"{self.folder} names no {role}, and every document gets it; set {role} in tokenizer_config.json")
        token = token["content"] if isinstance(token, dict) else token
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"{self.folder} names {role} {token!r}, which its vocabulary does not have; correct {role}")
        return int(number)
