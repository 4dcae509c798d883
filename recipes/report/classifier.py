"""A trained quality classifier: precision and recall by threshold, whether its scores are to be believed, other test sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.figures import is_number
from recipes.report.rates import Line, rates_svg
from recipes.report.record import Record, flat

RATES = ("precision", "recall", "f1")
DRAWN_APART = ("at_thresholds", "calibration", "out_of_distribution")


@dataclass(frozen=True)
class Evaluation:
    """Of one set of labelled documents, held out or from elsewhere. `rows`: (threshold, {rate: (value, low, high)})."""

    name: str
    rows: list[tuple[Any, dict[str, tuple[Any, Any, Any]]]]
    curve: Markup
    calibration: Markup
    is_chosen: bool  # whether the curve shows a chosen threshold
    figures: list[tuple[str, Any]]


@dataclass(frozen=True)
class Classifier:
    record: Record
    evaluations: list[Evaluation]


def read_classifiers(records: Sequence[Record]) -> list[Classifier]:
    return [Classifier(record, _evaluations(record)) for record in records if record.do == "train_classifier"]


def _evaluations(record: Record) -> list[Evaluation]:
    """The held-out documents first, then each set from elsewhere."""
    details = record.tree("details")
    found = [_evaluation("held out", details, record.number("details", "chosen", "min_score"))]
    others = details.get("out_of_distribution")
    named = others.items() if isinstance(others, dict) else ()
    found += [_evaluation(str(name), tree, None) for name, tree in named if isinstance(tree, dict)]
    return found


def _evaluation(name: str, tree: dict[str, Any], chosen: float | None) -> Evaluation:
    rows = []
    for row in _rows(tree.get("at_thresholds")):
        rows.append((row.get("threshold"), {rate: (row.get(rate), *interval(row, rate)) for rate in RATES}))
    lines = [
        Line(
            rate,
            colour,
            [(float(at), float(value)) for at, rates in rows if is_number(at) and is_number(value := rates[rate][0])],
            [(at, *rates[rate][1:]) for at, rates in rows if is_number(at) and is_number(rates[rate][1])],
        )
        for colour, rate in ((1, "precision"), (2, "recall"))
    ]
    drawn = [line for line in lines if line.points]
    return Evaluation(
        name=name,
        rows=rows,
        curve=rates_svg(drawn, title=f"precision and recall, {name}", x_label="score at least", y_label="share", mark=chosen),
        calibration=_calibration(tree.get("calibration"), name),
        is_chosen=chosen is not None,
        figures=flat({key: value for key, value in tree.items() if key not in DRAWN_APART}),
    )


def _calibration(told: Any, name: str) -> Markup:
    """Shares of good documents by score: on the diagonal, a score of 0.7 means seven good ones in ten."""
    bins = _rows(told.get("bins") if isinstance(told, dict) else told)
    points, intervals = [], []
    for row in bins:
        score, share = _first(row, "mean_score", "score"), _first(row, "positive_share", "share")
        if score is not None and share is not None:
            points.append((float(score), float(share)))
            low, high = interval(row, "positive_share")
            intervals += [(score, low, high)] if low is not None else []
    lines = [Line("good documents", 3, sorted(points), intervals)] if points else []
    return rates_svg(
        lines, title=f"calibration, {name}", x_label="mean score", y_label="share of good documents", is_calibration=True
    )


def interval(row: dict[str, Any], key: str) -> tuple[Any, Any]:
    """The interval that a row tells of one of its figures: `KEY_interval: [low, high]`, or `KEY_low` and `KEY_high`."""
    ends = row.get(f"{key}_interval", [row.get(f"{key}_low"), row.get(f"{key}_high")])
    if isinstance(ends, list | tuple) and len(ends) == 2 and all(is_number(end) for end in ends):
        return ends[0], ends[1]
    return None, None


def _rows(given: Any) -> list[dict[str, Any]]:
    return [row for row in given if isinstance(row, dict)] if isinstance(given, list) else []


def _first(row: dict[str, Any], *keys: str) -> Any:
    return next((row[key] for key in keys if is_number(row.get(key))), None)
