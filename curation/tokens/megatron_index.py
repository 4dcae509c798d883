"""Writes Megatron's indexed dataset (.bin of token ids, .idx of lengths), format MMIDIDX version 1, without torch.

The layout is megatron.core's `_IndexWriter` (indexed_dataset.py, 0.16.1): one sequence a document. Tests read it with Megatron.
"""

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"MMIDIDX\x00\x00"
TYPE_CODES = {"int32": 4, "uint16": 8}  # megatron.core's DType


class IndexedFile:
    """<prefix>.bin and <prefix>.idx, joined from files of tokens. With no documents neither is left."""

    def __init__(self, prefix: Path, dtype: np.dtype[Any]):
        self.prefix = prefix
        self.dtype = dtype
        self.num_tokens = 0
        self._lengths: list[npt.NDArray[np.int32]] = []
        self._bin = open(self._temporary(".bin"), "wb")

    @property
    def num_documents(self) -> int:
        return sum(map(len, self._lengths))

    def append(self, tokens: Path, lengths: npt.NDArray[np.int32]) -> None:
        """A file of tokens and the lengths of its documents, which must agree."""
        expected, found = int(lengths.sum(dtype=np.int64)) * self.dtype.itemsize, tokens.stat().st_size
        if found != expected:
            raise ValueError(f"{tokens} has {found} bytes, but its documents need {expected}; make this rank's tokens again")
        with open(tokens, "rb") as file:
            shutil.copyfileobj(file, self._bin, 1 << 24)
        self._lengths.append(lengths.astype(np.int32))
        self.num_tokens += expected // self.dtype.itemsize

    def __enter__(self) -> "IndexedFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bin.close()
        if kind is None:
            self._publish()

    def _publish(self) -> None:
        if not self.num_documents:
            self._temporary(".bin").unlink()
            return
        lengths = np.concatenate(self._lengths)
        ends = np.cumsum(lengths, dtype=np.int64) * self.dtype.itemsize
        with open(self._temporary(".idx"), "wb") as file:
            file.write(MAGIC + struct.pack("<QBQQ", 1, TYPE_CODES[self.dtype.name], len(lengths), len(lengths) + 1))
            file.write(lengths.astype("<i4").data)
            file.write(np.r_[0, ends[:-1]].astype("<i8").data)
            file.write(np.arange(len(lengths) + 1, dtype="<i8").data)
        for suffix in (".bin", ".idx"):
            self._temporary(suffix).replace(self.prefix.with_name(self.prefix.name + suffix))

    def _temporary(self, suffix: str) -> Path:
        return self.prefix.with_name(f".{self.prefix.name}{suffix}.tmp")
