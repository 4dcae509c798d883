"""A text as the set of its word n-grams, and that set as a MinHash signature cut into bands (Broder 1997).

Two paths with identical results: a compiled one over UTF-8 bytes (shingle_kernels.py, about 10 us for a document of 600
words), and plain numpy where numba is not installed (about 1 ms). Measured against datasketch and datatrove: curation/benchmark.

Shingles and signatures have 32 bits: two of a document's 600 shingles share them once in 24,000 documents.
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Shingles = npt.NDArray[np.uint32]

WORD = re.compile(r"\w+")
MAX_CACHED_WORDS = 1_000_000
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
SHIFT = np.uint64(29)
HALF = np.uint64(32)
BLOCK = 1024  # shingles hashed at a time: some 60 permutations of them stay in the L2 cache
NUM_CODE_POINTS = 0x110000
WORD_BEGINS = 1 << 21  # in the key of a text, with the character behind white space: above all code points
SPACE = 1  # in the table of code points; 0 is any other separator


def lower(text: str) -> str:
    """Every character on its own, so that a table can do it: unlike str.lower, İ becomes one character and Σ is always σ."""
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def jaccard(one: npt.NDArray[np.unsignedinteger], other: npt.NDArray[np.unsignedinteger]) -> float:
    """Of two sets."""
    both = np.concatenate((np.unique(one), np.unique(other)))
    both.sort()
    num_shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return num_shared / (len(both) - num_shared)


def fold(hashes: Hashes) -> Hashes:  # (n, ...) -> (...)
    """One hash of n in a row, order included."""
    folded = np.zeros(hashes.shape[1:], np.uint64)
    for row in hashes:
        folded = (folded ^ row) * MULTIPLIER
        folded ^= folded >> SHIFT
    return folded


@cache
def compiled() -> bool:
    """Whether kernels can run; where not, plain numpy does the same."""
    return importlib.util.find_spec("numba") is not None


def fastest(plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function of that name in kernels.py, or its plain twin where numba is not installed."""
    if not compiled():
        return plain
    from curation.dedup import kernels

    found: Callable[..., Any] = getattr(kernels, name)
    return found


@cache
def code_points() -> npt.NDArray[np.uint32]:
    """Of every code point: itself in lower case if it belongs to a word, SPACE, or 0. Built once in a process (0.1 s, 4 MB)."""
    numbers = np.arange(NUM_CODE_POINTS, dtype="<u4")
    real = np.r_[numbers[:0xD800], numbers[0xE000:]]  # without surrogates
    lowered = lower(real.tobytes().decode("utf-32-le"))
    found = np.zeros(len(real), np.uint32)
    codes = np.frombuffer(lowered.encode("utf-32-le"), "<u4")
    for match in WORD.finditer(lowered):
        found[match.start() : match.end()] = codes[match.start() : match.end()]
    for match in re.finditer(r"\s+", lowered):
        found[match.start() : match.end()] = SPACE
    table = np.zeros(NUM_CODE_POINTS, np.uint32)
    table[real] = found
    return table


