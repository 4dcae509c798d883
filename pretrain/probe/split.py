"""Which problems a probe trains on, and which it only asks. The same for every run and checkpoint of a page: they are compared by
problem.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pretrain.problems.problem import Problem


@dataclass(frozen=True)
class Split:
    """`repeated` ones are left out, so that none is held out and trained on; so are those `too_long` for the model."""

    training: list[Problem]
    held_out: list[Problem]
    repeated: int
    too_long: int


def split(problems: Sequence[Problem], *, held_out: int, seed: int, fits: Callable[[Problem], bool]) -> Split:
    """Drawn by the hash of each question: the order of the file decides nothing."""
    distinct: dict[str, Problem] = {}
    for problem in problems:
        distinct.setdefault(" ".join(problem.question.split()), problem)
    fitting = [text for text in distinct if fits(distinct[text])]
    if len(fitting) < held_out + 1:
        raise ValueError(
            f"of {len(problems)} problems {len(fitting)} are different and short enough, too few to hold out {held_out} of them; "
            f"name more problems, or lower held_out.problems or max_tokens"
        )
    ordered = [distinct[text] for text in sorted(fitting, key=lambda text: (_digest(seed, text), text))]
    return Split(ordered[held_out:], ordered[:held_out], len(problems) - len(distinct), len(distinct) - len(fitting))


def in_turn(problems: Sequence[Problem], number: int, seed: int) -> list[Problem]:
    """So many, all of them before any comes again, each time in another order. One list for a whole run: TRL draws an order
    of its own from a stream whose place no save keeps."""
    rng, turns = random.Random(seed), -(-number // len(problems))
    return [problem for _ in range(turns) for problem in rng.sample(problems, len(problems))][:number]


def _digest(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}\0{text}".encode()).hexdigest()
