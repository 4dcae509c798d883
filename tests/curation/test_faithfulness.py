"""Which rewritings are taken: those that keep numbers, formulas and words, and nothing of a chat model's manners."""

from typing import Any

import pytest

from curation.language_model.faithfulness import problem
from recipes.schema import RewriteStage

SOURCE = (
    "Home > Algebra > Lines\nPosted by admin on May\n\nThe line through the points $(1, 2)$ and $(3, 8)$ has slope "
    "$m = \\frac{8 - 2}{3 - 1} = 3$. With the point $(1, 2)$ the intercept is $b = 2 - 3 \\cdot 1 = -1$, and so the equation of "
    "the line is $$y = 3x - 1.$$ Check it: at $x = 3$ the value is 8. A taxi that costs 1,000 yen and 250 yen a kilometre is "
    "another line."
)
GOOD = (
    "The line through the points $(1,2)$ and $(3,8)$ has the slope $m = \\dfrac{8-2}{3-1} = 3$.\n\n1. With the point $(1,2)$ the "
    "intercept is $b = 2 - 3\\cdot 1 = -1$.\n2. So the equation of the line is \\[ y = 3x - 1. \\]\n\nWe check it: at $x = 3$ "
    "the value is 8. Another line is a taxi that costs 1000 yen and 250 yen a kilometre."
)


def bounds(**given: Any) -> RewriteStage:
    return RewriteStage(do="rewrite", endpoint={"model": "tiny"}, **given)


def why(answer: str, source: str = SOURCE, **given: Any) -> str:
    return problem(answer, source, bounds(**given))


def test_a_faithful_rewriting_is_taken() -> None:
    assert why(GOOD) == ""
    assert why(SOURCE) == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I'm sorry, but I can't rewrite copyrighted text.", "refusal"),
        ("I’m sorry, but this is a page I am unable to rewrite.", "refusal"),
        (f"Here is the rewritten text:\n\n{GOOD}", "preamble"),
        (f"**Here's a rewritten version**\n\n{GOOD}", "preamble"),
        (f"Sure! Here you go.\n{GOOD}", "preamble"),
        (f"<think>\nThe user wants\n</think>\n{GOOD}", "preamble"),
        (f"{GOOD}\n\nLet me know if you want it shorter.", "closing_remark"),
        (f"{GOOD}\n</source>", "closing_remark"),
        (GOOD + " and on it goes and so it is said that" * 20, "repetition"),
        (GOOD[:100], "too_short"),
        (GOOD + " The line" + "".join(f" and the point {c}" for c in "abcdefghijklmnopqrst"), "too_long"),
        (GOOD.replace("250", "260"), "numbers_added"),
        (GOOD + " It was found in 1637.", "numbers_added"),
        (GOOD.replace("1000 yen and 250 yen", "some yen and more yen").replace("8", "eight"), "numbers_lost"),
        (GOOD.replace("y = 3x - 1", "y = 2x - 3") + " $8y - 3x = 1$", "formulas_added"),
        (GOOD.replace("$m = \\dfrac{8-2}{3-1} = 3$", "3 (8, 2, 1)").replace("\\[ y = 3x - 1. \\]", "plain"), "formulas_lost"),
        (
            "2 3 8 1 1000 250 words here $(1,2)$ all $(3,8)$ of $m = \\frac{8-2}{3-1} = 3$ them $b = 2 - 3 \\cdot 1 = -1$ are "
            "$$y = 3x - 1$$ quite $x = 3$ otherwise chosen, arranged nobody knows whether anything remains here",
            "overlap_low",
        ),
    ],
)  # fmt: skip
def test_an_unfaithful_rewriting_is_refused_with_the_reason(answer: str, reason: str) -> None:
    given: dict[str, Any] = {"min_overlap": 0.7} if reason == "overlap_low" else {}
    assert why(answer, **given) == reason


def test_a_copy_can_be_refused_by_the_page() -> None:
    assert why(SOURCE, max_overlap=0.95) == "overlap_high"


def test_phrases_that_the_source_has_give_nothing_away() -> None:
    source = "As an AI course note, let me know if 2 + 2 = 4 is clear. I hope this helps the reader of these lines."
    assert why(source, source) == ""


