"""Readiness cards side by side: a verdict a check and checkpoint, and the figures behind them. Nothing is added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.budgets import BudgetsSection, budgets_section
from recipes.report.dots import dots_over
from recipes.report.figures import ABSENT, decimal, is_number, share, whole, words
from recipes.report.lengths import lengths_svg
from recipes.report.proven import checkpoint_of, colour_keys
from recipes.report.rates import Line
from recipes.report.record import Record

TITLES = {
    "pass_at_1": "right (pass@1)",
    "mixed_groups": "groups with right and wrong answers",
    "boxed": "answer in a box",
    "stopped": "stops by itself",
    "truncated": "cut off at the longest",
    "loops": "ends in a loop",
    "entropy": "entropy, nats a token",
    "disputed": "graders disagree",
    "forced_gain": "more right when made to reason",
    "contamination": "benchmark completed, more than the control",
    "files": "files can be read",
    "numbers": "weights are numbers",
    "prompts_fit": "prompts leave room",
    "end_of_text": "end of text",
    "tied_embedding": "tied embedding",
    "round_trip": "tokenizer round trip",
}
FIGURES = {
    "right": "right",
    "all_right_groups": "groups: all right",
    "mixed_groups": "groups: mixed, which alone have a gradient",
    "all_wrong_groups": "groups: all wrong",
    "boxed": "boxed",
    "opens_a_derivation": "opens a derivation unasked",
    "ended_by_eos": "ended by its end of text",
    "truncated": "truncated",
    "too_long": "prompt too long",
    "loops": "ends in a loop",
    "repeated": "runs of eight words that stood before",
    "disputed": "graders disagree",
    "grader_trouble": "grader ran out of time, or broke",
    "tokens": "tokens an answer",
    "entropy": "entropy, nats a token",
}
CLASSES = {"pass": "good", "concern": "care", "fail": "bad", "not measured": "quiet"}
IN_UNITS = {"tokens": 1, "entropy": 2}  # digits; all others are shares


@dataclass(frozen=True)
class Cell:
    verdict: str
    kind: str  # its class on the page
    figure: str
    interval: str
    told: str


@dataclass(frozen=True)
class Readiness:
    """`names`: (colour, checkpoint). `rows`: (check, its limit, a cell each). `figures`: (what, (mean, interval) of each)."""

    names: list[tuple[int, str]]
    rows: list[tuple[str, str, list[Cell | None]]]
    figures: list[tuple[str, list[tuple[str, str]]]]
    plots: list[tuple[str, Markup]]
    lengths: list[tuple[str, Markup, str]]
    completed: list[tuple[str, list[list[tuple[str, str]]]]]
    budgets: BudgetsSection | None


def read_readiness(records: Sequence[Record], colours: Mapping[str, int]) -> Readiness | None:
    """`colours`: by checkpoint (recipes/report/proven.py)."""
    cards = {checkpoint_of(record): record.tree("details", "readiness") for record in records if _is_card(record)}
    if not cards:
        return None
    named = colour_keys(colours, list(cards))
    checks = list(dict.fromkeys(check for card in cards.values() for check in _tree(card, "checks")))
    return Readiness(
        names=named,
        rows=[_row(check, [_tree(card, "checks", check) for card in cards.values()]) for check in checks],
        figures=[
            (title, [_figure(_tree(card, "figures", key), key) for card in cards.values()]) for key, title in FIGURES.items()
        ],
        plots=_plots(named, cards),
        lengths=[(name, *_lengths(colour, name, cards[name])) for colour, name in named if _tree(cards[name], "lengths")],
        completed=[(name, _completed(card)) for name, card in cards.items() if _tree(card, "contamination")],
        budgets=budgets_section({name: _tree(card, "budgets") for name, card in cards.items()}, colours),
    )


def failed_checks(record: Record) -> list[str]:
    """Of a card, in words: "stops by itself (20.0 %)"."""
    found = []
    for check in record.tree("details", "readiness", "checks") if _is_card(record) else ():
        title, _, (cell,) = _row(check, [record.tree("details", "readiness", "checks", check)])
        if cell is not None and cell.verdict == "fail":
            why = cell.figure or cell.told
            found.append(f"{title} ({why})" if why else title)
    return found


def _is_card(record: Record) -> bool:
    return record.do == "readiness" and bool(record.tree("details", "readiness", "checks"))


def _row(check: str, found: Sequence[dict[str, Any]]) -> tuple[str, str, list[Cell | None]]:
    title = TITLES.get(check) or words(check.replace("loads_", "loads in "))
    limit = next((text for one in found if (text := _limit(check, _tree(one, "limit")))), "")
    return title, limit, [_cell(check, one) if one else None for one in found]


def _cell(check: str, found: dict[str, Any]) -> Cell:
    verdict = str(found.get("verdict"))
    figure, interval = _figure(_tree(found, "figure"), check) if "figure" in found else ("", "")
    return Cell(verdict, CLASSES.get(verdict, "quiet"), figure, interval, str(found.get("told") or ""))


def _limit(check: str, limit: dict[str, Any]) -> str:
    ends = {name: limit[name] for name in ("concern", "fail") if is_number(limit.get(name))}
    return ", ".join(f"{name} {limit.get('beyond')} {_number(end, check)}" for name, end in ends.items())


def _figure(found: dict[str, Any], key: str) -> tuple[str, str]:
    """(mean, interval) of a share or a number."""
    if not is_number(found.get("mean")):
        return ABSENT, ""
    low, high = _number(found.get("low"), key), _number(found.get("high"), key)
    return _number(found["mean"], key), f"{low} – {high}"


def _number(given: Any, key: str) -> str:
    return decimal(given, IN_UNITS[key]) if key in IN_UNITS else share(given)


def _plots(named: Sequence[tuple[int, str]], cards: dict[str, dict[str, Any]]) -> list[tuple[str, Markup]]:
    """pass@k, asked plainly and with a derivation opened."""
    plots = []
    for title, keys in (("asked plainly", ("pass_at_k",)), ("made to reason", ("forced", "pass_at_k"))):
        lines = [line for colour, name in named if (line := _line(colour, name, _tree(cards[name], *keys)))]
        if lines:
            heading = f"A right answer among k, {title}"
            plots.append((heading, dots_over(lines, title=heading, x_label="k", y_label="share of problems")))
    return plots


def _line(colour: int, name: str, by_k: dict[str, Any]) -> Line | None:
    """Two points or more make one."""
    rows = [(int(k), row) for k, row in by_k.items() if k.isdigit() and isinstance(row, dict) and is_number(row.get("mean"))]
    if len(rows) < 2:
        return None
    intervals = [
        (float(k), row["low"], row["high"]) for k, row in rows if is_number(row.get("low")) and is_number(row.get("high"))
    ]
    return Line(name, colour, [(float(k), row["mean"]) for k, row in rows], intervals)


def _lengths(colour: int, name: str, card: dict[str, Any]) -> tuple[Markup, str]:
    bins = [bin_ for bin_ in card["lengths"].get("bins", []) if isinstance(bin_, list) and len(bin_) == 4]
    quantiles = _tree(card, "lengths", "quantiles")
    told = ", ".join(f"{whole(quantiles[key])} tokens at {share(float(key), 0)}" for key in quantiles)
    return lengths_svg(bins, title=f"Lengths of answers of {name}", colour=colour), told


def _completed(card: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """A row word for word, a row of the longest match: benchmark, control, difference."""
    found = _tree(card, "contamination")
    kinds = ("benchmark", "control", "difference")
    return [[_figure(_tree(found, what, kind), what) for kind in kinds] for what in ("completed", "longest_match")]


def _tree(found: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
