"""What is said of runs, on curves and answers that are made up."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pretrain.probe import crossed, verdict
from pretrain.probe.judge import BASE_SCORES, ON_CPU, Run, judge
from recipes.schema.probe import Collapse

LIMITS = Collapse()


def curve(steps: int = 20, **figures: Any) -> list[dict[str, Any]]:
    """`figures`: of each, its value at the first step and at the last, with a straight line between."""
    told = {"right": (0.2, 0.5), "length": (300, 330), "truncated": (0.1, 0.1), "entropy": (1.0, 0.8), "no_gradient": (0.3, 0.3)}
    told |= {"groups_all_right": (0.1, 0.2), "groups_all_wrong": (0.2, 0.1), **figures}
    rows = []
    for step in range(steps):
        at = step / max(steps - 1, 1)
        row = {name: first + at * (last - first) for name, (first, last) in told.items()}
        rows.append({"step": step + 1, "rollouts": 256, "loss": 0.0, "grad_norm": 0.1, **row})
    return rows


def test_a_run_that_goes_well_has_not_collapsed() -> None:
    assert verdict.collapses(curve(), LIMITS) == {}
    assert verdict.collapses(curve(length=(300, 800)), LIMITS) == {}  # long branches answer longer: no collapse
    assert verdict.collapses(curve(steps=1), LIMITS) == {}


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("right_dropped", {"right": (0.5, 0.05)}),
        ("length_spike", {"length": (300, 4000)}),
        ("length_shrink", {"length": (900, 20)}),
        ("truncated", {"truncated": (0.1, 0.95)}),
        ("entropy_collapse", {"entropy": (1.0, 0.01)}),
        ("no_gradient", {"no_gradient": (1.0, 1.0), "groups_all_wrong": (1.0, 1.0), "right": (0.0, 0.0)}),
    ],
)
def test_each_kind_of_collapse_is_named_with_its_figures(name: str, figures: dict[str, Any]) -> None:
    found = verdict.collapses(curve(**figures), LIMITS)
    assert list(found) == [name]
    assert " to " in found[name]


def test_a_run_that_solved_everything_has_no_gradient_and_has_not_collapsed() -> None:
    solved = curve(right=(0.2, 1.0), no_gradient=(0.3, 1.0), groups_all_right=(0.1, 1.0), groups_all_wrong=(0.2, 0.0))
    assert verdict.collapses(solved, LIMITS) == {}


def test_few_rollouts_that_are_less_often_right_by_chance_are_no_collapse() -> None:
    rows = [row | {"rollouts": 4} for row in curve(steps=5, right=(0.5, 0.2))]
    assert verdict.collapses(rows, LIMITS) == {}


def test_a_gradient_that_is_no_number_is_a_collapse() -> None:
    rows = curve()
    rows[-1]["grad_norm"] = None
    assert list(verdict.collapses(rows, LIMITS)) == ["diverged"]


def test_the_page_says_when_a_run_has_collapsed() -> None:
    longer = curve(length=(300, 800))
    assert list(verdict.collapses(longer, Collapse(longer=2.0))) == ["length_spike"]


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(1), 0
    for trial in range(200):
        of_seeds, of_problems = rng.normal(0, 0.05, (4, 1)), rng.normal(0, 0.3, (1, 60))
        found = crossed.interval(0.1 + of_seeds + of_problems + rng.normal(0, 0.2, (4, 60)), trial, (-9.0, 9.0))
        held += found["low"] <= 0.1 <= found["high"]
    assert 0.88 <= held / 200 <= 1.0


def test_seeds_that_differ_widen_an_interval_that_problems_alone_would_leave_narrow() -> None:
    same, differ = np.full((2, 100), 0.5), np.array([[0.1] * 100, [0.9] * 100])
    rng = np.random.default_rng(2)
    same, differ = same + rng.normal(0, 0.01, same.shape), differ + rng.normal(0, 0.01, differ.shape)
    narrow, wide = crossed.interval(same, 1), crossed.interval(differ, 1)
    assert narrow["high"] - narrow["low"] < 0.06
    assert (wide["low"], wide["high"]) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.9, abs=0.03))


def test_answers_that_are_all_alike_keep_the_doubt_that_few_problems_leave() -> None:
    found = crossed.interval(np.zeros((2, 25)), 1)
    assert (found["mean"], found["low"]) == (0.0, 0.0)
    assert 0.1 < found["high"] < 0.2
    one_right = np.zeros((2, 25))
    one_right[0, 3] = 1.0
    more = crossed.interval(one_right, 1)
    assert more["high"] > found["high"]  # a better checkpoint has never the worse interval
    assert more["low"] >= found["low"]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({"low": 0.01, "high": 0.2, "seeds": 2, "problems": 100}, "learned"),
        ({"low": -0.2, "high": -0.01, "seeds": 2, "problems": 100}, "worse than its control"),
        ({"low": -0.01, "high": 0.2, "seeds": 2, "problems": 100}, "no difference shown"),
        ({"low": 0.01, "high": 0.2, "seeds": 1, "problems": 100}, "too little asked"),
        ({"low": 0.01, "high": 0.2, "seeds": 5, "problems": 19}, "too little asked"),
    ],
)
def test_a_verdict_needs_its_whole_interval_and_enough_seeds_and_problems(figure: dict[str, Any], said: str) -> None:
    assert verdict.of_differences(figure, {"low": 0.1, "high": 0.2}, control_broke=False) == said
    assert verdict.of_differences(figure, {"low": 0.1, "high": 0.2}, control_broke=True) == "the control broke"


def run(checkpoint: str, arm: str, number: int, before: float, after: float, device: str = "cuda") -> Run:
    """Of 100 problems the first ones are right."""

    def answers(share: float) -> dict[int, float]:
        return {problem: float(problem < round(100 * share)) for problem in range(100)}

    return Run(checkpoint, arm, number, {"before": answers(before), "after": answers(after)}, curve(), device)


def both(checkpoint: str, before: float, after: float, control: float, device: str = "cuda") -> list[Run]:
    return [
        run(checkpoint, arm, number, before, share, device)
        for arm, share in (("answer", after), ("random", control))
        for number in (1, 2)
    ]


def test_the_branch_that_is_worst_before_and_best_after_is_told_so() -> None:
    found = judge([*both("long", 0.2, 0.65, 0.2), *both("short", 0.4, 0.5, 0.4)], LIMITS, seed=3)
    assert {name: told["verdict"] for name, told in found["checkpoints"].items()} == {"long": "learned", "short": "learned"}
    [pair] = found["pairs"]
    assert (pair["first"], pair["second"], pair["better"], pair["order_changes"]) == ("long", "short", "long", True)
    assert pair["before"]["mean"] == pytest.approx(-0.2)
    assert pair["before"]["high"] < 0 < pair["after"]["low"]
    assert found["warnings"] == [BASE_SCORES]


def test_an_order_that_changes_by_chance_is_not_told_as_another() -> None:
    found = judge([*both("long", 0.39, 0.41, 0.39), *both("short", 0.4, 0.4, 0.4)], LIMITS, seed=3)
    [pair] = found["pairs"]
    assert pair["before"]["mean"] < 0 < pair["after"]["mean"]
    assert pair["order_changes"] is False


def test_getting_better_by_any_reward_is_not_learning() -> None:
    found = judge(both("spurious", 0.3, 0.6, 0.6), LIMITS, seed=3)["checkpoints"]["spurious"]
    assert found["verdict"] == "no difference shown"
    assert found["against_before"]["low"] > 0


@pytest.mark.parametrize(("after", "said"), [(0.45, "fell less than its control"), (0.59, "learned"), (0.7, "learned")])
def test_what_fell_and_its_control_more_has_not_learned(after: float, said: str) -> None:
    found = judge(both("ruined", 0.6, after, 0.2), LIMITS, seed=3)["checkpoints"]["ruined"]
    assert found["against_control"]["low"] > 0
    assert found["verdict"] == said


@pytest.mark.parametrize("broken", [curve(right=(0.5, 0.05)), [row | {"loss": None} for row in curve()]])
def test_a_control_that_collapsed_in_one_run_gives_its_checkpoint_no_verdict(broken: list[dict[str, Any]]) -> None:
    *runs, last = both("a", 0.4, 0.6, 0.1)
    found = judge([*runs, replace(last, curve=broken), *both("b", 0.4, 0.6, 0.4)], LIMITS, seed=3)
    assert {name: told["verdict"] for name, told in found["checkpoints"].items()} == {"a": "the control broke", "b": "learned"}
    [collapse] = found["collapses"]
    assert (collapse["checkpoint"], collapse["arm"]) == ("a", "random")


def test_a_collapse_is_told_with_its_run() -> None:
    runs = both("long", 0.2, 0.6, 0.2, "cpu")
    cut = Run("long", "answer", 2, runs[1].answers, curve(truncated=(0.0, 1.0)), "cpu")
    found = judge([runs[0], cut, *runs[2:]], LIMITS, seed=3)
    told = [(row["checkpoint"], row["arm"], row["run"], list(row["what"])) for row in found["collapses"]]
    assert told == [("long", "answer", 2, ["truncated"])]
    assert found["warnings"] == [BASE_SCORES, ON_CPU]


def test_problems_that_one_checkpoint_was_not_asked_are_left_out_of_all() -> None:
    runs = [*both("a", 0.2, 0.5, 0.2), *both("b", 0.2, 0.5, 0.2)]
    shorter = {when: {problem: share for problem, share in by.items() if problem >= 30} for when, by in runs[0].answers.items()}
    found = judge([Run("a", "answer", 1, shorter, curve(), "cuda"), *runs[1:]], LIMITS, seed=3)
    assert found["problems"] == 70
    assert found["checkpoints"]["b"]["after"]["problems"] == 70
    nothing = {when: {1000: 1.0} for when in ("before", "after")}
    with pytest.raises(ValueError, match=r"no held-out problem is short enough for all checkpoints; lower probe\.max_tokens"):
        judge([Run("a", "answer", 1, nothing, curve(), "cuda"), *runs[1:]], LIMITS, seed=3)


def test_the_same_runs_give_the_same_words_in_any_order() -> None:
    runs = both("a", 0.2, 0.5, 0.2)
    assert judge(runs, LIMITS, seed=3) == judge([runs[1], runs[0], runs[3], runs[2]], LIMITS, seed=3)
