"""s1's draw (appendix, algorithm 1): a topic by chance, then in it a document with weight 2^-rank, rank 0 being the longest trace
of those that are left. A document is drawn once; a topic without documents is drawn no more."""

import random
from collections.abc import Iterator, Mapping
from typing import TypeVar

Item = TypeVar("Item")


def drawn_rank(num_left: int, chance: random.Random) -> int:
    """A rank r of 0..num_left-1 with a chance of exactly 2^-r / (1 + 1/2 + ... + 2^-(num_left-1)): the number of zeros that so
    many random bits begin with, unless all of them are zeros."""
    bits = 0
    while not bits:
        bits = chance.getrandbits(num_left)
    return num_left - bits.bit_length()


def draw(
    left: Mapping[str, list[Item]], number: int, chance: random.Random, weights: Mapping[str, float] | None = None
) -> Iterator[tuple[str, Item]]:
    """At most `number` (topic, item), taken out of `left`, whose lists begin with the longest trace. Topics without a weight are
    not drawn; None: all are as likely."""
    open_topics = sorted(topic for topic in left if left[topic] and (weights is None or topic in weights))
    while number > 0 and open_topics:
        shares = None if weights is None else [weights[topic] for topic in open_topics]
        topic = chance.choices(open_topics, shares)[0]
        items = left[topic]
        yield topic, items.pop(drawn_rank(len(items), chance))
        number -= 1
        if not items:
            open_topics.remove(topic)
