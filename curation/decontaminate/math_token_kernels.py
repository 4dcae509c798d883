"""The compiled part of math_token_hashes.py: the pattern of math_tokens.py, byte by byte.

Imported only where it runs: the first call of a machine compiles (a few seconds), later ones read numba's cache.
"""

import numpy as np

from curation.compiled import lean_njit, njit

NUMBER, WORD = np.uint64(1), np.uint64(2)  # the lowest bits of a token's hash; a word has three letters, or is an ideograph
ANY_NUMBER = np.uint64(0x5851F42D4C957F2C) | NUMBER
FNV_START = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
_START, _PRIME = np.uint64(FNV_START), np.uint64(FNV_PRIME)
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's finaliser
_HALF = np.uint64(33)
LAYOUT, PLAIN = -1, 0  # marks beside NUMBER and WORD: no token, and a token that is neither
MARKS, NUMBER_MARK, WORD_MARK = NUMBER | WORD, 1, 2
WORD_BYTES = 3

# What `re` calls a word character is from DIGIT to UNDERSCORE; what is not more than SPACE is no part of a token.
OTHER, SPACE, DIGIT, LETTER, IDEOGRAPH, UNDERSCORE, BACKSLASH, MINUS, COMPARISON, SIGN, FOREIGN = range(11)
_FRAC = np.frombuffer(b"frac", np.uint8)
_BEGIN, _END = np.frombuffer(b"begin", np.uint8), np.frombuffer(b"end", np.uint8)
_CAPITALS = (np.uint8(ord("A")), np.uint8(ord("Z")))
_TO_LOWER = np.uint8(32)
NUM_SPELLING_SLOTS = 1024


@njit(cache=True)
def foreign_runs(content):  # type: ignore[no-untyped-def]
    """Start, end, start, end ... of runs of bytes outside ASCII."""
    runs = np.empty(len(content) + 2, np.int64)
    count, i = 0, 0
    while i < len(content):
        if content[i] >= 0x80:
            runs[count] = i
            while i < len(content) and content[i] >= 0x80:
                i += 1
            runs[count + 1] = i
            count += 2
        i += 1
    return runs[:count]


@lean_njit(cache=True)
def find_all(content, bounds, kinds, plain, spellings, hashes, starts, ends, offsets):  # type: ignore[no-untyped-def]
    """Fills `hashes`, `starts` and `ends`, and `offsets`: where each text's begin. `plain`: what a byte is that begins a
    character, FOREIGN outside ASCII."""
    keys, tokens, marks = spellings
    count = offsets[0] = 0
    for text in range(len(bounds) - 1):
        first, last = bounds[text], bounds[text + 1]
        i = first
        while i < last:
            start = i
            i, hashed = _run(content, i, last, plain, LETTER)
            mark = _mark_of_word(i - start)
            if i == start:
                i, hashed, mark = _plain(content, start, first, last, plain)
            if i == start or (i < last and content[i] >= 0x80):  # the most of a text never gets here
                i, hashed, mark = _next(content, start, first, last, kinds, keys, tokens, marks)
            if mark != LAYOUT:
                mixed = (hashed ^ (hashed >> _HALF)) * _MIX
                mixed ^= mixed >> _HALF
                hashes[count] = (mixed & ~MARKS) | np.uint64(mark)
                starts[count], ends[count] = start - first, i - first
                count += 1
            while i < last and plain[content[i]] <= SPACE:
                i += 1
        offsets[text + 1] = count


@njit(cache=True, inline="always")
def _run(content, i, last, plain, kind):  # type: ignore[no-untyped-def]
    """(where a run of ASCII letters, or digits, ends, its hash): small letters and digits have the bit that capitals get."""
    hashed = _START
    while i < last and plain[content[i]] == kind:
        hashed = (hashed ^ np.uint64(content[i] | _TO_LOWER)) * _PRIME
        i += 1
    return i, hashed


