"""The compiled parts of a fastText prediction: its dictionary, its hashes, the mean of its rows, its softmax."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from curation.compiled import njit

SPACE = 0x20
FNV_BASIS, FNV_PRIME = 2166136261, 16777619
NGRAM_FACTOR = 116049371
ENTRY_TAIL_BYTES = 10  # behind a word of the dictionary: a zero, its count, its type
END_OF_LINE = b"</s>"  # fastText's word for the end of a line, which every line has
ROWS_AHEAD = 16  # so many rows before one is added it is asked for; 4 to 64 are about as good
CACHE_LINE_BYTES, LINES_AHEAD = 64, 4  # of each row; the processor brings the rest of a long row by itself


@intrinsic  # type: ignore[untyped-decorator]
def _ask_for(_context: Any, matrix: Any, row: Any) -> Any:
    """Brings a row of a matrix near, and does not wait for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(array.strides, 0)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        first = builder.gep(builder.bitcast(array.data, byte), [builder.mul(arguments[1], stride)])
        for line in range(LINES_AHEAD):
            address = builder.gep(first, [ir.Constant(ir.IntType(64), line * CACHE_LINE_BYTES)])
            builder.call(prefetch, [address, number(0), number(2), number(1)])  # to read, to keep a while, data
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@njit(cache=True, nogil=True)
def find_entries(content: Any, starts: Any, stops: Any) -> int:
    """Bounds of the dictionary's words; where it ends, or -1 if the content ends before."""
    at = 0
    for entry in range(len(starts)):
        starts[entry] = at
        while at < len(content) and content[at] != 0:
            at += 1
        stops[entry] = at
        at += ENTRY_TAIL_BYTES
    return at if at <= len(content) else -1


@njit(cache=True, nogil=True)
def _hash_byte(value: Any, byte: Any) -> Any:
    return np.uint32((value ^ np.uint32(np.int8(byte))) * np.uint32(FNV_PRIME))  # the byte with its sign, as fastText does


@njit(cache=True, nogil=True)
def _hash(data: Any, start: int, stop: int) -> Any:
    """FNV-1a."""
    value = np.uint32(FNV_BASIS)
    for i in range(start, stop):
        value = _hash_byte(value, data[i])
    return value


@njit(cache=True, nogil=True)
def number_words(data: Any, starts: Any, stops: Any, slot_hash: Any, slot_word: Any) -> None:
    """Fills an open-addressing table of words."""
    mask = len(slot_word) - 1
    for word in range(len(starts)):
        value = _hash(data, starts[word], stops[word])
        slot = np.int64(value) & mask
        while slot_word[slot] >= 0:
            slot = (slot + 1) & mask
        slot_hash[slot], slot_word[slot] = value, word


