"""Loops, intervals, cut questions and verdicts, each against what a hand counts."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pretrain.intervals import DIFFERENCE, SHARE, Figure, difference, interval
from pretrain.problems.problem import Problem, drawn
from pretrain.readiness.answers import Answer
from pretrain.readiness.completion import Room, cut, is_completed, longest_match, pairs, with_other_numbers
from pretrain.readiness.measures import figures, lengths, solved
from pretrain.readiness.repetition import loops, repeated_share
from pretrain.readiness.verdicts import GRADES, judge, of_figures, worst
from recipes.pass_at_k import wilson
from recipes.schema.readiness import Limit, Limits


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
    assert none_right is not None
    assert (none_right.mean, none_right.low) == (0.0, 0.0)
    assert wilson(0.0, 20)[1] < none_right.high < 2 * wilson(0.0, 20)[1]
    assert interval([1.0], seed=1, span=SHARE) == Figure(1.0, 0.0, 1.0, 1)
    no_gain = interval([0.0] * 20, seed=1, span=DIFFERENCE)
    assert no_gain is not None
    assert -0.4 < no_gain.low < -0.1 < 0.1 < no_gain.high < 0.4
    lengths_alike = interval([7.0] * 20, seed=1)
    assert lengths_alike == Figure(7.0, 7.0, 7.0, 20)


@pytest.mark.parametrize("num", [1, 2, 8, 128])
def test_a_worse_model_never_gets_a_better_verdict(num: int) -> None:
    """From no right answer of 16 a problem to all, an answer more at a time."""
    limits, seen = Limits(), []
    for right in (*range(min(16 * num, 40)), *range(40, 16 * num, 5 * num), 16 * num):
        each = [min(16, max(0, right - 16 * place)) / 16 for place in range(num)]
        figure = interval(each, seed=1, span=SHARE)
        assert figure is not None
        verdicts = [judge(figure, limits.min_pass_at_1, "below"), judge(figure, limits.min_stopped, "below")]
        seen.append((figure.low, figure.high, *(-GRADES.index(check.verdict) for check in verdicts)))
    for worse, better in pairwise(seen):
        assert all(a <= b for a, b in zip(worse, better, strict=True))


def test_a_few_problems_alike_prove_nothing() -> None:
    limits = Limits()
    for alike in ([0.45, 0.48], [0.0] * 3, [1.0]):
        figure = interval(alike, seed=1, span=SHARE)
        for limit in (limits.min_pass_at_1, limits.min_stopped, limits.min_mixed_groups):
            assert judge(figure, limit, "below").verdict == "concern"
    alone = of_figures({"entropy": interval([3.0], seed=1)}, limits)["entropy"]
    assert (alone.verdict, alone.told) == ("concern", "of 1 problems only, too few to tell")
    assert of_figures({"entropy": interval([3.0] * 8, seed=1)}, limits)["entropy"].verdict == "pass"


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    for num, samples, truth in ((8, 4, 0.05), (8, 16, 0.02), (128, 16, 0.0005), (128, 1, 0.5)):
        drawn_ = [(random.binomial(samples, truth, num) / samples).tolist() for _ in range(60)]
        found = [interval(values, seed, SHARE) for seed, values in enumerate(drawn_)]
        assert sum(figure is not None and figure.low <= truth <= figure.high for figure in found) >= 54


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
    assert (found.number, found.prompt, found.hidden, found.rest) == (3, "What  is\n2 +", " 2 here?", ["2", "here?"])
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
    assert is_completed(rest, "how many are left?Answer: 2")
    assert longest_match(rest, "how many are left?Answer: 2") == 1.0
    assert is_completed(("is", "7"), " is 7.Answer: 8")
    assert not is_completed(("is", "7"), " is 75")
    assert not is_completed(rest, "how many are gone?")
    assert not is_completed(rest, "how many")
    assert longest_match(rest, "so many are left? how") == 0.75
    assert longest_match(rest, "") == 0.0


def test_what_there_is_no_room_to_recite_is_not_asked() -> None:
    one = cut(Problem(0, "0", "a b c d e f g h i j"), 0.6)
    assert one is not None

    def room(max_tokens: int, max_positions: int) -> Room:
        return Room(lambda text: len(text.split()), max_tokens, max_positions)

    assert room(4, 11).fits(one)
    assert not room(3, 11).fits(one)
    assert not room(4, 10).fits(one)


def test_a_draw_of_problems_is_of_the_seed_and_in_their_order() -> None:
    given = [Problem(number, str(number), "q") for number in range(50)]
    few = drawn(given, 5, seed=1)
    assert few == drawn(given, 5, seed=1) != drawn(given, 5, seed=2)
    assert [one.number for one in few] == sorted(one.number for one in few)
    assert drawn(given, 0, seed=1) == drawn(given, 90, seed=1) == given


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [
        (0.9, 0.5, 1.0, "pass"),
        (0.4, 0.3, 0.6, "concern"),
        (0.6, 0.4, 0.8, "concern"),
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
