"""A tokenizer folder, opened for making documents: ids with the end-of-text token behind, in the type Megatron reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from curation.llama3_tokenizer import END_OF_TEXT, tokenizer_from_tiktoken
from recipes.fingerprint import tokenizer_hash

MAX_UINT16_VOCABULARY = 65_500  # as megatron.core's DType.optimal_dtype


class DocumentTokenizer:
    """`folder` holds tokenizer.json with tokenizer_config.json, or is (or holds) Meta's tokenizer.model of Llama 3."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokenizer = self._open()
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # "<|end_of_text|>" in a page is text, never the end of a document
        self.vocab_size = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.dtype = np.dtype(np.uint16 if self.vocab_size < MAX_UINT16_VOCABULARY else np.int32)
        self.eos = self._end_of_text()

    def encode(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        """Token ids of each text, the end of text last."""
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array([*encoding.ids, self.eos], self.dtype) for encoding in encodings]

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

    def _end_of_text(self) -> int:
        token: Any = None
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            file = self.folder / name
            if token is None and file.is_file():
                token = json.loads(file.read_text(encoding="utf-8")).get("eos_token")
        if token is None and not (self.folder / "tokenizer.json").is_file():
            token = END_OF_TEXT  # Llama 3's own file names no roles
        if token is None:
            raise ValueError(
                f"{self.folder} names no eos_token, and every document ends with it; set eos_token in tokenizer_config.json"
            )
        token = token["content"] if isinstance(token, dict) else token
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"{self.folder} names eos_token {token!r}, which its vocabulary does not have; correct eos_token")
        return int(number)
