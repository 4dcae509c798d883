"""What every engine can do. Evaluation and the readiness card ask through this interface and know no engine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from pretrain.generation.controller import Control

Finish = Literal["eos", "stop", "length", "too_long"]


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
    """An answer. `tokens`: how many were generated, an end of text and what a stop string cut off counted; `ids` are they.
    `finish`: what ended it; "too_long": the prompt left no room for a token, and nothing was generated. `entropy`: mean, in
    nats, of the distributions that its tokens were drawn from, before top_p; None where the engine does not tell, or nothing
    was drawn."""

    text: str
    tokens: int
    finish: Finish
    entropy: float | None = None
    ids: tuple[int, ...] = ()


class NoNumbers(ValueError):
    """What a model computes is broken: the checkpoint's mistake, and not the page's."""


class Engine(Protocol):
    tokenizer: Any  # of transformers
    eos: frozenset[int]  # ids that end a text
    max_positions: int

    def encode(self, text: str) -> list[int]:
        """As the tokenizer begins a text: with its first token, if it has one."""
        ...

    def generate(self, asked: Sequence[Asked], sampling: Sampling, control: "Control | None" = None) -> list[Output]:
        """An answer to each, in their order. `control` makes a controller for each."""
        ...

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Of each (prompt, continuation): the natural logarithm of the continuation's probability behind the prompt; None where
        both together are longer than the model reads."""
        ...

    def close(self) -> None: ...


def seed_of(*parts: object) -> int:
    """A seed from what names a draw: the page's seed, a problem, the number of a sample."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little")
