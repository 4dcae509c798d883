"""What every engine can do. Evaluation and the readiness card ask through this interface and know no engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Sampling:
    """How one answer is drawn. `temperature` 0: greedy. `stop`: strings that end an answer and are no part of it."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A prompt, and the seed of the draws behind it: what is drawn depends on nothing else that is asked beside it."""

    prompt: str
    seed: int = 0


@dataclass(frozen=True)
class Output:
    """An answer. `tokens`: how many were generated, an end of text counted. `finish`: what ended it. `entropy`: mean, in nats, of
    the distributions that its tokens were drawn from; None where the engine does not tell."""

    text: str
    tokens: int
    finish: Literal["eos", "stop", "length"]
    entropy: float | None = None


class Engine(Protocol):
    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Output]:
        """An answer to each, in their order."""
        ...

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Of each (prompt, continuation): the natural logarithm of the continuation's probability behind the prompt."""
        ...

    def close(self) -> None: ...
