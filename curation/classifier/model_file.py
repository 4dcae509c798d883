"""The layout of fastText's model files (its `saveModel`): arguments, dictionary, input matrix, output matrix."""

import mmap
import struct
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC, VERSION = 793712314, 12
SOFTMAX, SUPERVISED = 3, 3
ARGUMENTS = struct.Struct("<12id")  # dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
DICTIONARY = struct.Struct("<iiiqq")  # entries, words, labels, tokens, pruned n-grams (-1: none were)
DENSE = struct.Struct("<?qq")  # is it compressed, rows, columns
COMPRESSED = struct.Struct("<??qqi")  # is it compressed, are norms apart, rows, columns, bytes of codes
QUANTIZER = struct.Struct("<iiii")  # columns, parts of a row, columns of a part, and of the last part
NUM_CENTROIDS = 256
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Words:
    """Word i is data[starts[i] : stops[i]]."""

    data: Bytes
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]


class Compressed(NamedTuple):
    """Product quantization: columns 2p and 2p + 1 of row i are centroids[p, codes[i, p]] * norms[norm_codes[i]]."""

    codes: Bytes  # (rows, parts)
    norm_codes: Bytes  # (rows,)
    norms: Floats  # (256,)
    centroids: Floats  # (parts, 256, 2)


@dataclass(frozen=True)
class ModelFile:
    """A softmax model of whole words. Its large arrays are the file's own bytes, not copies. Either `matrix` has rows, or
    `compressed` has."""

    word_ngrams: int
    buckets: int
    words: Words
    labels: list[str]
    matrix: Floats  # (rows, columns)
    compressed: Compressed
    output: Floats  # (labels, columns)


class CutFile(ValueError):
    pass


def read_model_file(content: mmap.mmap) -> ModelFile | None:
    """None for models of another kind, and for what is no model. CutFile if a part is missing."""
    if len(content) < 8 or struct.unpack_from("<ii", content) != (MAGIC, VERSION):
        return None
    try:
        return _read(content)
    except struct.error:
        raise CutFile from None


def _read(content: mmap.mmap) -> ModelFile | None:
    dim, _, _, _, _, word_ngrams, loss, kind, buckets, _, maxn, _, _ = ARGUMENTS.unpack_from(content, 8)
    at = 8 + ARGUMENTS.size
    num_entries, num_words, num_labels, _, num_pruned = DICTIONARY.unpack_from(content, at)
    if (loss, kind, maxn) != (SOFTMAX, SUPERVISED, 0) or num_pruned >= 0:
        return None
    entries, at = _read_entries(content, at + DICTIONARY.size, num_entries)
    matrix, compressed = np.empty((0, dim), np.float32), _no_rows()
    if DENSE.unpack_from(content, at)[0]:
        found = _read_compressed(content, at, dim)
        if found is None:
            return None
        compressed, at = found
    else:
        matrix, at = _read_dense(content, at, dim)
    if DENSE.unpack_from(content, at)[0]:
        return None
    output, _ = _read_dense(content, at, dim)
    if (len(matrix) or len(compressed.codes)) < num_words + buckets or len(output) != num_labels:
        raise CutFile
    bounds = zip(entries.starts[num_words:], entries.stops[num_words:], strict=True)
    return ModelFile(
        word_ngrams=word_ngrams,
        buckets=buckets,
        words=Words(entries.data, entries.starts[:num_words], entries.stops[:num_words]),
        labels=[entries.data[start:stop].tobytes().decode() for start, stop in bounds],
        matrix=matrix,
        compressed=compressed,
        output=output,
    )


def _read_dense(content: mmap.mmap, at: int, dim: int) -> tuple[Floats, int]:
    """The matrix and where it ends."""
    _, rows, _ = DENSE.unpack_from(content, at)
    return _floats(content, at + DENSE.size, rows, dim), at + DENSE.size + rows * dim * 4


def _read_compressed(content: mmap.mmap, at: int, dim: int) -> tuple[Compressed, int] | None:
    """None for parts of other than two columns, which we never make."""
    _, has_norms, rows, _, num_codes = COMPRESSED.unpack_from(content, at)
    codes_at = at + COMPRESSED.size
    at = codes_at + num_codes
    _, parts, size, last_size = QUANTIZER.unpack_from(content, at)
    if (size, last_size) != (2, 2):
        return None
    centroids = _floats(content, at + QUANTIZER.size, parts, NUM_CENTROIDS, 2)
    at += QUANTIZER.size + centroids.nbytes
    norm_codes, norms = np.zeros(rows, np.uint8), np.ones(NUM_CENTROIDS, np.float32)
    if has_norms:
        norm_codes = _bytes(content, at, rows)
        norms = _floats(content, at + rows + QUANTIZER.size, NUM_CENTROIDS)
        at += rows + QUANTIZER.size + norms.nbytes
    return Compressed(_bytes(content, codes_at, rows, parts), norm_codes, norms.copy(), centroids.copy()), at


def _no_rows() -> Compressed:
    nothing = np.empty((0, 0), np.uint8)
    return Compressed(nothing, nothing.reshape(0), np.empty(0, np.float32), np.empty((0, NUM_CENTROIDS, 2), np.float32))


def _floats(content: mmap.mmap, at: int, *shape: int) -> Floats:
    return _bytes(content, at, prod(shape) * 4).view("<f4").reshape(shape)


def _bytes(content: mmap.mmap, at: int, *shape: int) -> Bytes:
    if at + prod(shape) > len(content):
        raise CutFile
    return np.frombuffer(content, np.uint8, prod(shape), at).reshape(shape)


def _read_entries(content: mmap.mmap, at: int, num_entries: int) -> tuple[Words, int]:
    """Words and, behind them, labels; and where the dictionary ends."""
    from curation.classifier.model_kernel import find_entries

    starts, stops = np.empty(num_entries, np.int64), np.empty(num_entries, np.int64)
    length = find_entries(np.frombuffer(content, np.uint8, offset=at), starts, stops)
    if length < 0:
        raise CutFile
    return Words(np.frombuffer(content[at : at + length], np.uint8), starts, stops), at + length
