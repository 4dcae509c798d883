"""Accuracy against tokens spent: the same problems under each budget of thinking, greedily. Budgets are held token by token
(pretrain/generation/forcing.py). Every answer stays with what was forced on it (budgets/NAME/NNNNN.parquet), a part at a time, so
that a stage that was killed goes on behind its last whole part.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa

from pretrain.generation.controller import Controller
from pretrain.generation.engine import Asked, Engine, Output, Sampling
from pretrain.generation.forcing import Forcing, Rules, Spent
from pretrain.generation.parts import in_parts
from pretrain.generation.pieces import Pieces
from pretrain.generation.prompts import prompt
from pretrain.problems.problem import Problem
from recipes.final_answer import EXTRACTORS
from recipes.grading import Grader
from recipes.pass_at_k import wilson
from recipes.schema.budgets import Budgets
from recipes.schema.readiness import Readiness

FOLDER = "budgets"
PART = 64  # answers, of thousands of tokens each; not the batch size, which decides nothing of what is written
SPAN = pa.struct([("at", pa.int64()), ("tokens", pa.int64()), ("what", pa.string())])
COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("id", "prompt", "text", "answer", "ended_by", "finish", "trouble")]
    + [(name, pa.int64()) for name in ("problem", "tokens", "thinking_tokens", "answer_tokens", "steps", "waits", "guarded")]
    + [(name, pa.bool_()) for name in ("is_right", "by_math_verify", "by_text")]
    + [("forced", pa.list_(SPAN))]
)


def measure(
    open_steered: Callable[[], Engine], problems: Sequence[Problem], asked: Readiness, grader: Grader, folder: Path
) -> dict[str, Any]:
    """The figures of each budget, by its name. An engine that takes controllers is opened where something is still to ask, and
    closed behind the last budget."""
    texts = asked.budgets
    assert texts is not None
    chosen = problems[: texts.limit]
    opened: list[Asker] = []

    def asker() -> Asker:
        """Every budget is held against the model's positions before the first is asked."""
        if not opened:
            opened.append(Asker(open_steered(), asked, texts))
            opened[0].check_room(chosen)
        return opened[0]

    try:
        return {name: _figures(_rows(name, chosen, asker, asked, grader, folder), name, texts) for name in texts.each}
    finally:
        for one in opened:
            one.engine.close()


class Asker:
    """An engine, and the budgets in the tokens of its tokenizer."""

    def __init__(self, engine: Engine, asked: Readiness, texts: Budgets):
        self.engine, self._asked, self._opening = engine, asked, texts.opening
        pieces = Pieces(engine.tokenizer, engine.eos)
        self.rules = {name: Rules(pieces, budget, texts, asked.stop) for name, budget in texts.each.items()}

    def prompt(self, problem: Problem) -> str:
        return prompt(self._asked.template, problem.question) + self._opening

    def check_room(self, problems: Sequence[Problem]) -> None:
        """A budget that does not fit would be cut short, and its accuracy told under a wrong name."""
        longest = max((len(self.engine.encode(self.prompt(problem))) for problem in problems), default=0)
        for name, rules in self.rules.items():
            if longest + rules.max_tokens > self.engine.max_positions:
                raise ValueError(
                    f"budget {name!r} takes up to {rules.max_tokens} tokens, and the longest prompt {longest}: the model reads "
                    f"{self.engine.max_positions}; lower its max_tokens or answer_tokens, or leave long problems out"
                )

    def ask(self, name: str, problems: Sequence[Problem]) -> list[tuple[str, Output, Spent, str]]:
        """Of each its prompt, what came, what it took, and the text that states the answer."""
        rules, controllers = self.rules[name], list[Forcing]()

        def control(_: Asked) -> Controller:
            controllers.append(Forcing(rules))
            return controllers[-1]

        prompts = [self.prompt(problem) for problem in problems]
        outputs = self.engine.generate([Asked(text) for text in prompts], Sampling(rules.max_tokens), control)
        found = zip(prompts, outputs, controllers, strict=True)
        return [(text, output, held.finish(output.ids), held.answer(output.ids)) for text, output, held in found]


def _rows(
    name: str, problems: Sequence[Problem], asker: Callable[[], Asker], asked: Readiness, grader: Grader, folder: Path
) -> list[dict[str, Any]]:
    def answered(part: Sequence[Problem]) -> list[dict[str, Any]]:
        found = zip(part, asker().ask(name, part), strict=True)
        return [_row(problem, *answer, asked, grader) for problem, answer in found]

    return in_parts(problems, answered, stage_folder=folder, into=f"{FOLDER}/{name}", columns=COLUMNS, size=PART)


def _row(
    problem: Problem, text: str, output: Output, spent: Spent, answer: str, asked: Readiness, grader: Grader
) -> dict[str, Any]:
    grade = grader.grade(answer, problem.answer, EXTRACTORS[asked.extract])
    return {
        "problem": problem.number,
        "id": problem.id,
        "prompt": text,
        "text": output.text,
        "tokens": output.tokens,
        "finish": output.finish,
        **asdict(spent),
        "waits": spent.waits,
        **grade.row(by=asked.right_by),
    }


def _figures(rows: Sequence[dict[str, Any]], name: str, texts: Budgets) -> dict[str, Any]:
    right = sum(row["is_right"] for row in rows)
    return {
        "budget": texts.each[name].model_dump(mode="json", exclude_defaults=True),
        "problems": len(rows),
        "right": right,
        "accuracy": right / len(rows),
        "interval": list(wilson(right / len(rows), len(rows))),
        "mean_tokens": fmean(row["tokens"] for row in rows),
        "mean_thinking_tokens": fmean(row["thinking_tokens"] for row in rows),
        "mean_steps": fmean(row["steps"] for row in rows),
        "ended_by": dict(sorted(Counter(row["ended_by"] for row in rows).items())),
        "forced": dict(sorted(Counter(span["what"] for row in rows for span in row["forced"]).items())),
        "guarded": sum(row["guarded"] for row in rows),
        "no_answer": sum(row["trouble"] == "no_answer" for row in rows),
        "disputed": sum(row["by_math_verify"] not in (None, row["by_text"]) for row in rows),
    }
