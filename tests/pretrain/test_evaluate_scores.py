"""Intervals of means and differences of scores."""

import random

import pytest

from pretrain.evaluate.scores import means
from recipes.pass_at_k import wilson
from recipes.score_interval import Interval, difference, mean_of


def scored(right: int, items: int) -> Interval:
    return (right / items, *wilson(right / items, items))


@pytest.mark.parametrize(
    ("one", "other", "interval"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 10), (0.6075, 1.0))],
)
def test_a_difference_has_newcombes_interval(one: tuple[int, int], other: tuple[int, int], interval: tuple[float, float]) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table II, method 10."""
    assert difference(scored(*one), scored(*other))[1:] == pytest.approx(interval, abs=5e-5)


def test_a_mean_of_one_benchmark_is_its_score() -> None:
    assert mean_of([scored(3, 40)]) == pytest.approx(scored(3, 40))


def test_a_mean_holds_the_truth_as_often_as_it_says() -> None:
    """Three benchmarks of the sizes of AMC23, SAT and MATH500."""
    draw = random.Random(5)
    truths = ((40, 0.1), (32, 0.5), (500, 0.3))
    truth = sum(share for _, share in truths) / 3
    held = 0
    for _ in range(2000):
        parts = [scored(sum(draw.random() < share for _ in range(items)), items) for items, share in truths]
        _, low, high = mean_of(parts)
        held += low <= truth <= high
    assert 0.93 < held / 2000 < 0.98


def test_all_wrong_leaves_the_doubt_of_few_items() -> None:
    _, low, high = mean_of([scored(0, 40), scored(0, 20)])
    assert low == 0.0
    assert high > 0.08


def test_kinds_have_means_of_their_own() -> None:
    rows = {
        name: dict(zip(("mean", "low", "high"), scored(right, 10), strict=True), kind=kind)
        for name, right, kind in (("one", 2, "mathematics"), ("two", 4, "mathematics"), ("three", 9, "general"))
    }
    found = means(rows)
    assert {kind: (row["mean"], row["benchmarks"]) for kind, row in found.items()} == {
        "general": (0.9, 1),
        "mathematics": (0.3, 2),
    }
