"""Answers to a question that lie under `samples` in its metadata: a stage left them (sample_answers, resume_traces), or a source
has them."""

from dataclasses import dataclass
from typing import Any

from datatrove.data import Document


class BadSamples(Exception):
    """What stands under `samples` are no answers: the document's fault, not the page's."""


@dataclass(frozen=True)
class Recorded:
    """`finish` is "stop" where the answer came to its own end, or where nothing is said of it. `turn`, of a trace that turned
    back: where in the text the way back begins, and the end of the step that it goes back to."""

    text: str
    finish: str = "stop"
    turn: tuple[int, int] | None = None


def read_samples(doc: Document) -> list[Recorded]:
    """From texts, or from objects with a text, empty ones included."""
    given = doc.metadata.get("samples")
    if not isinstance(given, list):
        raise BadSamples("there are none" if given is None else f"samples is a {type(given).__name__}, not a list")
    return [_recorded(entry) for entry in given]


def _recorded(entry: Any) -> Recorded:
    if isinstance(entry, str):
        return Recorded(entry)
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        raise BadSamples("a sample has no text")
    return Recorded(text, str(entry.get("finish") or "stop"), _turn(entry.get("turn"), len(text)))


def _turn(given: Any, num_chars: int) -> tuple[int, int] | None:
    if given is None:
        return None
    is_turn = isinstance(given, list | tuple) and len(given) == 2 and all(type(place) is int for place in given)
    if not is_turn or not 0 <= given[1] <= given[0] <= num_chars:
        raise BadSamples("a turn lies outside its text")
    return given[0], given[1]
