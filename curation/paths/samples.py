"""The traces that a document carries: the `samples` of sample_answers, of resume_traces, or recorded ones that format kept."""

from dataclasses import dataclass
from typing import Any, Self

from datatrove.data import Document

from curation.paths.graph import Trace
from curation.paths.segments import steps_of, thinking


class BadSamples(Exception):
    """What stands under `samples` are no traces: the document's fault, not the page's."""


@dataclass(frozen=True)
class Sample:
    """`turn`: where in the text the way back begins, and the end of the step that it goes back to."""

    text: str
    finish: str
    turn: tuple[int, int] | None = None

    @classmethod
    def read(cls, record: Any) -> Self:
        text = record.get("text") if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise BadSamples("a sample has no text")
        turn = record.get("turn")
        if turn is None:
            return cls(text, str(record.get("finish") or "stop"))
        is_turn = isinstance(turn, list | tuple) and len(turn) == 2 and all(type(place) is int for place in turn)
        if not is_turn or not 0 <= turn[1] <= turn[0] <= len(text):
            raise BadSamples("a turn lies outside its text")
        return cls(text, str(record.get("finish") or "stop"), (turn[0], turn[1]))

    @property
    def ending(self) -> str:
        """What states the trace's answer: behind a turn, the way back alone."""
        return self.text if self.turn is None else self.text[self.turn[0] :]

    def trace(self, max_step_chars: int, *, is_right: bool) -> Trace | None:
        """None where there is no step at all."""
        if self.turn is None:
            parts = [thinking(self.text), "", ""]
        else:
            at, to = self.turn
            parts = [self.text[:to], self.text[to:at], self.text[at:]]
        steps, wrong, back = (steps_of(part, max_step_chars) for part in parts)
        if wrong and back and is_right:
            return Trace(steps, is_right, wrong, back)
        walked = [*steps, *wrong, *back]
        if walked and self.finish != "stop":
            walked.pop()  # broken off in the middle
        return Trace(walked, is_right) if walked else None


def read_samples(doc: Document) -> list[Sample]:
    """Those with a text. BadSamples for a document, ValueError for a page."""
    if "samples" not in doc.metadata:
        raise ValueError(
            f"document {doc.id!r} has no samples in its metadata; put the stage behind sample_answers, or behind a format stage "
            "with `keep: [question, samples]` and a column of recorded traces"
        )
    records = doc.metadata["samples"]
    if not isinstance(records, list):
        raise BadSamples(f"samples is a {type(records).__name__}, not a list")
    return [sample for sample in map(Sample.read, records) if sample.text.strip()]