@njit(cache=True, nogil=True)
def _find(text: Any, start: int, stop: int, value: Any, words: Any) -> Any:
    """The number of the word text[start:stop], or -1."""
    data, starts, stops, slot_hash, slot_word = words
    mask = len(slot_word) - 1
    slot = np.int64(value) & mask
    while slot_word[slot] >= 0:
        word = slot_word[slot]
        if slot_hash[slot] == value and stops[word] - starts[word] == stop - start:
            same = 0
            while same < stop - start and data[starts[word] + same] == text[start + same]:
                same += 1
            if same == stop - start:
                return word
        slot = (slot + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def predict(
    text: Any, ends: Any, words: Any, ngram: int, buckets: int, matrix: Any, compressed: Any, output: Any, found: Any
) -> None:
    """found[i] becomes the probabilities of text[ends[i - 1] : ends[i]], a line of words."""
    longest = start = 0
    for line in range(len(ends)):
        longest = max(longest, ends[line] - start)
        start = ends[line]
    hashes = np.empty(longest // 2 + 2, np.int32)
    rows = np.empty((longest // 2 + 2) * max(ngram, 1), np.int64)
    mean = np.empty(output.shape[1], np.float32)
    start = 0
    for line in range(len(ends)):
        num_hashes, num_rows = _read_words(text, start, ends[line], words, hashes, rows)
        num_rows = _add_ngrams(hashes, num_hashes, ngram, buckets, len(words[1]), rows, num_rows)
        if num_rows > 0:
            mean[:] = np.float32(0)
            if len(matrix) > 0:
                _add_rows(matrix, rows[:num_rows], mean)
            else:
                _add_compressed_rows(compressed, rows[:num_rows], mean)
            mean *= np.float32(1.0 / num_rows)
            _softmax(output, mean, found[line])
        start = ends[line]


@njit(cache=True, nogil=True)
def _is_space(byte: Any) -> Any:
    return byte == SPACE or byte == 0 or 9 <= byte <= 13


@njit(cache=True, nogil=True)
def _read_words(text: Any, start: int, end: int, words: Any, hashes: Any, rows: Any) -> tuple[int, int]:
    """Hashes of a line's words and of its end; rows of those that the dictionary knows."""
    num_hashes = num_rows = 0
    while start < end:
        stop, value = start, np.uint32(FNV_BASIS)
        while stop < end and not _is_space(text[stop]):
            value = _hash_byte(value, text[stop])
            stop += 1
        if stop > start:
            word = _find(text, start, stop, value, words)
            if word >= 0:
                rows[num_rows] = word
                num_rows += 1
            hashes[num_hashes] = np.int32(value)
            num_hashes += 1
        start = stop + 1
    mark = np.frombuffer(END_OF_LINE, np.uint8)
    value = _hash(mark, 0, len(mark))
    word = _find(mark, 0, len(mark), value, words)
    if word >= 0:
        rows[num_rows] = word
        num_rows += 1
    hashes[num_hashes] = np.int32(value)
    return num_hashes + 1, num_rows


@njit(cache=True, nogil=True)
def _add_ngrams(hashes: Any, num_hashes: int, ngram: int, buckets: int, first_row: int, rows: Any, num_rows: int) -> int:
    """Rows of the n-grams that begin at each word: fastText's hash of hashes, which it takes as signed numbers."""
    for begin in range(num_hashes):
        value = np.uint64(np.int64(hashes[begin]))
        for following in range(begin + 1, min(num_hashes, begin + ngram)):
            value = value * np.uint64(NGRAM_FACTOR) + np.uint64(np.int64(hashes[following]))
            rows[num_rows] = first_row + np.int64(value % np.uint64(buckets))
            num_rows += 1
    return num_rows


@njit(cache=True, nogil=True)
def _add_rows(matrix: Any, rows: Any, total: Any) -> None:
    """In the order of the rows, in single precision, as fastText adds them."""
    for i in range(len(rows)):
        if i + ROWS_AHEAD < len(rows):
            _ask_for(matrix, rows[i + ROWS_AHEAD])
        row = matrix[rows[i]]
        for column in range(len(total)):
            total[column] += row[column]


@njit(cache=True, nogil=True)
def _add_compressed_rows(compressed: Any, rows: Any, total: Any) -> None:
    codes, norm_codes, norms, centroids = compressed
    for i in range(len(rows)):
        if i + ROWS_AHEAD < len(rows):
            _ask_for(codes, rows[i + ROWS_AHEAD])
        row = codes[rows[i]]
        norm = norms[norm_codes[rows[i]]]
        for part in range(len(row)):
            center = centroids[part, row[part]]
            total[2 * part] += norm * center[0]
            total[2 * part + 1] += norm * center[1]


@njit(cache=True, nogil=True)
def _softmax(output: Any, mean: Any, found: Any) -> None:
    for label in range(len(found)):
        product = np.float32(0)
        for column in range(len(mean)):
            product += output[label, column] * mean[column]
        found[label] = product
    largest, total = found.max(), np.float32(0)
    for label in range(len(found)):
        found[label] = np.exp(found[label] - largest)
        total += found[label]
    for label in range(len(found)):
        found[label] = found[label] / total + np.float32(1e-5)  # fastText's answers are exp(log(p + 1e-5))