class WordHashes(dict[str, int]):
    """Remembers the hash of every word met: texts repeat their words."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MAX_CACHED_WORDS:
            self.clear()
        hashed = 0
        for character in word:
            hashed = (hashed ^ ord(character)) * int(MULTIPLIER) & 0xFFFFFFFFFFFFFFFF
        self[word] = hashed ^ hashed >> int(SHIFT)
        return self[word]


class Shingler:
    """n-grams of lower-cased words, as hashes in the order of the text. A text of fewer words has one shingle: all of it.

    An n-gram is the sum of its words' hashes, each times another power of MULTIPLIER: unlike a chain of hashes, many of them are
    made by one instruction."""

    def __init__(self, ngram: int):
        self.powers = np.array([pow(int(MULTIPLIER), place + 1, 1 << 64) for place in range(ngram)], np.uint64)
        self._hashes = WordHashes()

    def __call__(self, text: str) -> Shingles:
        words = WORD.findall(lower(text))
        if len(words) < len(self.powers):
            return np.array([whole_shingle(text)], np.uint32)
        hashes = np.fromiter(map(self._hashes.__getitem__, words), np.uint64, len(words))
        sums = np.lib.stride_tricks.sliding_window_view(hashes, len(self.powers)) @ self.powers
        shingles: Shingles = ((sums ^ sums >> SHIFT) * MULTIPLIER >> HALF).astype(np.uint32)
        return shingles


def whole_shingle(text: str) -> int:
    return xxhash.xxh3_64_intdigest(" ".join(lower(text).split()).encode()) >> int(HALF)


class MinHash:
    """Permutations h -> a*h + b modulo 2^32, a odd; their constants depend on the seed alone. The first half of the bands takes
    the smallest value of each, the other half the largest (Ji et al. 2013, Min-Max Hash for Jaccard Similarity)."""

    def __init__(self, num_bands: int, rows_per_band: int, seed: int):
        self.shape = (num_bands, rows_per_band)
        count = (num_bands + 1) // 2 * rows_per_band
        draws = [[xxhash.xxh3_64_intdigest(f"{seed}/{name}/{i}") >> int(HALF) for i in range(count)] for name in "ab"]
        self.a = np.array(draws[0], np.uint32) | np.uint32(1)
        self.b = np.array(draws[1], np.uint32)

    def signature(self, shingles: Shingles) -> Shingles:  # (num_bands * rows_per_band,)
        blocks = np.split(shingles, range(BLOCK, len(shingles), BLOCK))
        a, b = self.a[:, None], self.b[:, None]
        extremes = [(permuted.min(axis=1), permuted.max(axis=1)) for permuted in (a * block + b for block in blocks)]
        smallest, largest = np.min([low for low, _ in extremes], axis=0), np.max([high for _, high in extremes], axis=0)
        return np.concatenate([smallest, largest])[: self.shape[0] * self.shape[1]]

    def band_keys(self, shingles: Shingles) -> Hashes:  # (num_bands,)
        """Two documents with the same key in any band are candidates: probability 1 - (1 - J^rows)^bands."""
        return fold(self.signature(shingles).astype(np.uint64).reshape(self.shape).T)


@dataclass(frozen=True)
class SignedTexts:
    """Of n texts: their keys, how many characters they have, their packed shingles (each text's behind their number), where in
    them each text begins and the last one ends, and their band keys (n, bands)."""

    keys: Hashes
    lengths: Numbers
    packed: Shingles
    starts: Numbers
    band_keys: Hashes


class Signer:
    """Signs batches of texts; compiled where numba is installed."""

    def __init__(self, ngram: int, minhash: MinHash, *, by_kernel: bool | None = None):
        self.shingler = Shingler(ngram)
        self.minhash = minhash
        self.by_kernel = compiled() if by_kernel is None else by_kernel

    def __call__(self, texts: pa.LargeStringArray) -> SignedTexts:
        return self._by_kernel(texts) if self.by_kernel else self._by_numpy(texts)

    def _by_numpy(self, texts: pa.LargeStringArray) -> SignedTexts:
        sets = [self.shingler(text) for text in texts.to_pylist()]
        return SignedTexts(
            text_keys(texts, by_kernel=False),
            pc.utf8_length(texts).to_numpy(),
            np.concatenate([np.zeros(0, np.uint32), *(np.r_[np.uint32(len(one)), one] for one in sets)]),
            np.cumsum([0, *(1 + len(one) for one in sets)]),
            np.array([self.minhash.band_keys(one) for one in sets], np.uint64).reshape(len(texts), self.minhash.shape[0]),
        )

    def _by_kernel(self, texts: pa.LargeStringArray) -> SignedTexts:
        from curation.dedup.shingle_kernels import sign_texts

        *signed, is_short = sign_texts(
            *_buffers(texts), code_points(), self.shingler.powers, self.minhash.a, self.minhash.b, *self.minhash.shape
        )
        found = SignedTexts(*signed)
        for number in np.flatnonzero(is_short).tolist():
            shingle = whole_shingle(texts[number].as_py())
            found.packed[found.starts[number] + 1] = shingle
            found.band_keys[number] = self.minhash.band_keys(np.array([shingle], np.uint32))
        return found


def text_keys(texts: pa.LargeStringArray, *, by_kernel: bool | None = None) -> Hashes:
    """64 bits that two texts share if they are equal up to white space. Among a billion texts, there is one accidental pair with
    a probability of 3 %."""
    if compiled() if by_kernel is None else by_kernel:
        from curation.dedup import shingle_kernels

        found: Hashes = shingle_kernels.text_keys(*_buffers(texts), code_points())
        return found
    return np.array([_text_key(text) for text in texts.to_pylist()], np.uint64)


def _text_key(text: str) -> int:
    key = 0
    for word in text.split():
        for place, character in enumerate(word):
            key = (key ^ (ord(character) + 1 | (WORD_BEGINS if place == 0 else 0))) * int(MULTIPLIER) & 0xFFFFFFFFFFFFFFFF
    return key ^ key >> int(SHIFT)


def _buffers(texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """The bytes of all texts, and where each ends."""
    _, ends, data = texts.buffers()
    places = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1] if len(texts) else np.zeros(1, np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), places
