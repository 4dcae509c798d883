"""How good scores are on labelled rows: precision and recall by threshold, average precision, calibration.

Intervals are of 95 %.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recipes import pass_at_k

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
NUM_BINS = 10
NUM_RESAMPLES = 200
Z = 1.96
Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def measure(labels: Sequence[int], scores: Sequence[float]) -> dict[str, Any]:
    """Without rows: no figures, but the same keys."""
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    return {
        "at_thresholds": [at_threshold(truth, values, threshold) for threshold in THRESHOLDS] if len(truth) else [],
        "average_precision": average_precision(truth, values),
        "average_precision_interval": _resampled(truth, values),
        "calibration": calibration(truth, values),
    }


def at_threshold(labels: Labels, scores: Scores, threshold: float) -> dict[str, Any]:
    """Of `score >= threshold`."""
    chosen = scores >= threshold
    num_chosen, num_found, num_good = int(chosen.sum()), int(labels[chosen].sum()), int(labels.sum())
    precision = num_found / num_chosen if num_chosen else 0.0
    recall = num_found / num_good if num_good else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "threshold": threshold,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(f1, 4),
        "precision_interval": wilson(num_found, num_chosen),
        "recall_interval": wilson(num_found, num_good),
    }


def wilson(successes: int, trials: int) -> list[float] | None:
    """Wilson's interval of a share: it holds for few trials and for shares near 0 and 1 too. None without trials."""
    if not trials:
        return None
    return [round(end, 4) for end in pass_at_k.wilson(successes / trials, trials, Z)]


def average_precision(labels: Sequence[int] | Labels, scores: Sequence[float] | Scores) -> float | None:
    """The mean precision at each step of recall (scikit-learn's definition); rows of equal score come together. None
    without a positive row."""
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if not truth.sum():
        return None
    order = np.argsort(-values, kind="stable")
    return round(_average_precision(truth[order], np.ones(len(order)), _last_of_equals(values[order])), 6)


def _average_precision(labels: Labels, weights: Scores, last: npt.NDArray[np.intp]) -> float:
    """Of rows from the highest score down, each counted `weights` times; `last` are the last rows of equal scores."""
    seen, found = np.cumsum(weights)[last], np.cumsum(weights * labels)[last]
    gained = np.diff(found, prepend=0.0)
    return float(np.sum(gained * found / np.maximum(seen, 1.0)) / found[-1])


def _last_of_equals(scores: Scores) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.append(scores[1:] != scores[:-1], True))


def _resampled(labels: Labels, scores: Scores) -> list[float] | None:
    """The bootstrap's interval of average precision: rows are drawn again, as many as there are."""
    if not labels.sum():
        return None
    order = np.argsort(-scores, kind="stable")
    labels, last, generator = labels[order], _last_of_equals(scores[order]), np.random.default_rng(0)
    found = []
    for _ in range(NUM_RESAMPLES):
        weights = np.bincount(generator.integers(len(labels), size=len(labels)), minlength=len(labels)).astype(np.float64)
        if weights @ labels:
            found.append(_average_precision(labels, weights, last))
    return [round(float(bound), 4) for bound in np.quantile(found, (0.025, 0.975))] if found else None


def calibration(labels: Labels, scores: Scores) -> dict[str, Any]:
    """Whether a score of 0.7 means that 70 % of such documents are good: by tenths of the score, and the expected calibration
    error, the mean distance between the two."""
    tenth = np.minimum((scores * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    bins, error = [], 0.0
    for number in range(NUM_BINS):
        inside = tenth == number
        if not inside.any():
            continue
        score, share, num_rows = float(scores[inside].mean()), float(labels[inside].mean()), int(inside.sum())
        error += num_rows / len(labels) * abs(score - share)
        bins.append(
            {
                "low": number / NUM_BINS,
                "high": (number + 1) / NUM_BINS,
                "examples": num_rows,
                "mean_score": round(score, 4),
                "positive_share": round(share, 4),
                "positive_share_interval": wilson(int(labels[inside].sum()), num_rows),
            }
        )
    return {"bins": bins, "expected_calibration_error": round(error, 4) if bins else None}


def threshold_for_recall(labels: Sequence[int], scores: Sequence[float], target_recall: float) -> dict[str, Any] | None:
    """The highest threshold that still finds the target share of the good rows, and what holds there. None without a good row."""
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    good = np.sort(values[truth == 1])[::-1]
    if not len(good):
        return None
    needed = max(1, int(np.ceil(target_recall * len(good) - 1e-9)))
    threshold = int(good[needed - 1] * 10_000) / 10_000  # down: a filter's records show four digits
    figures = at_threshold(truth, values, threshold)
    return {"target_recall": target_recall, "min_score": figures.pop("threshold"), **figures}
