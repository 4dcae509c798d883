"""Budget forcing: how long a model thinks before it answers, held token by token.

While thinking must go on, what would end it (the end's marker, an end of text) is refused, or `wait` stands in its place. At a
cap `closing` is written for the model, and where it ends its text without an answer too. What of `closing` stands already is
not written twice. Everything that was forced or refused is counted and kept with the answer.

A closing tag is caught at its first letters, `</`: else a half of it would be left standing. Other markers are caught at their
last token.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pretrain.generation.marker import Marker
from pretrain.generation.pieces import Pieces
from recipes.schema.budgets import Budget, Budgets

EndedBy = Literal["the model", "max_tokens", "max_steps", "end of text", "nothing"]
What = Literal["wait", "closing", "stop", "answer_tokens"]  # the latter two: an end of text


@dataclass(frozen=True)
class Span:
    """Forced tokens: the place of the first in the answer, how many, and which text they write."""

    at: int
    tokens: int
    what: What


@dataclass
class Spent:
    """What one answer took, and what was forced on it. `guarded`: the places at which thinking was not allowed to end. The marker
    that a model wrote itself is thinking; a closing that was forced is neither thinking nor answer."""

    thinking_tokens: int = 0
    answer_tokens: int = 0
    steps: int = 0
    guarded: int = 0
    ended_by: EndedBy = "nothing"
    forced: list[Span] = field(default_factory=list)

    @property
    def waits(self) -> int:
        return sum(span.what == "wait" for span in self.forced)


class Rules:
    """A budget in the tokens of one tokenizer. `stop`: what ends an answer, as it does without a budget."""

    def __init__(self, pieces: Pieces, budget: Budget, texts: Budgets, stop: Sequence[str] = ()):
        self.pieces, self.budget = pieces, budget
        self.end = Marker(texts.end, pieces, _caught_at(texts.end, texts.step))
        self.step = Marker(texts.step, pieces)
        self.stops = [Marker(text, pieces) for text in stop]
        self.wait = pieces.tokens(texts.wait)
        self.closing = texts.closes_with
        self._rests = _rests(self.closing, pieces)
        self.answer_tokens = texts.answer_tokens
        self.max_tokens = budget.max_tokens + max(len(rest) for _, rest in self._rests) + texts.answer_tokens + 1
        if budget.waits and len(self.wait) > budget.max_tokens:
            raise ValueError(f"wait {texts.wait!r} is {len(self.wait)} tokens, more than max_tokens={budget.max_tokens}")

    def endings(self, state: int) -> frozenset[int]:
        return self.end.writing(state) | self.pieces.eos

    def rest_of_closing(self, tail: bytes) -> tuple[int, ...]:
        """What of it the tail does not end with yet."""
        return next(rest for begun, rest in self._rests if tail.endswith(begun))


def _rests(closing: str, pieces: Pieces) -> list[tuple[bytes, tuple[int, ...]]]:
    """(what stands of it, tokens of the rest), the longest beginning first, and last none; but for rests that no tokens write."""
    whole = (b"", pieces.tokens(closing))
    rests = [(closing[:length], pieces.encode(closing[length:])) for length in range(len(closing) - 1, 0, -1)]
    return [(begun.encode(), rest) for begun, rest in rests if pieces.text(rest) == closing[len(begun) :]] + [whole]


def _caught_at(end: str, step: str) -> int | None:
    """How many bytes of a closing tag say that it is this one, and not that of a step."""
    if not end.startswith("</"):
        return None
    common = next((place for place, (a, b) in enumerate(zip(end, step, strict=False)) if a != b), min(len(end), len(step)))
    return min(max(2, len(end[: common + 1].encode())), len(end.encode()))


class Forcing:
    """The controller of one answer."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self.spent = Spent()
        self.answer_start: int | None = None
        self._read = 0
        self._end = self._step = 0
        self._written = 0  # bytes of the step that is being written, but for white space
        self._stops = [0] * len(rules.stops)
        self._is_stopped = False
        self._tail = b""

    def forbidden(self, generated: Sequence[int]) -> Collection[int]:
        self._take(generated)
        if self.answer_start is not None or self._cap() or not self._must_go_on():
            return ()
        self.spent.guarded += 1
        return () if self._may_wait() else self.rules.endings(self._end)

    def replaced(self, generated: Sequence[int], drawn: int) -> Sequence[int]:
        self._take(generated)
        if self.answer_start is not None:
            return self._stop(drawn)
        cap = self._cap()
        if cap is not None:
            return self._close(cap)
        if self._must_go_on() and drawn in self.rules.endings(self._end):
            return self._force("wait", self.rules.wait)
        return self._close("end of text") if drawn in self.rules.pieces.eos else (drawn,)

    def finish(self, generated: Sequence[int]) -> Spent:
        """Of the whole answer."""
        self._take(generated)
        return self.spent

    def answer(self, generated: Sequence[int]) -> str:
        """What stands behind the thinking, with the marker before it, which may say that this is the answer."""
        if self.answer_start is None:
            return ""
        marker = self.rules.closing if self.spent.ended_by != "the model" else self.rules.end.bytes.decode()
        text = self.rules.pieces.text(generated[self.answer_start :])
        ends = [place for place in (text.find(stop.bytes.decode()) for stop in self.rules.stops) if place >= 0]
        return marker + text[: min(ends, default=None)]

    def endings(self) -> Collection[int]:
        """What `replaced` would put another token in the place of, for those who cannot once it is drawn."""
        if self.answer_start is not None:
            return ()
        return self.rules.endings(self._end) if self._must_go_on() else self.rules.pieces.eos

    def _cap(self) -> EndedBy | None:
        """The cap that is reached."""
        budget = self.rules.budget
        if self._read >= budget.max_tokens:
            return "max_tokens"
        return "max_steps" if budget.max_steps is not None and self.spent.steps >= budget.max_steps else None

    def _must_go_on(self) -> bool:
        budget, spent = self.rules.budget, self.spent
        return self._read < budget.min_tokens or spent.steps < budget.min_steps or spent.waits < budget.waits

    def _may_wait(self) -> bool:
        """One that would not fit is not begun."""
        budget = self.rules.budget
        return self.spent.waits < budget.waits and self._read + len(self.rules.wait) <= budget.max_tokens

    def _force(self, what: What, tokens: tuple[int, ...]) -> tuple[int, ...]:
        self.spent.forced.append(Span(self._read, len(tokens), what))
        return tokens

    def _close(self, by: EndedBy) -> tuple[int, ...]:
        tokens = self.rules.rest_of_closing(self._tail)
        self.spent.ended_by = by
        self.answer_start = self._read + len(tokens)
        return self._force("closing", tokens)

    def _stop(self, drawn: int) -> Sequence[int]:
        """An answer that is long enough, or goes on with what stands behind an answer, is ended."""
        eos = self.rules.pieces.eos
        is_long = self.spent.answer_tokens >= self.rules.answer_tokens
        if not eos or drawn in eos or not (self._is_stopped or is_long):
            return (drawn,)
        return self._force("stop" if self._is_stopped else "answer_tokens", (min(eos),))

    def _take(self, generated: Sequence[int]) -> None:
        """Reads the tokens that were written since."""
        for token in generated[self._read :]:
            piece = self.rules.pieces.bytes_of(token)
            if self.answer_start is None:
                self._think(piece)
            elif self._read >= self.answer_start:
                self._answer(token, piece)
            self._read += 1

    def _think(self, piece: bytes) -> None:
        self.spent.thinking_tokens += 1
        self._tail = (self._tail + piece)[-len(self.rules.closing.encode()) :]
        self._end, ended = self.rules.end.read(self._end, piece)
        self._count_step(piece[:ended])
        if ended is not None:
            self.answer_start = self._read + 1
            self.spent.ended_by = "the model"
            self._watch(piece[ended:])

    def _count_step(self, piece: bytes) -> None:
        """One with nothing in it is none."""
        self._step, ended = self.rules.step.read(self._step, piece)
        self._written += visible(piece[:ended])
        if ended is not None:
            self.spent.steps += self._written > visible(self.rules.step.bytes)
            self._written = visible(piece[ended:])

    def _answer(self, token: int, piece: bytes) -> None:
        self.spent.answer_tokens += token not in self.rules.pieces.eos
        self._watch(piece)

    def _watch(self, piece: bytes) -> None:
        for number, stop in enumerate(self.rules.stops):
            self._stops[number], ended = stop.read(self._stops[number], piece)
            self._is_stopped = self._is_stopped or ended is not None


def visible(text: bytes) -> int:
    """Bytes that are no white space."""
    return len(b"".join(text.split()))
