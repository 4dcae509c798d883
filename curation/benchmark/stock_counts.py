"""What datatrove's Gopher, FineWeb and C4 filters count, compiled, on the words `\\w+|[^\\w\\s]`: one row a document.

For the proof that a compiled loop decides as they do (`stock_rules.py`); the product has rules of its own. Nothing calls a
function of another file, as in `curation/filters/compiled`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
SPACE, ALPHA, LINE_BREAK, WORD, SYMBOL = 1, 4, 16, 64, 128  # SYMBOL: of datatrove's PUNCTUATION_SET
NEWLINE, RETURN, HASH, DOT, HYPHEN, BULLET, ELLIPSIS = 10, 13, 35, 46, 45, 0x2022, 0x2026
COLUMNS = (
    *("num_words", "num_no_symbols", "no_symbol_characters", "num_alphabetic", "num_stop_words", "num_hashes", "num_ellipses"),
    *("num_lines", "num_bullet_lines", "num_ellipsis_lines", "num_characters"),
    *("num_paragraphs", "duplicate_paragraphs", "duplicate_paragraph_characters"),
    *("num_runs", "duplicate_runs", "duplicate_run_characters"),  # what stands between line breaks in a row
    *("top_2", "top_3", "top_4", "duplicate_5", "duplicate_6", "duplicate_7", "duplicate_8", "duplicate_9", "duplicate_10"),
    *("num_filled_lines", "num_ended_lines", "num_short_lines", "duplicate_line_characters", "num_newlines"),
)
_BASE = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True)
def _first_time(keys: Hashes, h: np.uint64) -> bool:
    """Whether the key is new to the table; it is not from then on."""
    h |= np.uint64(1)
    mask = len(keys) - 1
    at = np.int64(h >> np.uint64(20)) & mask
    while keys[at]:
        if keys[at] == h:
            return False
        at = (at + 1) & mask
    keys[at] = h
    return True


@njit(cache=True)
def _table(room: Hashes, num: int) -> Hashes:
    """An empty table for so many keys."""
    size = 16
    while size < 2 * num:
        size *= 2
    room[:size] = 0
    return room[:size]


@njit(cache=True)
def _between(prefixes: Hashes, powers: Hashes, start: int, end: int) -> Any:
    """A hash of characters start..end-1, the same wherever they stand."""
    h = prefixes[end] - prefixes[start] * powers[end - start] + np.uint64(end - start)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@njit(cache=True)
def _powers(num: int) -> Hashes:
    powers = np.ones(num + 1, np.uint64)
    for i in range(num):
        powers[i + 1] = powers[i] * _BASE
    return powers


@njit(cache=True)
def _hash_prefixes(points: Points, prefixes: Hashes) -> None:
    prefixes[0] = 0
    for i in range(len(points)):
        prefixes[i + 1] = prefixes[i] * _BASE + np.uint64(points[i] + 1)


@njit(cache=True)
def _count_tokens(points: Points, classes: Bytes, stop_words: Integers, joined: Points, ends: Integers, row: Integers) -> int:
    """Characters of all tokens, one behind the other in `joined`; `ends[k]` is where token k - 1 ends there."""
    num, size, i, seen = 0, 0, 0, 0
    while i < len(points):
        bits = classes[points[i]]
        if bits & SPACE:
            i += 1
            continue
        start, is_symbol, is_alphabetic = i, True, False
        while i < len(points) and (i == start or (bits & WORD and classes[points[i]] & WORD)):
            is_symbol &= (classes[points[i]] & SYMBOL) != 0
            is_alphabetic |= (classes[points[i]] & ALPHA) != 0
            i += 1
        joined[size : size + i - start] = points[start:i]
        size += i - start
        num += 1
        ends[num] = size
        row[1] += not is_symbol
        row[2] += 0 if is_symbol else i - start
        row[3] += is_alphabetic
        for k in range(stop_words.shape[0]):
            if stop_words[k, 0] == i - start and not seen >> k & 1:
                same = 0
                while same < i - start and points[start + same] == stop_words[k, same + 1]:
                    same += 1
                seen |= (1 << k) if same == i - start else 0
    row[0] = num
    while seen:
        seen &= seen - 1
        row[4] += 1
    return num


@njit(cache=True)
def _count_top_ngrams(ends: Integers, num: int, prefixes: Hashes, powers: Hashes, room: Hashes, row: Integers) -> None:
    """Of the first of the most frequent n-grams, its characters with spaces between its words, times its occurrences."""
    words, ngrams, slots = np.empty(num, np.uint64), np.empty(num, np.uint64), np.empty(num, np.int64)
    counts = np.zeros(len(room), np.int64)
    for k in range(num):
        words[k] = ngrams[k] = _between(prefixes, powers, ends[k], ends[k + 1])
    for n in range(2, 5):
        keys, best, longest = _table(room, num), 0, 0
        mask = len(keys) - 1
        for k in range(num - n + 1):
            h = ngrams[k] * _BASE + words[k + n - 1]
            ngrams[k] = h
            h = (h ^ (h >> np.uint64(32))) | np.uint64(1)
            at = np.int64(h >> np.uint64(20)) & mask
            while keys[at] and keys[at] != h:
                at = (at + 1) & mask
            counts[at] = counts[at] + 1 if keys[at] else 1
            keys[at], slots[k] = h, at
        for k in range(num - n + 1):
            if counts[slots[k]] > best:
                best, longest = counts[slots[k]], ends[k + n] - ends[k] + n - 1
        row[15 + n] = best * longest


@njit(cache=True)
def _count_repeated_ngrams(ends: Integers, num: int, prefixes: Hashes, powers: Hashes, room: Hashes, row: Integers) -> None:
    """N-grams are the same where their characters are; behind a repeated one the next begins after it."""
    for n in range(5, 11):
        keys, k = _table(room, num), 0
        while k < num - n + 1:
            if _first_time(keys, _between(prefixes, powers, ends[k], ends[k + n])):
                k += 1
            else:
                row[15 + n] += ends[k + n] - ends[k]
                k += n


@njit(cache=True)
def _split(points: Points, begin: int, end: int, at_least: int, starts: Integers, ends: Integers) -> int:
    """The parts between runs of at least so many line feeds, empty ones at the ends included."""
    num, i, start = 0, begin, begin
    while i < end:
        if points[i] != NEWLINE:
            i += 1
            continue
        stop = i
        while i < end and points[i] == NEWLINE:
            i += 1
        if i - stop >= at_least:
            starts[num], ends[num], start = start, stop, i
            num += 1
    starts[num], ends[num] = start, end
    return num + 1


@njit(cache=True)
def _count_duplicates(
    starts: Integers, ends: Integers, num: int, prefixes: Hashes, powers: Hashes, room: Hashes, row: Integers, column: int
) -> None:
    keys = _table(room, num)
    row[column] = num
    for k in range(num):
        if not _first_time(keys, _between(prefixes, powers, starts[k], ends[k])):
            row[column + 1] += 1
            row[column + 2] += ends[k] - starts[k]


@njit(cache=True)
def _is_ellipsis(points: Points, last: int) -> bool:
    if last >= 0 and points[last] == ELLIPSIS:
        return True
    return last >= 2 and points[last] == DOT and points[last - 1] == DOT and points[last - 2] == DOT


@njit(cache=True)
def _count_lines(points: Points, classes: Bytes, row: Integers) -> None:
    """Lines as str.splitlines makes them."""
    i = 0
    while i < len(points):
        start, first, last = i, -1, -1
        while i < len(points) and not classes[points[i]] & LINE_BREAK:
            if not classes[points[i]] & SPACE:
                last = i
                first = i if first < 0 else first
            i += 1
        row[7] += 1
        row[8] += first >= 0 and (points[first] == BULLET or points[first] == HYPHEN)
        row[9] += last >= 0 and _is_ellipsis(points[start : last + 1], last - start)
        i += 2 if i + 1 < len(points) and points[i] == RETURN and points[i + 1] == NEWLINE else 1


@njit(cache=True)
def _count_filled_lines(
    points: Points, classes: Bytes, is_end: Bytes, prefixes: Hashes, powers: Hashes, room: Hashes, row: Integers
) -> None:
    """Lines between single line feeds that hold more than white space."""
    for i in range(len(points)):
        row[30] += points[i] == NEWLINE
    keys = _table(room, row[30] + 1)
    start = 0
    for i in range(len(points) + 1):
        if i < len(points) and points[i] != NEWLINE:
            continue
        k = start
        while k < i and classes[points[k]] & SPACE:
            k += 1
        if k < i:
            row[26] += 1
            row[27] += is_end[points[i - 1]]
            row[28] += i - start <= 30
            row[29] += 0 if _first_time(keys, _between(prefixes, powers, start, i)) else i - start
        start = i + 1


@njit(cache=True)
def _count_signs(points: Points, row: Integers) -> None:
    i = 0
    while i < len(points):
        row[5] += points[i] == HASH
        is_three = i + 2 < len(points) and points[i] == DOT and points[i + 1] == DOT and points[i + 2] == DOT
        row[6] += is_three or points[i] == ELLIPSIS
        i += 3 if is_three else 1


@njit(cache=True)
def count(points: Points, offsets: Integers, classes: Bytes, is_end: Bytes, stop_words: Integers) -> Integers:
    """`is_end` tells the characters of datatrove's TERMINAL_PUNCTUATION; a row of `stop_words` is a length and a word."""
    longest = 0
    for d in range(len(offsets) - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    powers, prefixes = _powers(longest), np.empty(longest + 1, np.uint64)
    room = np.empty(4 * longest + 16, np.uint64)
    starts, ends, joined = np.empty(longest + 2, np.int64), np.empty(longest + 2, np.int64), np.empty(longest, np.uint32)
    rows = np.zeros((len(offsets) - 1, 31), np.int64)
    for d in range(len(offsets) - 1):
        text, row = points[offsets[d] : offsets[d + 1]], rows[d]
        row[10] = len(text)
        _hash_prefixes(text, prefixes)
        _count_lines(text, classes, row)
        _count_filled_lines(text, classes, is_end, prefixes, powers, room, row)
        _count_signs(text, row)
        num = _split(text, 0, len(text), 1, starts, ends)
        _count_duplicates(starts, ends, num, prefixes, powers, room, row, 14)
        first, last = 0, len(text)
        while first < last and classes[text[first]] & SPACE:
            first += 1
        while last > first and classes[text[last - 1]] & SPACE:
            last -= 1
        num = _split(text, first, last, 2, starts, ends)
        _count_duplicates(starts, ends, num, prefixes, powers, room, row, 11)
        ends[0] = 0
        num = _count_tokens(text, classes, stop_words, joined, ends, row)
        _hash_prefixes(joined[: ends[num]], prefixes)
        _count_top_ngrams(ends, num, prefixes, powers, room, row)
        _count_repeated_ngrams(ends, num, prefixes, powers, room, row)
    return rows
