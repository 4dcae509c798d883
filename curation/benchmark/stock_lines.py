"""What datatrove's C4QualityFilter looks for in lines, compiled: one row a document."""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
SPACE, DECIMAL, LINE_BREAK, WORD = 1, 8, 16, 64
MAX_WORD, MIN_WORDS = 1_000, 3
LOREM, JAVASCRIPT, POLICY = 0, 1, 2  # rows of phrases, all further ones of policies
FIRST_LETTERS = (99, 106, 108, 112, 116, 117)  # c j l p t u, of the phrases that are looked for
COLUMNS = ("num_sentences", "fatal")  # fatal: 1 lorem ipsum, 2 a curly bracket came first


@njit(cache=True)
def _matches(points: Points, at: int, phrase: Integers) -> bool:
    same = 0
    while same < phrase[0] and at + same < len(points) and points[at + same] == phrase[same + 1]:
        same += 1
    return bool(same == phrase[0])


@njit(cache=True)
def _citation(points: Points, at: int, citations: Integers) -> int:
    """Length of the citation that begins here: [12], [], [edit], [citation needed]."""
    if points[at] != 91:
        return 0
    k = at + 1
    while k < len(points) and 48 <= points[k] <= 57:
        k += 1
    if k < len(points) and points[k] == 93:
        return k + 1 - at
    for row in range(citations.shape[0]):
        if _matches(points, at, citations[row]):
            return int(citations[row, 0])
    return 0


@njit(cache=True)
def _without_citations(points: Points, citations: Integers, out: Points) -> int:
    size, i = 0, 0
    while i < len(points):
        length = _citation(points, i, citations)
        if length:
            i += length
        else:
            out[size] = points[i]
            size += 1
            i += 1
    return size


@njit(cache=True)
def _words(points: Points, classes: Bytes) -> tuple[int, int]:
    """Number, and the longest one's length."""
    num = longest = length = 0
    for point in points:
        length = 0 if classes[point] & SPACE else length + 1
        num += length == 1
        longest = max(longest, length)
    return num, longest


@njit(cache=True)
def _ends_well(line: Points) -> bool:
    """A final . ? ! \" ' but no ellipsis."""
    size = len(line)
    if not size or line[size - 1] not in (46, 63, 33, 34, 39):
        return False
    return not (size >= 3 and line[size - 1] == 46 and line[size - 2] == 46 and line[size - 3] == 46)


@njit(cache=True)
def _sentences(line: Points, classes: Bytes) -> int:
    """Parts between runs of . ? ! that hold more than white space; 1 without any."""
    num, is_filled = 0, False
    for point in line:
        if point in (46, 63, 33):
            num += is_filled
            is_filled = False
        elif not classes[point] & SPACE:
            is_filled = True
    return max(num + is_filled, 1)


@njit(cache=True)
def _first_phrases(line: Points, lower: Points, phrases: Integers) -> int:
    """Bits of the phrases in the line."""
    folded = np.empty(len(line), np.uint32)
    for i in range(len(line)):
        folded[i] = lower[line[i]]
    found = 0
    for i in range(len(folded)):
        if folded[i] not in FIRST_LETTERS:
            continue
        for row in range(phrases.shape[0]):
            if folded[i] == phrases[row, 1] and _matches(folded, i, phrases[row]):
                found |= 1 << row
    return found


@njit(cache=True)
def _judge_line(line: Points, classes: Bytes, lower: Points, phrases: Integers, citations: Integers) -> tuple[int, int]:
    """Sentences of the line where it is kept, and what drops its document."""
    num_words, longest = _words(line, classes)
    if longest > MAX_WORD:
        return 0, 0
    out = np.empty(len(line), np.uint32)
    line = out[: _without_citations(line, citations, out)]
    if not _ends_well(line) or num_words < MIN_WORDS:
        return 0, 0
    found = _first_phrases(line, lower, phrases)
    if found >> LOREM & 1:
        return 0, 1
    if found >> JAVASCRIPT & 1:
        return 0, 0
    for point in line:
        if point == 123:
            return 0, 2
    return (0 if found >> POLICY else _sentences(line, classes)), 0


@njit(cache=True)
def judge_lines(
    points: Points, offsets: Integers, classes: Bytes, lower: Points, phrases: Integers, citations: Integers
) -> Integers:
    """A row of `phrases` and `citations` is a length and its characters."""
    rows = np.zeros((len(offsets) - 1, 2), np.int64)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end and not rows[d, 1]:
            first, last = i, i
            while i < end and not classes[points[i]] & LINE_BREAK:
                if not classes[points[i]] & SPACE:
                    last = i + 1
                elif last == first:
                    first = last = i + 1
                i += 1
            sentences, fatal = _judge_line(points[first:last], classes, lower, phrases, citations)
            rows[d, 0] += sentences
            rows[d, 1] = fatal
            i += 1
    return rows
