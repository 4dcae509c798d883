"""One answer while it is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pretrain.generation.controller import Controller
from pretrain.generation.engine import Finish, Output

ENTROPY_DIGITS = 4  # further ones change with the batch size
SPARE_TOKENS = 4  # decoded before a stop string could begin: a character may have begun there


class Row:
    """`limit`: tokens that may be generated at most."""

    def __init__(self, prompt: list[int], limit: int, seed: int, controller: Controller | None):
        self.prompt = prompt
        self.limit = limit
        self.controller = controller
        self.generated: list[int] = []
        self.finish: Finish | None = "too_long" if limit < 1 else None
        self.text_end: int | None = None  # where a stop string cuts
        self._forced: list[int] = []
        self._entropies: list[float] = []
        self._random = np.random.Generator(np.random.Philox(key=seed))

    def uniform(self) -> float:
        """The number that draws the next token: the n-th of this row's own stream for the n-th token."""
        return float(self._random.random())

    def forbidden(self) -> Sequence[int]:
        if self.controller is None or self._forced:
            return ()
        return sorted(self.controller.forbidden(self.generated))

    def take(self, drawn: int, entropy: float) -> None:
        """Writes the token that was drawn, or what stands in its place."""
        if not self._forced:
            self._entropies.append(entropy)
            self._forced = [drawn] if self.controller is None else list(self.controller.replaced(self.generated, drawn))
            if not self._forced:
                raise ValueError("a controller put nothing in place of a token; it must name at least one")
        self.generated.append(self._forced.pop(0))

    def look_for_end(self, tokenizer: Any, eos: frozenset[int], stop: tuple[str, ...]) -> None:
        if self.generated[-1] in eos:
            self.finish = "eos"
        elif stop and self._is_stopped(tokenizer, stop):
            self.finish = "stop"
        elif len(self.generated) >= self.limit:
            self.finish = "length"

    def _is_stopped(self, tokenizer: Any, stop: tuple[str, ...]) -> bool:
        """A stop string lies in the last tokens, of which each holds a byte at least; the whole text is decoded only then."""
        reach = max(len(text.encode()) for text in stop) + SPARE_TOKENS
        tail = decode(tokenizer, self.generated[-reach:])
        if not any(text in tail for text in stop):
            return False
        whole = decode(tokenizer, self.generated)
        ends = [whole.find(text) for text in stop if text in whole]
        self.text_end = min(ends, default=None)
        return self.text_end is not None

    def output(self, tokenizer: Any) -> Output:
        assert self.finish is not None
        written = self.generated[:-1] if self.finish == "eos" else self.generated
        text = decode(tokenizer, written)[: self.text_end]
        entropy = round(float(np.mean(self._entropies)), ENTROPY_DIGITS) if self._entropies else None
        return Output(text, len(self.generated), self.finish, entropy, tuple(self.generated))


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Special tokens are left in: a reader of the answers should see them."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)) if ids else ""
