"""Benchmark items written in other ways and planted into documents: what a detector finds of them is its recall.

KINDS makes of an item's text the pieces that are planted, or nothing where an item cannot be changed so (it has no number, one
sentence). `drawn_anew` makes of an item a text that is none: what is found of it is found wrongly.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curation.decontaminate.benchmarks import Part
from curation.decontaminate.detector import Detector

MAX_HOST_CHARS = 20_000
TRUNCATED_TO = 0.6
SWAPPED_WORDS = 0.05
NUMBER = re.compile(r"\d+")
WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
PLAIN_WORD = re.compile(r"(?<!\S)[a-zA-Z]+(?=[.,;:?!]?(?!\S))")
SENTENCE_END = re.compile(r"(?<=[.!?。])\s*(?=\S)|(?<=[.!?])\s+")
SPELLINGS = (
    (r"\\[dt]?frac(?![a-zA-Z])", r"\\dfrac"),
    (r"\\leq?(?![a-zA-Z])", "≤"),
    (r"\\geq?(?![a-zA-Z])", "≥"),
    (r"\\pi(?![a-zA-Z])", "π"),
    (r"\\cdot(?![a-zA-Z])", "·"),
    (r"(?<=[a-zA-Z])\^\{?2\}?(?!\d)", "²"),
    (r"(?<![\d.,{}])(\d)(\d{3})(?![\d.,])", r"\1{,}\2"),
    (r"(?<![\\=<>!])=", r"\\, =\\; "),
    (r"(?<!\\)\$\$?([^$]*)\$\$?", r"\\(\1\\)"),
)


def _verbatim(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    return [text]


def _white_space(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    """Wrapped in other places, without dollars, in capitals half of the time."""
    parts = re.split(r"\s+", text.replace("$", ""))
    other = "".join(part + rng.choice((" ", "  ", "\n", "\n\n    ", " ")) for part in parts)
    return [WORD.sub(lambda match: match[0].upper(), other) if rng.random() < 0.5 else other]


def _latex(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    other = text
    for pattern, written in SPELLINGS:
        other = re.sub(pattern, written, other)
    return [other] if other != text else []


def _numbers(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    """Every number another one."""
    other = NUMBER.sub(lambda match: _other_number(match[0], rng), text)
    return [other] if other != text else []


def _sentences(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    sentences = [sentence.strip() for sentence in SENTENCE_END.split(text) if sentence.strip()]
    turn = rng.randrange(1, len(sentences)) if len(sentences) > 1 else 0
    return [" ".join(sentences[turn:] + sentences[:turn])] if turn else []


def _split(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    """Two halves, in two places."""
    parts = text.split(" ")
    half = len(parts) // 2
    return [" ".join(parts[:half]), " ".join(parts[half:])] if half else []


def _truncated(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    parts = text.split(" ")
    return [" ".join(parts[: max(int(TRUNCATED_TO * len(parts)), 1)])] if len(parts) > 1 else []


def _words(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
    """One word of 20 another one, one at least."""
    places = [match.span() for match in WORD.finditer(text)]
    chosen = sorted(rng.sample(places, min(max(round(SWAPPED_WORDS * len(places)), 1), len(places))), reverse=True)
    for start, end in chosen:
        text = text[:start] + rng.choice(words) + text[end:]
    return [text] if chosen else []


def _every(nth: int) -> "Kind":
    """Every nth plain word another one: what is left between them has no long n-gram."""

    def replace(text: str, words: Sequence[str], rng: random.Random) -> list[str]:
        places = [match.span() for match in PLAIN_WORD.finditer(text)][nth - 1 :: nth]
        for start, end in reversed(places):
            text = text[:start] + rng.choice(words) + text[end:]
        return [text] if places else []

    return replace


Kind = Callable[[str, Sequence[str], random.Random], list[str]]

KINDS: dict[str, Kind] = {
    "verbatim": _verbatim,
    "white_space": _white_space,
    "latex": _latex,
    "numbers_changed": _numbers,
    "sentences_reordered": _sentences,
    "split": _split,
    "truncated": _truncated,
    "words_swapped": _words,
    "every_8th_word": _every(8),
    "every_5th_word": _every(5),
}


def drawn_anew(text: str, words: Sequence[str], rng: random.Random) -> str:
    """The form of an item without the item: every word and every number another one, formulas and layout as they were."""
    other = WORD.sub(lambda match: rng.choice(words), text)
    return NUMBER.sub(lambda match: _other_number(match[0], rng), other)


def _other_number(digits: str, rng: random.Random) -> str:
    while True:
        other = str(rng.randrange(10 ** (len(digits) - 1) if len(digits) > 1 else 0, 10 ** len(digits)))
        if other != digits:
            return other


@dataclass(frozen=True)
class Canary:
    part: Part
    text: str  # a document with the item in it


def plant(kind: str, parts: Sequence[Part], hosts: Sequence[str], count: int, seed: int) -> list[Canary]:
    """`count` canaries of a kind (`drawn_anew` too), fewer if so few items can be changed so; each in a document."""
    rng = random.Random(f"{seed}/{kind}")
    words = sorted({match for part in parts for match in WORD.findall(part.text)}) or ["word"]
    canaries: list[Canary] = []
    for part in rng.sample(list(parts), len(parts)):
        pieces = [drawn_anew(part.text, words, rng)] if kind == "drawn_anew" else KINDS[kind](part.text, words, rng)
        if pieces:
            canaries.append(Canary(part, _planted(pieces, rng.choice(hosts), rng)))
        if len(canaries) == count:
            break
    return canaries


def _planted(pieces: list[str], host: str, rng: random.Random) -> str:
    """Pieces in different places, in their order; a word of the host is never cut."""
    parts = host[:MAX_HOST_CHARS].split(" ")
    places = sorted(rng.sample(range(len(parts) + 1), min(len(pieces), len(parts) + 1)))
    for place, piece in reversed(list(zip(places, pieces, strict=False))):
        parts.insert(place, f"\n{piece}\n")
    return " ".join(parts)


@dataclass(frozen=True)
class Recall:
    planted: int
    removed: int
    reported: int  # removed, or near


def measure(detector: Detector, canaries: Sequence[Canary]) -> Recall:
    """How many canaries are found for the item that they are, or one of the same text."""
    removed = reported = 0
    for canary, findings in zip(canaries, detector.find([canary.text for canary in canaries]), strict=True):
        tiers = {finding.tier for finding in findings if finding.part.text == canary.part.text}
        removed += "remove" in tiers
        reported += bool(tiers)
    return Recall(len(canaries), removed, reported)
