"""Samples of a document as traces of thinking."""

from datatrove.data import Document

from curation.paths.graph import Trace
from curation.paths.segments import steps_of, thinking
from curation.sampling.recorded import Recorded, read_samples


def written_samples(doc: Document) -> list[Recorded]:
    """Those with a text."""
    return [sample for sample in read_samples(doc) if sample.text.strip()]


def ending(sample: Recorded) -> str:
    """What states the trace's answer: behind a turn, the way back alone."""
    return sample.text if sample.turn is None else sample.text[sample.turn[0] :]


def trace_of(sample: Recorded, max_step_chars: int, *, is_right: bool) -> Trace | None:
    """None where there is no step at all."""
    if sample.turn is None:
        parts = [thinking(sample.text), "", ""]
    else:
        at, to = sample.turn
        parts = [sample.text[:to], sample.text[to:at], sample.text[at:]]
    steps, wrong, back = (steps_of(part, max_step_chars) for part in parts)
    if wrong and back and is_right:
        return Trace(steps, is_right, wrong, back)
    walked = [*steps, *wrong, *back]
    return Trace(walked, is_right) if walked else None
