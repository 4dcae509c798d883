"""Where the formulas of texts are, as `curation.filters.formulas.FORMULA` finds them, and the texts without them.

Each function below `find_formulas` is one alternative of that pattern: it gets the position of the opening `$` or backslash and
returns the end of the formula, 0 for none.
"""

import numpy as np
from numpy.typing import NDArray

from curation.compiled import njit

Points = NDArray[np.uint32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
DOLLAR, BACKSLASH, NEWLINE, OPEN_BRACE, CLOSE_BRACE = 36, 92, 10, 123, 125
SPACE, DECIMAL = 1, 8  # bits of curation.filters.characters
SIGNS = (BACKSLASH, 94, 95, OPEN_BRACE, CLOSE_BRACE)  # prices have none of \ ^ _ { }
FORMULA_MARK = 0x10FFFF
_NAMES = ("equation", "align", "alignat", "flalign", "gather", "multline", "eqnarray", "displaymath")
_LONGEST = max(map(len, _NAMES))
_ENVIRONMENTS = np.array([[ord(c) for c in name.ljust(_LONGEST, "\0")] for name in _NAMES], dtype=np.uint32)
_BEGIN = np.array([ord(c) for c in "begin"], dtype=np.uint32)
_END = np.array([ord(c) for c in "end"], dtype=np.uint32)


@njit(cache=True, nogil=True)
def _opens_blank_line(points: Points, i: int, end: int, classes: Bytes) -> bool:
    j = i + 1
    while j < end and classes[points[j]] & SPACE:
        if points[j] == NEWLINE:
            return True
        j += 1
    return False


@njit(cache=True, nogil=True)
def _display_dollars(points: Points, i: int, end: int, classes: Bytes) -> int:
    if i + 1 >= end or points[i + 1] != DOLLAR:
        return 0
    j, taken = i + 2, 0
    while j < end and taken < 5000:
        point = points[j]
        if point == DOLLAR:
            if j + 1 < end and points[j + 1] == DOLLAR:
                break
        elif point == BACKSLASH:
            if j + 1 >= end:
                break
            j += 1
        elif point == NEWLINE and _opens_blank_line(points, j, end, classes):
            break
        j += 1
        taken += 1
    return j + 2 if taken and j + 1 < end and points[j] == DOLLAR and points[j + 1] == DOLLAR else 0


@njit(cache=True, nogil=True)
def _closes_inline(points: Points, j: int, end: int, classes: Bytes) -> bool:
    """A dollar that no digit and no other dollar follows."""
    if j >= end or points[j] != DOLLAR:
        return False
    return j + 1 >= end or not (points[j + 1] == DOLLAR or classes[points[j + 1]] & DECIMAL)


@njit(cache=True, nogil=True)
def _inline_dollars(points: Points, i: int, end: int, classes: Bytes) -> int:
    if i + 1 >= end or points[i + 1] == DOLLAR or classes[points[i + 1]] & SPACE:
        return 0
    j, taken = i + 1, 0
    while j < end and taken < 500 and points[j] != DOLLAR:
        point = points[j]
        if point == BACKSLASH:
            if j + 1 >= end:
                break
            j += 1
        elif point == NEWLINE and _opens_blank_line(points, j, end, classes):
            break
        j += 1
        taken += 1
    return j + 1 if taken and _closes_inline(points, j, end, classes) and not classes[points[j - 1]] & SPACE else 0


@njit(cache=True, nogil=True)
def _spaced_dollars(points: Points, i: int, end: int, classes: Bytes) -> int:
    j, has_sign = i + 1, False
    while j < end and j - i <= 500 and points[j] != DOLLAR and points[j] != NEWLINE:
        point = points[j]
        if j > i + 1 and (point in SIGNS):
            has_sign = True
        j += 1
    return j + 1 if has_sign and _closes_inline(points, j, end, classes) else 0


@njit(cache=True, nogil=True)
def _brackets(points: Points, i: int, end: int, classes: Bytes, opening: int, closing: int, limit: int) -> int:
    j, taken = i + 2, 0
    while j < end and taken < limit:
        point = points[j]
        if point == BACKSLASH:
            if j + 1 >= end or points[j + 1] == opening or points[j + 1] == closing:
                break
            j += 1
        elif point == NEWLINE and _opens_blank_line(points, j, end, classes):
            break
        j += 1
        taken += 1
    return j + 2 if taken and j + 1 < end and points[j] == BACKSLASH and points[j + 1] == closing else 0


@njit(cache=True, nogil=True)
def _environment_name(points: Points, i: int, end: int, command: Points) -> tuple[int, int]:
    """Row of the environment whose \\command{name} or \\command{name*} begins at i, twice that plus one with a star; -1 for
    none, and the end of the command."""
    j = i + 1
    for point in command:
        if j >= end or points[j] != point:
            return -1, 0
        j += 1
    if j >= end or points[j] != OPEN_BRACE:
        return -1, 0
    j += 1
    for row in range(_ENVIRONMENTS.shape[0]):
        k, length = j, 0
        while length < _LONGEST and _ENVIRONMENTS[row, length] and k < end and points[k] == _ENVIRONMENTS[row, length]:
            k += 1
            length += 1
        if length < _LONGEST and _ENVIRONMENTS[row, length]:
            continue
        star = 1 if k < end and points[k] == 42 else 0
        k += star
        if k < end and points[k] == CLOSE_BRACE:
            return 2 * row + star, k + 1
    return -1, 0


@njit(cache=True, nogil=True)
def _environment(points: Points, i: int, end: int) -> int:
    name, j = _environment_name(points, i, end, _BEGIN)
    if name < 0:
        return 0
    taken = 0
    while j < end and taken < 5000:
        if points[j] == BACKSLASH:
            closing, after = _environment_name(points, j, end, _END)
            if closing == name:
                return after if taken else 0
            if _environment_name(points, j, end, _BEGIN)[0] == name:
                return 0
        j += 1
        taken += 1
    closing, after = _environment_name(points, j, end, _END) if j < end and points[j] == BACKSLASH else (-1, 0)
    return after if closing == name else 0


@njit(cache=True, nogil=True)
def _formula_at(points: Points, first: int, i: int, end: int, classes: Bytes) -> int:
    """The end of the formula that opens at i, 0 for none."""
    before = points[i - 1] if i > first else np.uint32(0)
    following = points[i + 1] if i + 1 < end else np.uint32(0)
    found: int = 0
    if points[i] == DOLLAR:
        if before != BACKSLASH:
            found = _display_dollars(points, i, end, classes)
        if not found and before != BACKSLASH and before != DOLLAR:
            found = _inline_dollars(points, i, end, classes)
            if not found:
                found = _spaced_dollars(points, i, end, classes)
    elif following == 98:  # b of begin
        found = _environment(points, i, end)
    elif before != BACKSLASH and following == 40:
        found = _brackets(points, i, end, classes, np.uint32(40), np.uint32(41), 2000)
    elif before != BACKSLASH and following == 91:
        found = _brackets(points, i, end, classes, np.uint32(91), np.uint32(93), 5000)
    return found


@njit(cache=True, nogil=True)
def find_formulas(points: Points, offsets: Integers, classes: Bytes) -> tuple[Integers, Integers, Integers]:
    """Starts and ends of all formulas, and for every document the number of the first one; one number more at the end."""
    num_openings = 0
    for point in points:
        if point in (DOLLAR, BACKSLASH):
            num_openings += 1
    starts, ends = np.empty(num_openings // 2 + 1, np.int64), np.empty(num_openings // 2 + 1, np.int64)
    firsts = np.zeros(len(offsets), np.int64)
    found = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            if points[i] == DOLLAR or points[i] == BACKSLASH:
                after = _formula_at(points, offsets[d], i, end, classes)
                if after:
                    starts[found], ends[found] = i, after
                    found += 1
                    i = after
                    continue
            i += 1
        firsts[d + 1] = found
    return starts[:found], ends[:found], firsts


@njit(cache=True, nogil=True)
def without_formulas(
    points: Points, offsets: Integers, starts: Integers, ends: Integers, firsts: Integers
) -> tuple[Points, Integers]:
    """The texts with one FORMULA_MARK for each formula: points and offsets."""
    out, at, new_offsets = np.empty(len(points), np.uint32), 0, np.zeros(len(offsets), np.int64)
    for d in range(len(offsets) - 1):
        i = offsets[d]
        for f in range(firsts[d], firsts[d + 1]):
            size = starts[f] - i
            out[at : at + size] = points[i : starts[f]]
            out[at + size] = FORMULA_MARK
            at += size + 1
            i = ends[f]
        size = offsets[d + 1] - i
        out[at : at + size] = points[i : offsets[d + 1]]
        at += size
        new_offsets[d + 1] = at
    return out[:at], new_offsets


@njit(cache=True, nogil=True)
def one_line_formulas(
    points: Points, offsets: Integers, starts: Integers, ends: Integers, firsts: Integers, classes: Bytes
) -> tuple[Points, Integers]:
    """The texts with white space inside formulas made one space, so that a displayed formula is one line: points and offsets."""
    out, at, new_offsets = np.empty(len(points), np.uint32), 0, np.zeros(len(offsets), np.int64)
    for d in range(len(offsets) - 1):
        i = offsets[d]
        for f in range(firsts[d], firsts[d + 1]):
            size = starts[f] - i
            out[at : at + size] = points[i : starts[f]]
            at += size
            for j in range(starts[f], ends[f]):
                if not classes[points[j]] & SPACE:
                    out[at] = points[j]
                    at += 1
                elif not classes[points[j - 1]] & SPACE:
                    out[at] = 32
                    at += 1
            i = ends[f]
        size = offsets[d + 1] - i
        out[at : at + size] = points[i : offsets[d + 1]]
        at += size
        new_offsets[d + 1] = at
    return out[:at], new_offsets
