"""Answers as Minerva's examples teach a model to end on them."""

import pytest

from recipes.final_answer import final_answer, letter


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So it is.\nFinal Answer: The final answer is $15$. I hope it is correct.", "15"),
        ("Final answer: The final answer is \\[4 e^{-3 t}\\]. I hope it is correct.", "4 e^{-3 t}"),
        ("The answer is 3. Final Answer: The final answer is (2,7). I hope it is correct.", "(2,7)"),
        ("A box first: $\\boxed{\\frac{1}{4}}$.\nFinal Answer: The final answer is $0.25$.", "\\frac{1}{4}"),
    ],
)
def test_the_phrase_around_an_answer_is_no_part_of_it(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_hope_is_no_choice() -> None:
    assert letter("Final Answer: The final answer is (B). I hope it is correct.") == "B"
    assert letter("It is C, I hope so.") == "C"