def test_numbers_of_list_items_and_steps_are_nobodys() -> None:
    source = "First find $x$, then find $y$, then add them to get the sum of both."
    assert why("1. First find $x$.\n2. Then find $y$.\n3. Then add them to get the sum of both.", source) == ""
    assert why("**Step 1:** First find $x$.\n**Step 2:** Then find $y$.\n(3) Then add them to get the sum", source) == ""
    assert why("First find $x$, then find $y$, then add 7 to get the sum of both.", source) == "numbers_added"


def test_another_spelling_of_a_formula_is_the_same_formula() -> None:
    source = "For all x² + y² ≤ 1 the point lies inside the circle, and \\(\\dfrac{1}{2}\\) is its area over \\(2\\pi\\)."
    answer = "The point lies inside the circle for all $x^{2} + y^2 \\leq 1$, and $\\frac12$ is its area over $2\\pi$."
    assert why(answer, source) == ""


PLAIN = (
    "The temperature fell {} in the night, and so the sum of all that was measured by us is known to be $a+b$ at the end of it."
)


@pytest.mark.parametrize(
    ("said", "rewritten", "reason"),
    [
        ("to -5 degrees", "to -5 degrees", ""),
        ("to -5 degrees", "to −5 degrees", ""),
        ("to -5 degrees", "to $-5$ degrees", ""),
        ("to $-5$ degrees", "to -5 degrees", ""),
        ("to $x=-5$ degrees", "to (-5) degrees", ""),
        ("to -5 degrees", "to 5 degrees", "numbers_added"),
        ("to $-5$ degrees", "to 5 degrees", "numbers_added"),
        ("to 5 degrees", "to -5 degrees", "numbers_added"),
        ("by 3-5 degrees", "by 3 to 5 degrees", ""),
        ("by 3–5 degrees", "by 3 -5 degrees", ""),
        ("by 20°-25°", "by 20° to 25°", ""),
        ("by x-5 degrees", "by x - 5 degrees", ""),
        ("by $x$-5 degrees", "by x -5 degrees", ""),
        ("by |x|-5 degrees", "by |x| - 5 degrees", ""),
        ("on 2020-05-06", "on 2020 05 06", ""),
        ("by 10⁻⁵ degrees", "by 10^{-5} degrees", ""),
        ("by 10⁻⁵ degrees", "by 10^{5} degrees", "numbers_added"),
        ("by 5%", "by 5 %", ""),
        ("by 5%", r"by $5\%$", ""),
        (r"by $5\%$", "by 5 percent", ""),
        ("by 5%", "by 5", "numbers_added"),
        ("by 5", "by 5%", "numbers_added"),
    ],
)
def test_a_number_keeps_its_minus_sign_and_its_percent_sign(said: str, rewritten: str, reason: str) -> None:
    assert why(PLAIN.format(rewritten), PLAIN.format(said), min_formulas_known=0.5, min_formulas_kept=0.5) == reason


@pytest.mark.parametrize(
    ("said", "rewritten", "reason"),
    [
        ("$X=x$", "$X = x$", ""),
        ("$X=x$", r"\(X=x\)", ""),
        ("$X=x$", "$x=X$", "formulas_added"),
        ("$f(X)$", "$F(x)$", "formulas_added"),
        (r"$\mathbf{x}=y$", r"\[ \mathbf x = y \]", ""),
        (r"$\mathbf{x}=y$", r"$\boldsymbol{x}=y$", ""),
        (r"$\mathbf{x}=y$", "$x=y$", "formulas_added"),
        ("$x=y$", r"$\mathbf{x}=y$", "formulas_added"),
        (r"$\mathcal{A} \ne A$", r"$\mathcal{A} \neq \mathcal{A}$", "formulas_added"),
        ("x ∈ ℝ", r"$x \in \mathbb{R}$", ""),
        ("𝐱 ≤ 3", r"$\mathbf{x} \leq 3$", ""),
        ("𝑥 ≤ 3", r"$x \le 3$", ""),
        ("x ∈ ℝ", "$x \\in R$", "formulas_added"),
    ],
)
def test_letters_of_formulas_keep_their_case_and_their_alphabet(said: str, rewritten: str, reason: str) -> None:
    assert why(PLAIN.format(rewritten), PLAIN.format(said)) == reason


def test_the_case_of_words_outside_of_formulas_says_nothing() -> None:
    source = "SO THE SLOPE IS KNOWN TO BE 3 and the line of $y=3x$ is drawn through the origin of the plane."
    assert why(source.capitalize().replace("$Y", "$y"), source, min_overlap=1.0) == ""
