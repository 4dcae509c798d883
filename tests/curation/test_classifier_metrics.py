import random

import pytest

from curation.classifier.metrics import average_precision, measure, threshold_for_recall, wilson


def test_metrics_agree_with_a_count_by_hand() -> None:
    labels, scores = [1, 1, 0, 1, 0], [0.95, 0.8, 0.7, 0.35, 0.05]
    metrics = measure(labels, scores)
    at = {row["threshold"]: row for row in metrics["at_thresholds"]}
    figures = ("precision", "recall", "f1")
    assert [at[0.5][figure] for figure in figures] == [0.6667, 0.6667, 0.6667]
    assert [at[0.9][figure] for figure in figures] == [1.0, 0.3333, 0.5]
    assert at[0.9]["precision_interval"] == wilson(1, 1)
    assert at[0.9]["recall_interval"] == wilson(1, 3)
    assert metrics["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3, abs=1e-6)


def test_equal_scores_come_together_in_average_precision() -> None:
    assert average_precision([1, 0, 0, 0], [0.5] * 4) == 0.25
    assert average_precision([0, 0, 0, 1], [0.5] * 4) == 0.25


def test_without_held_out_rows_there_are_no_figures() -> None:
    assert measure([], []) == {
        "at_thresholds": [],
        "average_precision": None,
        "average_precision_interval": None,
        "calibration": {"bins": [], "expected_calibration_error": None},
    }
    assert threshold_for_recall([], [], 0.9) is None
    assert threshold_for_recall([0, 0], [0.1, 0.2], 0.9) is None


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [(0, 10, [0.0, 0.2775]), (10, 10, [0.7225, 1.0]), (50, 100, [0.4038, 0.5962]), (1, 1, [0.2065, 1.0])],
)
def test_wilson_intervals_are_those_of_the_tables(successes: int, trials: int, interval: list[float]) -> None:
    assert wilson(successes, trials) == pytest.approx(interval, abs=2e-4)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None


def test_the_interval_of_average_precision_holds_it_and_shrinks_with_more_rows() -> None:
    choose = random.Random(1)
    widths = []
    for num in (50, 2_000):
        labels = [int(choose.random() < 0.4) for _ in range(num)]
        scores = [0.3 * label + 0.7 * choose.random() for label in labels]
        metrics = measure(labels, scores)
        low, high = metrics["average_precision_interval"]
        assert low <= metrics["average_precision"] <= high
        widths.append(high - low)
        assert measure(labels, scores) == metrics
    assert widths[1] < widths[0] / 2


def test_scores_that_mean_what_they_say_are_calibrated() -> None:
    choose = random.Random(2)
    scores = [choose.random() for _ in range(20_000)]
    honest = measure([int(choose.random() < score) for score in scores], scores)["calibration"]
    assert honest["expected_calibration_error"] < 0.02
    assert [row["low"] for row in honest["bins"]] == [step / 10 for step in range(10)]
    assert sum(row["examples"] for row in honest["bins"]) == 20_000
    for row in honest["bins"]:
        low, high = row["positive_share_interval"]
        assert low <= row["positive_share"] <= high
        assert row["mean_score"] == pytest.approx((row["low"] + row["high"]) / 2, abs=0.01)
    boastful = measure([0, 0, 1, 0], [0.95, 1.0, 0.97, 0.96])["calibration"]
    assert boastful["bins"] == [
        {
            "low": 0.9,
            "high": 1.0,
            "examples": 4,
            "mean_score": 0.97,
            "positive_share": 0.25,
            "positive_share_interval": wilson(1, 4),
        }
    ]
    assert boastful["expected_calibration_error"] == 0.72


@pytest.mark.parametrize(("target", "min_score"), [(1.0, 0.35), (0.7, 0.35), (0.6, 0.8), (0.3, 0.95123), (0.0, 0.95123)])
def test_the_threshold_for_a_recall_is_the_highest_that_reaches_it(target: float, min_score: float) -> None:
    chosen = threshold_for_recall([1, 1, 0, 1, 0], [0.951234, 0.8, 0.7, 0.35, 0.05], target)
    assert chosen is not None
    assert chosen["min_score"] == pytest.approx(min_score, abs=1e-4)
    assert chosen["min_score"] <= min_score + 4e-6
    assert chosen["recall"] >= target
