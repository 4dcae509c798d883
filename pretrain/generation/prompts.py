r"""How a question is put to a base model: plain text, worked examples before it, and where its answer ends.

question_answer  `Question: {}\nAnswer:`, the plain text that questions have in mid-training data (curation/format.py)
simple           the same without spaces: OctoThinker's simple template of reinforcement learning
conversation     `User:{}\nAssistant:`, as instruction data has it
long_cot, think  the question and a new line, behind which long chains of thought stand; `think` opens a think tag too
orz              Open-Reasoner-Zero's, OctoThinker's complex template: it asks for a boxed answer. Zero-shot
gsm, minerva,    as in DeepSeekMath's evaluation, which OctoThinker's is made of: GSM8K and its kin, MATH, multiple choice
choices, courses (SAT, MMLU-STEM, MathQA) and OCW courses
letters          MMLU's own, for choices that are told apart by their log-likelihood
text             nothing but the question, for texts that are completed (HellaSwag)

No template ends in a space: the first word of an answer has the tokens that it has elsewhere. The worked examples of `shots` are
of our own making; a page may name a file of others, such as a benchmark's train split.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGHIJ"
FIELD = re.compile(r"\{(question|choices|solution|answer)\}")


@dataclass(frozen=True)
class Shot:
    """A worked example. `answer`: its final answer, a letter where there are choices."""

    question: str
    solution: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """`ask`: up to where the model goes on. `worked`: what stands there in an example. `between` examples. `choice`: one of
    several, and what stands between them. `stop`: where the model begins a question of its own."""

    ask: str
    worked: str
    between: str
    stop: tuple[str, ...]
    choice: tuple[str, str] = ("({letter}) {choice}", ", ")


_QUESTION = "Question: {question}{choices}\nAnswer:"
_PROBLEM = "Problem:\n{question}{choices}\nSolution:"
_CHOICES = "Problem:\n{question}\nWhat of the following is the right choice? Explain your answer.{choices}\nSolution:"
_ORZ = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first "
    "thinks about the reasoning process in the mind and then provides the user with the answer. User: You must put your answer "
    "inside \\boxed{} and Your final answer will be extracted automatically by the \\boxed{} tag.\n{question}{choices}\n"
    "Assistant:"
)
_HOPE = ". I hope it is correct."

TEMPLATES: Mapping[str, Template] = {
    "question_answer": Template(_QUESTION, " {solution}\nFinal answer: {answer}", "\n\n", ("\nQuestion:",)),
    "simple": Template("Question:{question}{choices}\nAnswer:", "{solution}\nFinal answer: {answer}", "\n\n", ("\nQuestion:",)),
    "conversation": Template(
        "User:{question}{choices}\nAssistant:", "{solution}\nFinal answer: {answer}", "\n", ("\nUser:", "\nAssistant:")
    ),
    "long_cot": Template("{question}{choices}\n", "{solution}\nFinal answer: {answer}", "\n\n", ()),
    "think": Template("{question}{choices}\n<think>\n", "{solution}\n</think>\nFinal answer: {answer}", "\n\n", ()),
    "orz": Template(_ORZ, " {solution} \\boxed{{answer}}", "\n\n", ("User:", "Assistant:")),
    "gsm": Template("Q: {question}{choices}\nA:", " {solution} The answer is {answer}.", "\n\n\n", ("\nQ:",)),
    "minerva": Template(
        "Problem:\n{question}{choices}\n\nSolution:",
        "\n{solution}\nFinal Answer: The final answer is ${answer}$" + _HOPE,
        "\n\n",
        ("\nProblem:",),
    ),
    "choices": Template(_CHOICES, "\n{solution}\nFinal Answer: The final answer is ({answer})" + _HOPE, "\n\n", ("\nProblem:",)),
    "courses": Template(_PROBLEM, "\n{solution}\nFinal answer: The final answer is ${answer}$" + _HOPE, "\n\n", ("\nProblem:",)),
    "letters": Template(_QUESTION.removeprefix("Question: "), " {answer}", "\n\n", ("\n",), ("{letter}. {choice}", "\n")),
    "text": Template("{question}", " {solution}", "\n\n", ()),
}


def prompt(template: str, question: str, shots: Sequence[Shot] = (), choices: Sequence[str] = ()) -> str:
    """The examples, worked, and the question up to where the model goes on."""
    form = TEMPLATES[template]
    worked = [_ask(form, shot.question, shot.choices) + _worked(form, shot) for shot in shots]
    return form.between.join([*worked, _ask(form, question, choices)])


def _ask(form: Template, question: str, choices: Sequence[str]) -> str:
    each, between = form.choice
    named = [
        each.replace("{letter}", letter).replace("{choice}", choice) for letter, choice in zip(LETTERS, choices, strict=False)
    ]
    return _fill(form.ask, {"question": question.strip(), "choices": "\n" + between.join(named) if named else ""})


def _worked(form: Template, shot: Shot) -> str:
    return _fill(form.worked, {"solution": shot.solution.strip(), "answer": shot.answer.strip()})


def _fill(form: str, fields: Mapping[str, str]) -> str:
    """In one go: braces of LaTeX, and what a question has in braces, are no fields."""
    return FIELD.sub(lambda found: fields[found[1]], form)
