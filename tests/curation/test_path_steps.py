"""Traces as steps, and which steps say the same."""

from itertools import pairwise

import pytest

from curation.paths.clusters import clusters, tf_idf
from curation.paths.formula import tokens_of
from curation.paths.segments import spoken, steps_of, thinking

TRACE = """<think>
## Step 1: Set up
Let $n$ be the number of apples.

**Step 2:** The total is
$$
a = 3
  + 4
$$
= 7
3. Then:
7 * 2 is 14.
---
```
for i in x:

    print(i)
```
So 3.5 kg each.
</think>
The answer is 14."""
STEPS = [
    "Set up",
    "Let $n$ be the number of apples.",
    "The total is",
    "$$\na = 3\n  + 4\n$$\n= 7",
    "Then:\n7 * 2 is 14.\n---",
    "```\nfor i in x:\n\n    print(i)\n```",
    "So 3.5 kg each.",
]


def test_a_trace_is_cut_at_its_lines_but_in_no_formula_and_no_code_and_labels_that_count_go() -> None:
    assert steps_of(thinking(TRACE), 600) == STEPS


def test_steps_that_are_joined_by_line_ends_are_the_same_steps() -> None:
    once = steps_of(thinking(TRACE), 40)
    assert steps_of("\n".join(once), 40) == once


def test_long_lines_are_cut_into_sentences() -> None:
    assert steps_of("First we add. Then $x. y$ is 3.5! Done?", 10) == ["First we add.", "Then $x. y$ is 3.5!", "Done?"]
    assert steps_of("First we add. Then we are done.", 600) == ["First we add. Then we are done."]


@pytest.mark.parametrize("text", ["", " \n\n ", "---\n***", "<think></think>", "- \n* "])
def test_texts_that_say_nothing_have_no_steps(text: str) -> None:
    assert steps_of(thinking(text), 600) == []


@pytest.mark.parametrize(
    ("text", "inside", "behind"),
    [
        ("<think>a</think>b", "a", "b"),
        ("a</think>\nb", "a", "b"),
        ("plain", "plain", "plain"),
        ("<think>cut off", "cut off", "cut off"),
    ],
)
def test_thinking_stands_before_the_closing_tag_and_speech_behind_it(text: str, inside: str, behind: str) -> None:
    assert (thinking(text), spoken(text)) == (inside, behind)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("So the sum is $\\frac12$.", "so the sum is $\\frac{1}{2}$"),
        ("We get x ≤ 1,000 here.", "We get $x \\leq 1000$ here"),
        ("Now add the two numbers: 3 + 4 = 7.", "Now add the two numbers, 3 + 4 = 7, again."),
        ("So \\(x^{2}\\) is $\\left(a+b\\right)$.", "So x² is (a + b)."),
        ("We get that a dog has 3 legs.", "We get that the dog has 3 legs."),
    ],
)
def test_other_spellings_and_small_changes_are_the_same_step(one: str, other: str) -> None:
    assert clusters([one, other], 0.6) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Adding all of them up, the total comes to 12.", "Adding all of them up, the total comes to 13."),
        ("Solving this equation gives us x = 3 at last.", "Solving this equation gives us x = -3 at last."),
        ("Solving this equation gives us x = 3 at last.", "Solving this equation gives us y = 3 at last."),
        ("So the number 91 that we look at is a prime.", "So the number 91 that we look at is not a prime."),
        ("The value that we need is 3^4 in this case.", "The value that we need is 34 in this case."),
        ("The number of tries is greater: 5 > 4.", "The number of tries is greater: 5 < 4."),
        ("So 5 > 3.", "So 3 > 5."),
        ("The ratio is 2/3.", "The ratio is 3/2."),
        ("This is a - b.", "This is b - a."),
        ("So 2 divides 6.", "So 6 divides 2."),
        ("Here x ∈ A.", "Here x ∉ A."),
        ("We take $\\sin x$.", "We take $\\cos x$."),
        ("Now f increases.", "Now f decreases."),
        ("It is 2^{3 + 4}.", "It is 2^3 + 4."),
        ("It is 2^3 · 4.", "It is 2 · 3^4."),
        ("It is (a + b)c.", "It is a + bc."),
        ("For x in [2, 3).", "For x in (2, 3]."),
        ("The side AB is 5.", "The side BC is 5."),
        ("Angle A = 30.", "Angle a = 30."),
        ("It is n!/2.", "It is n/2."),
        ("So |x - 3| = 2.", "So x - 3 = 2."),
        ("x 是 3。", "x 不是 3。"),
    ],
)
def test_what_a_step_claims_decides_in_its_order_however_alike_steps_are(one: str, other: str) -> None:
    assert clusters([one, other], 0.0) == [0, 1]


def test_a_step_joins_the_one_that_it_is_most_like() -> None:
    steps = ["Add the red balls: 2 + 3 = 5.", "The blue balls add up: 2 + 3 = 5.", "Now the blue balls add up to 2 + 3 = 5."]
    assert clusters(steps, 0.5) == [0, 1, 1]
    assert clusters(steps, 0.99) == [0, 1, 2]
    assert clusters([], 0.5) == []


def test_weights_are_those_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    steps = ["Let $x$ be the number.", "So $x + 3 = 10$, that is $x = 7$.", "The number is 7.", "Let $x$ be the other number."]
    tokens = [tokens_of(step) for step in steps]
    vectorizer = text.TfidfVectorizer(analyzer=lambda words: [*words, *map(" ".join, pairwise(words))])
    expected = vectorizer.fit_transform(tokens)
    for row, vector in enumerate(tf_idf(tokens)):
        theirs = {name: expected[row, column] for name, column in vectorizer.vocabulary_.items() if expected[row, column]}
        assert vector == pytest.approx(theirs)
