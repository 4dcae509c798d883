r"""A trace of thinking as its steps: its lines, long ones by sentence; never cut inside a formula or code.

A line that goes on with a sign of relation (`= 12`, `\le 3`) belongs to the one before, as does what follows a colon. Labels that
only count (`Step 3:`, `2.`) go: the same step has another number elsewhere. Of a trace with
think tags, what stands between them is the thinking.
"""

import re
from itertools import pairwise

from curation.format import THINK_TAG
from curation.language_model.chunks import LINE_END, SENTENCE_END, ends_outside, protected_spans

LABEL = re.compile(r"(?:(?:#+|[>*-])[ \t]+)?\**(?:step[ \t]+\d+\**[ \t]*[.:)]|\(?\d{1,2}[.)](?=\s|\*))\**[.:]?[ \t]*", re.I)
GOES_ON = re.compile(r"\$*\s*(?:[=<>≤≥≠≈⇒→]|\\(?:leq?|geq?|neq?|approx|implies|Rightarrow|to)(?![a-zA-Z]))")
THOUGHT_ENDS = re.compile(r"</think(?:ing)?>")  # servers often leave the opening tag in the prompt
SAYS_SOMETHING = re.compile(r"\w")


def thinking(text: str) -> str:
    """What stands before the end of the think tags, if there are any, else all of the text."""
    return THINK_TAG.sub("", THOUGHT_ENDS.split(text)[0]).strip()


def spoken(text: str) -> str:
    """What stands behind the think tags, if there are any, else all of the text."""
    return THINK_TAG.sub("", THOUGHT_ENDS.split(text)[-1]).strip()


def steps_of(text: str, max_chars: int) -> list[str]:
    """The steps of a text, none of them empty. A line of more than `max_chars` is cut at the ends of its sentences. The steps of
    steps that are joined by line ends are the same."""
    steps: list[str] = []
    for line in _pieces(text, LINE_END):
        for piece in _pieces(line, SENTENCE_END) if len(line.strip()) > max_chars else [line]:
            step = _without_label(piece.strip())
            if not step:
                continue
            if steps and (GOES_ON.match(step) or steps[-1].endswith(":") or not SAYS_SOMETHING.search(step)):
                steps[-1] += f"\n{step}"
            elif SAYS_SOMETHING.search(step):
                steps.append(step)
    return steps


def _pieces(text: str, ends: re.Pattern[str]) -> list[str]:
    places = [0, *ends_outside(ends, text, protected_spans(text)), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def _without_label(step: str) -> str:
    while label := LABEL.match(step):
        if not label.end():
            break
        step = step[label.end() :].strip()
    return step