@njit(cache=True, inline="always")
def _plain(content, start, first, last, plain):  # type: ignore[no-untyped-def]
    """What `_next` says of a sign, and of digits that are all of a number, in less time; else it stays at `start`."""
    if plain[content[start]] == SIGN:
        return start + 1, (_START ^ np.uint64(content[start])) * _PRIME, PLAIN
    i, hashed = _run(content, start, last, plain, DIGIT)
    if (start > first and content[start - 1] == _FRAC[-1]) or not _ends_number(content, i, last, plain):
        i = start
    return i, hashed, NUMBER_MARK


@njit(cache=True, inline="always")
def _ends_number(content, i, last, plain):  # type: ignore[no-untyped-def]
    """Whether it is clear at a glance that nothing behind the digits belongs to their number."""
    if i == last:
        return True
    if content[i] == ord(".") or content[i] == ord(","):
        return i + 1 == last or plain[content[i + 1]] <= SPACE
    return content[i] < 0x80 and content[i] != ord("{") and content[i] != ord("\\")


@njit(cache=True, inline="always")
def _mark_of_word(num_bytes):  # type: ignore[no-untyped-def]
    return WORD_MARK if num_bytes >= WORD_BYTES else PLAIN


@njit(cache=True, inline="always")
def _next(content, i, first, last, kinds, keys, tokens, marks):  # type: ignore[no-untyped-def]
    """(where it goes on, unmixed hash, mark)."""
    code, width = _character(content, i)
    kind = kinds[code]
    if kind == LETTER:
        hashed, start = _START, i
        while i < last:
            code, width = _character(content, i)
            if kinds[code] != LETTER:
                break
            for _ in range(width):
                byte = content[i]
                byte = byte + _TO_LOWER if _CAPITALS[0] <= byte <= _CAPITALS[1] else byte
                hashed = (hashed ^ np.uint64(byte)) * _PRIME
                i += 1
        return i, hashed, _mark_of_word(i - start)
    if kind == DIGIT:
        return _number(content, i, first, last, kinds)
    if kind == IDEOGRAPH:
        return i + width, _extend(_START, content, i, i + width), _mark_of_word(width)
    if kind == BACKSLASH:
        return _command(content, i, last, kinds, keys, tokens, marks)
    if kind == MINUS:
        hashed = _extend(_START, content, i, i + 1)
        while i < last and content[i] == ord("-"):
            i += 1
        return i, hashed, PLAIN
    if kind == COMPARISON and i + 1 < last and content[i + 1] == ord("="):
        return _spelled(i + 2, _extend(_START, content, i, i + 2), keys, tokens, marks)
    is_sign = kind == SIGN or (kind == COMPARISON and code != ord("!") and not _is_quote(content, i, first))
    return i + width, _extend(_START, content, i, i + 1), PLAIN if is_sign else LAYOUT


@lean_njit(cache=True)
def _is_quote(content, i, first):  # type: ignore[no-untyped-def]
    """Whether a > (before no =) has only others before it in its line, and blanks."""
    if content[i] != ord(">"):
        return False
    while i > first and (content[i - 1] == ord(">") or content[i - 1] == ord(" ") or content[i - 1] == ord("\t")):
        i -= 1
    return i == first or content[i - 1] == ord("\n")


@lean_njit(cache=True)
def _character(content, i):  # type: ignore[no-untyped-def]
    """(code point, bytes it takes)."""
    byte = np.int64(content[i])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        return (byte & 0x1F) << 6 | (content[i + 1] & 0x3F), 2
    if byte < 0xF0:
        return (byte & 0x0F) << 12 | np.int64(content[i + 1] & 0x3F) << 6 | (content[i + 2] & 0x3F), 3
    high = (byte & 0x07) << 18 | np.int64(content[i + 1] & 0x3F) << 12
    return high | np.int64(content[i + 2] & 0x3F) << 6 | (content[i + 3] & 0x3F), 4


@njit(cache=True, inline="always")
def _extend(hashed, content, start, end):  # type: ignore[no-untyped-def]
    for i in range(start, end):
        hashed = (hashed ^ np.uint64(content[i])) * _PRIME
    return hashed


