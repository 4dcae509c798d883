"""Loops, intervals, cut questions and verdicts, each against what a hand counts."""

import math
from typing import Any

import pytest

from pretrain.readiness.answers import Answer
from pretrain.readiness.completion import cut, is_completed, longest_match, pairs, with_other_numbers
from pretrain.readiness.intervals import DIFFERENCE, SHARE, Figure, difference, interval
from pretrain.readiness.measures import figures, lengths, solved
from pretrain.readiness.problems import Problem, drawn
from pretrain.readiness.repetition import loops, repeated_share
from pretrain.readiness.verdicts import judge, worst
from recipes.pass_at_k import wilson
from recipes.schema.readiness import Limit


def answer(problem: int = 0, *, text: str = "", tokens: int = 1, is_right: bool = False, **more: Any) -> Answer:
    return Answer(problem, 0, "", text, tokens, **{"finish": "eos", "entropy": None, **more}, is_right=is_right)


@pytest.mark.parametrize(
    "text", ["so it is. " * 5, "wait\n" * 8, "x" * 40, "First this. " + "and again 12 " * 4 + "and aga", "是的，" * 12]
)
def test_a_text_that_ends_in_one_piece_four_times_loops(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "so so so so",
        "the number is 100000000000000",
        "Let a = 2. Then a + a = 4. Then 2a + 2a = 8. So the answer is $\\boxed{8}$.",
        "so it is. " * 5 + "But then it ended, and the answer is 7, as it was before all that.",
        "one two three four five six seven eight nine ten " * 3,
    ],
)
def test_a_text_that_goes_on_does_not_loop(text: str) -> None:
    assert not loops(text)


def test_runs_of_eight_words_that_stood_before_are_counted() -> None:
    words = [f"w{number}" for number in range(10)]
    assert repeated_share(" ".join(words)) == 0.0
    assert repeated_share(" ".join(words + words)) == pytest.approx(1 - 10 / 13)  # 13 runs; one in the middle is new each time
    assert repeated_share("too short") == 0.0


def test_intervals_are_those_of_problems_and_not_of_answers() -> None:
    spread = interval([0.0, 1.0] * 50, seed=1, span=SHARE)
    assert spread is not None
    assert spread.mean == 0.5
    expected = 1.96 * math.sqrt(0.25 / 100)
    assert (0.5 - spread.low, spread.high - 0.5) == (pytest.approx(expected, abs=0.02), pytest.approx(expected, abs=0.02))
    assert spread == interval([0.0, 1.0] * 50, seed=1, span=SHARE)
    assert interval([], seed=1) is None


def test_equal_values_are_not_taken_for_certainty() -> None:
    none_right = interval([0.0] * 20, seed=1, span=SHARE)
    low, high = wilson(0.0, 20)
    assert none_right == Figure(0.0, low, round(high, 6), 20)
    alone = interval([1.0], seed=1, span=SHARE)
    assert alone is not None
    assert alone.low < 0.3
    no_gain = interval([0.0] * 20, seed=1, span=DIFFERENCE)
    assert no_gain == Figure(0.0, -round(high, 6), round(high, 6), 20)
    lengths_alike = interval([7.0] * 20, seed=1)
    assert lengths_alike == Figure(7.0, 7.0, 7.0, 20)


def test_the_difference_of_two_shares_has_an_interval_of_both() -> None:
    apart = difference([1.0, 0.0] * 30, [0.0] * 60, seed=3)
    assert apart is not None
    assert apart.mean == 0.5
    assert 0.3 < apart.low < 0.45 < 0.55 < apart.high < 0.7
    assert difference([], [1.0], seed=3) is None


def test_problems_with_fewer_samples_limit_k_and_broken_entropies_are_left_out() -> None:
    groups = [[answer(is_right=True), answer(), answer()], [answer(1), answer(1)]]
    by_k = solved(groups, seed=1)
    assert {k: figure.mean for k, figure in by_k.items()} == {"1": round(1 / 6, 6), "2": round(1 / 3, 6)}
    assert figures(groups, seed=1)["entropy"] is None
    known = figures([[answer(entropy=float("nan")), answer(entropy=2.0)]], seed=1)["entropy"]
    assert known is not None
    assert known.mean == 2.0


