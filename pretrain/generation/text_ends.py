"""Where a text ends, and where a continuation begins: the same for every engine."""

from collections.abc import Sequence
from typing import Any


def ends_of_text(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """All ids that generation_config.json names; else the tokenizer's."""
    named = generation_config.eos_token_id
    ids = [named] if isinstance(named, int) else list(named or [])
    if not ids and tokenizer.eos_token_id is not None:
        ids = [tokenizer.eos_token_id]
    return frozenset(int(number) for number in ids)


def seam(before: Sequence[int], both: Sequence[int]) -> int:
    """Where a continuation begins in the ids of a prompt and it, which are encoded together, as a text would be: a token that
    covers the seam is the continuation's. One token is always before it, and one behind it."""
    if len(both) < 2:
        raise ValueError("a prompt and its continuation are one token together: it has no probability behind a prompt")
    common = 0
    while common < min(len(before), len(both)) and before[common] == both[common]:
        common += 1
    return min(max(common, 1), len(both) - 1)
