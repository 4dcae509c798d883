"""Answers to a question that lie under `samples` in its metadata: a sample_answers stage left them, or a source has them."""

from dataclasses import dataclass
from typing import Any

from datatrove.data import Document


@dataclass(frozen=True)
class Recorded:
    """`finish` is "stop" where the answer came to its own end, or where nothing is said of it."""

    text: str
    finish: str


def recorded_answers(doc: Document) -> list[Recorded] | None:
    """From texts, or from objects with a text; None where there are none, or something else stands there."""
    given = doc.metadata.get("samples")
    if not isinstance(given, list) or not given:
        return None
    answers = [_recorded(entry) for entry in given]
    return None if None in answers else [answer for answer in answers if answer is not None]


def _recorded(entry: Any) -> Recorded | None:
    text = entry.get("text") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        return None
    finish = entry.get("finish") if isinstance(entry, dict) else None
    return Recorded(text.strip(), str(finish or "stop"))
