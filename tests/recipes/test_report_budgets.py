"""Accuracy against tokens spent in the report."""

import math
from typing import Any

from recipes.report.budgets import budgets_section
from recipes.report.sheet import environment

COLOURS = {"long": 3, "base": 2}


def figures(accuracy: float, tokens: float, **others: Any) -> dict[str, Any]:
    return {
        "budget": {"max_tokens": 64, "min_tokens": 8, "waits": 1},
        "problems": 40,
        "right": 8,
        "accuracy": accuracy,
        "interval": [max(0.0, accuracy - 0.1), accuracy + 0.1],
        "mean_tokens": tokens,
        "mean_thinking_tokens": tokens - 10,
        "mean_steps": 2.5,
        "ended_by": {"max_tokens": 30, "the model": 10},
        "forced": {"closing": 30, "wait": 12},
        "guarded": 3,
        "no_answer": 1,
        "disputed": 0,
        **others,
    }


def html(of: Any) -> str:
    section = budgets_section(of, COLOURS)
    assert section is not None
    text = '{% import "parts.html.j2" as parts with context %}{% include "budgets.html.j2" %}'
    return environment().from_string(text).render(budgets=section, max_rows=10)


def test_each_checkpoint_is_a_line_and_each_budget_a_point_with_its_interval() -> None:
    of = {"long": {"short": figures(0.2, 30), "more": figures(0.5, 300)}, "base": {"short": figures(0.1, 25)}}
    section = budgets_section(of, COLOURS)
    assert section is not None
    assert section.legend == [(3, "long"), (2, "base")]
    assert section.plot.count("<circle") == section.plot.count('class="whisker') == 3
    page = html(of)
    assert "8 to 64 tokens, 1 wait" in page
    assert "8 of 40" in page
    assert "10 by itself, 30 at its cap of tokens" in page
    assert '0.500 <span class="interval">0.400 – 0.600</span>' in page


def test_every_doubling_of_tokens_takes_the_same_room() -> None:
    section = budgets_section({"one": {str(n): figures(0.5, 50 * 2**n) for n in range(3)}}, COLOURS)
    assert section is not None
    places = [float(part.split('"')[1]) for part in section.plot.split("<circle")[1:] for part in [part[part.index("cx=") :]]]
    assert math.isclose(places[1] - places[0], places[2] - places[1], abs_tol=0.2)
    assert ">100</text>" in section.plot


def test_one_budget_that_spent_nothing_or_solved_nothing_is_drawn() -> None:
    for tokens in (0.0, 3.0, 22.0):
        section = budgets_section({"one": {"b": figures(0.0, tokens, interval=None)}}, COLOURS)
        assert section is not None
        assert section.plot.count("<circle") == 1
        assert section.plot.count('class="tick middle"') >= 1


def test_more_checkpoints_than_colours_are_lines_of_their_own() -> None:
    section = budgets_section({f"c{n}": {"b": figures(0.1 * n, 10 + n)} for n in range(8)}, COLOURS)
    assert section is not None
    assert section.plot.count('class="line') == 8


def test_foreign_or_damaged_figures_are_left_out_and_texts_escaped() -> None:
    assert budgets_section({}, COLOURS) is None
    assert budgets_section({"x": {"b": figures(math.nan, 3), "c": {"accuracy": 0.1}, "d": 3}}, COLOURS) is None
    page = html({"<b>β": {"<i>": figures(0.5, 9, budget=3, ended_by=None, forced=None, interval=[0, "x"], right=None)}})
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;β" in page