def test_lengths_fall_into_bins_that_double() -> None:
    found = lengths([answer(tokens=n, is_right=n == 3) for n in (0, 1, 2, 3, 4, 7, 8)], max_tokens=8)
    assert found["bins"] == [(0, 1, 0, 1), (1, 2, 0, 1), (2, 4, 1, 1), (4, 8, 0, 2), (8, 16, 0, 1)]
    assert found["quantiles"] == {"0.05": 0, "0.5": 3, "0.95": 8}


def test_a_question_is_cut_behind_a_word_and_keeps_its_spaces() -> None:
    found = cut(Problem(3, "3", "What  is\n2 + 2 here?"), 0.6)
    assert found is not None
    assert (found.number, found.prompt, found.rest) == (3, "What  is\n2 +", ("2", "here?"))
    assert cut(Problem(0, "0", "word"), 0.6) is None
    assert cut(Problem(0, "0", "two words"), 0.6) is None


def test_other_numbers_have_as_many_digits_and_are_the_same_wherever_they_stand() -> None:
    given = Problem(0, "0", "If 12 apples cost 345 cents, what do 12 pears and 7 figs cost?")
    changed = with_other_numbers(given, seed=1).question
    words = changed.split()
    assert words[1] == words[8] != "12"
    assert [len(word) for word in words] == [len(word) for word in given.question.split()]
    assert changed == with_other_numbers(given, seed=1).question != with_other_numbers(given, seed=2).question
    ours, theirs = pairs([given, Problem(1, "1", "no numbers in any of these words")], 0.6, seed=1)
    assert [one.number for one in ours] == [one.number for one in theirs] == [0]
    assert ours[0].rest != theirs[0].rest


def test_completions_are_held_against_the_hidden_words() -> None:
    rest = ("how", "many", "are", "left?")
    assert is_completed(rest, "how many\nare left? The answer is 2.")
    assert not is_completed(rest, "how many are gone?")
    assert not is_completed(rest, "how many")
    assert longest_match(rest, "so many are left? how") == 0.75
    assert longest_match(rest, "") == 0.0


def test_a_draw_of_problems_is_of_the_seed_and_in_their_order() -> None:
    given = [Problem(number, str(number), "q") for number in range(50)]
    few = drawn(given, 5, seed=1)
    assert few == drawn(given, 5, seed=1) != drawn(given, 5, seed=2)
    assert [one.number for one in few] == sorted(one.number for one in few)
    assert drawn(given, 0, seed=1) == drawn(given, 90, seed=1) == given


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [
        (0.9, 0.8, 1.0, "pass"),
        (0.4, 0.3, 0.6, "concern"),
        (0.9, 0.05, 1.0, "concern"),
        (0.05, 0.0, 0.2, "concern"),
        (0.05, 0.0, 0.09, "fail"),
    ],
)
def test_a_verdict_fails_where_the_whole_interval_lies_beyond_and_passes_where_no_end_does(
    mean: float, low: float, high: float, verdict: str
) -> None:
    figure = Figure(mean, low, high, 9)
    assert judge(figure, Limit(concern=0.5, fail=0.1), "below").verdict == verdict
    mirrored = Figure(1 - mean, 1 - high, 1 - low, 9)
    assert judge(mirrored, Limit(concern=0.5, fail=0.9), "above").verdict == verdict


def test_without_a_limit_all_passes_and_without_a_figure_nothing_is_measured() -> None:
    assert judge(Figure(0, 0, 0, 1), Limit(), "below").verdict == "pass"
    assert judge(None, Limit(concern=0.5), "below").verdict == "not measured"
    assert worst(["pass", "fail", "concern"]) == "fail"
    assert worst(["not measured", "pass"]) == "pass"
