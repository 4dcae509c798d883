"""What may change an answer while it is written: which tokens must not come, and what stands in place of one that came."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from pretrain.generation.engine import Asked


class Controller(Protocol):
    """Of one answer. `generated`: the ids written so far, without the prompt."""

    def forbidden(self, generated: Sequence[int]) -> Collection[int]:
        """Ids that must not be drawn next."""
        ...

    def replaced(self, generated: Sequence[int], drawn: int) -> Sequence[int]:
        """What stands in place of the token that was drawn: mostly (drawn,). Several are written one after another before the
        controller is asked again; an end of text among them ends the answer."""
        ...


Control = Callable[[Asked], Controller]  # a new one for every answer
