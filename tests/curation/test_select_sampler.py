"""s1's draw: exact weights by hand and by enumeration, nothing twice, topics that run out."""

import random
from collections import Counter
from fractions import Fraction
from itertools import product

import pytest

from curation.selection.sampler import draw, drawn_rank

NUM_DRAWS = 20_000


class Bits(random.Random):
    """Gives the bits that a test wants, one number after the other."""

    def __init__(self, *numbers: int):
        super().__init__(0)
        self.numbers = list(numbers)

    def getrandbits(self, k: int) -> int:
        return self.numbers.pop(0)


def weights(num_left: int) -> list[Fraction]:
    whole = sum(Fraction(1, 2**rank) for rank in range(num_left))
    return [Fraction(1, 2**rank) / whole for rank in range(num_left)]


@pytest.mark.parametrize("num_left", [1, 2, 3, 7, 10])
def test_a_rank_has_exactly_the_chance_of_its_weight(num_left: int) -> None:
    """All numbers that so many bits can be are as likely: counting their ranks gives the chances, without a rounding error."""
    ranks = Counter(drawn_rank(num_left, Bits(bits)) for bits in range(1, 2**num_left))
    assert [Fraction(ranks[rank], 2**num_left - 1) for rank in range(num_left)] == weights(num_left)


def test_bits_that_are_all_zero_are_drawn_again() -> None:
    assert drawn_rank(3, Bits(0, 0, 0b001)) == 2


def test_frequencies_of_two_drawn_without_replacement_are_those_of_enumeration() -> None:
    """The second one is drawn by the ranks among those that are left."""
    expected: dict[tuple[str, str], Fraction] = {}
    for one, other in product(range(3), range(2)):
        left = ["a", "b", "c"]
        drawn = left.pop(one), left.pop(other)
        expected[drawn] = weights(3)[one] * weights(2)[other]
    assert expected["a", "b"] == Fraction(4, 7) * Fraction(2, 3)
    chance = random.Random(7)
    pairs = ([item for _, item in draw({"t": ["a", "b", "c"]}, 2, chance)] for _ in range(NUM_DRAWS))
    found = Counter((first, second) for first, second in pairs)
    for drawn, share in expected.items():
        assert found[drawn] / NUM_DRAWS == pytest.approx(float(share), abs=0.015), drawn


def test_topics_are_as_likely_however_many_documents_they_have() -> None:
    chance = random.Random(7)
    found = Counter(topic for _ in range(NUM_DRAWS) for topic, _ in draw({"many": [*range(50)], "one": [0]}, 1, chance))
    assert found["one"] / NUM_DRAWS == pytest.approx(0.5, abs=0.015)


def test_weights_decide_between_topics_and_those_without_one_are_not_drawn() -> None:
    chance = random.Random(7)
    given = {"geometry": 3.0, "algebra": 1.0, "absent": 9.0}
    found: Counter[str] = Counter()
    for _ in range(NUM_DRAWS):
        found.update(topic for topic, _ in draw({"geometry": [1], "algebra": [1], "physics": [1]}, 1, chance, given))
    assert set(found) == {"geometry", "algebra"}
    assert found["geometry"] / NUM_DRAWS == pytest.approx(0.75, abs=0.015)


def test_a_topic_that_ran_out_is_drawn_no_more_and_nothing_comes_twice() -> None:
    left = {"few": [*range(2)], "many": [*range(2, 30)]}
    drawn = [item for _, item in draw(left, 25, random.Random(3))]
    assert len(set(drawn)) == len(drawn) == 25
    assert left["few"] == []
    assert len(left["many"]) == 5


def test_asking_for_more_than_there_is_gives_all() -> None:
    left = {"a": [1, 2], "b": [3], "empty": []}
    assert {item for _, item in draw(left, 99, random.Random(1))} == {1, 2, 3}
    assert list(draw(left, 5, random.Random(1))) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_decides_the_whole_draw_whatever_the_order_of_topics(seed: int) -> None:
    topics = {name: [f"{name}{n}" for n in range(9)] for name in "abcd"}
    backwards = {name: list(topics[name]) for name in reversed(topics)}
    forwards = {name: list(items) for name, items in topics.items()}
    once, again = list(draw(forwards, 12, random.Random(seed))), list(draw(backwards, 12, random.Random(seed)))
    assert once == again
    assert once != list(draw({name: list(items) for name, items in topics.items()}, 12, random.Random(seed + 100)))
