"""Whether an answer goes round in circles, told from its text alone."""

TAIL = 2_000  # characters that are looked at: what loops does so at its end
MIN_TIMES = 4  # the same piece behind itself
MIN_LENGTH = 32  # characters of all its repeats together: 1000000 is a number, "so so so" a stammer
NGRAM = 8  # words


def loops(text: str) -> bool:
    """Whether it ends in a piece that stands there four times or more; the last time may be cut off."""
    tail = text.rstrip()[-TAIL:][::-1]
    return any(length >= (MIN_TIMES - 1) * period and length + period >= MIN_LENGTH for period, length in _borders(tail))


def _borders(text: str) -> list[tuple[int, int]]:
    """Of every place behind the first: how many characters from there on are those of the beginning (the Z algorithm)."""
    found = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        length = min(right - place, found[place - left]) if place < right else 0
        while place + length < len(text) and text[length] == text[place + length]:
            length += 1
        found[place] = length
        if place + length > right:
            left, right = place, place + length
    return list(enumerate(found))[1:]


def repeated_share(text: str) -> float:
    """The share of its runs of eight words that stood in it before."""
    words = text.split()
    runs = [tuple(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