@njit(cache=True, inline="always")
def _spelled(end, hashed, keys, tokens, marks):  # type: ignore[no-untyped-def]
    slot = np.int64(hashed % np.uint64(NUM_SPELLING_SLOTS))
    while keys[slot]:
        if keys[slot] == hashed:
            return end, tokens[slot], marks[slot]
        slot = (slot + 1) % NUM_SPELLING_SLOTS
    return end, hashed, PLAIN


@lean_njit(cache=True)
def _equals(content, start, end, word):  # type: ignore[no-untyped-def]
    if end - start != len(word):
        return False
    same = True
    for k in range(len(word)):
        same &= content[start + k] == word[k]
    return same


@njit(cache=True, inline="always")
def _command(content, i, last, kinds, keys, tokens, marks):  # type: ignore[no-untyped-def]
    end, hashed = i + 1, (_START ^ np.uint64(content[i])) * _PRIME
    while end < last and content[end] < 0x80 and kinds[content[end]] == LETTER:
        hashed = (hashed ^ np.uint64(content[end])) * _PRIME
        end += 1
    if end == i + 1:  # \, is layout; of \1, \_ and \é the backslash is nothing
        if end == last:
            return end, _START, LAYOUT
        code, width = _character(content, end)
        kind = kinds[code]
        is_word = DIGIT <= kind <= UNDERSCORE
        return end if is_word else end + width, _START, LAYOUT
    if _equals(content, i + 1, end, _BEGIN) or _equals(content, i + 1, end, _END):
        close = _environment(content, end, last, kinds)
        if close:
            return close, _START, LAYOUT
    return _spelled(end, hashed, keys, tokens, marks)


@lean_njit(cache=True)
def _environment(content, i, last, kinds):  # type: ignore[no-untyped-def]
    """The end of {name} behind white space; 0 if there is none."""
    while i < last:
        code, width = _character(content, i)
        if kinds[code] != SPACE:
            break
        i += width
    if i == last or content[i] != ord("{"):
        return 0
    i += 1
    while i < last and content[i] != ord("{") and content[i] != ord("}"):
        i += 1
    return i + 1 if i < last and content[i] == ord("}") else 0


@lean_njit(cache=True)
def _digits(content, i, last, kinds, most):  # type: ignore[no-untyped-def]
    """(where a run of digits ends, how many they are), at most `most`."""
    count = 0
    while i < last and count < most:
        code, width = _character(content, i)
        if kinds[code] != DIGIT:
            break
        i += width
        count += 1
    return i, count


@njit(cache=True, inline="always")
def _number(content, i, first, last, kinds):  # type: ignore[no-untyped-def]
    only_one = i - first >= 4 and _equals(content, i - 4, i, _FRAC)
    end, _ = _digits(content, i, last, kinds, 1 if only_one else last)
    hashed = _extend(_START, content, i, end)
    if only_one:
        return end, hashed, NUMBER_MARK
    while True:
        group = _separator(content, end, last)
        after, count = _digits(content, group, last, kinds, 4) if group else (0, 0)
        if count != 3:
            break
        hashed = _extend(hashed, content, group, after)
        end = after
    if end < last and content[end] == ord("."):
        after, count = _digits(content, end + 1, last, kinds, last)
        if count:
            hashed = _extend(hashed, content, end, after)
            end = after
    return end, hashed, NUMBER_MARK


@lean_njit(cache=True)
def _separator(content, i, last):  # type: ignore[no-untyped-def]
    r"""The end of a separator of thousands: , or {,} or \, or \! or ,\! ; 0 if there is none."""
    left = last - i
    if left > 2 and content[i] == ord("{") and content[i + 1] == ord(",") and content[i + 2] == ord("}"):
        return i + 3
    if left > 1 and content[i] == ord("\\") and (content[i + 1] == ord(",") or content[i + 1] == ord("!")):
        return i + 2
    if left > 2 and content[i] == ord(",") and content[i + 1] == ord("\\") and content[i + 2] == ord("!"):
        return i + 3
    return i + 1 if left > 0 and content[i] == ord(",") else 0
