"""A walk as text: the steps one a line, or each between special tokens in the manner of Steiner.

In plain text a step back is a sentence of the page's, unless the step behind tells it itself. With special tokens a step has a
name, its number in the walk, which is what a step back refers to; roles that the page gives no token are left out.
"""

from collections.abc import Mapping
from typing import NamedTuple

from curation.format import closing_line
from curation.paths.graph import ROOT, Graph
from curation.paths.walks import Walk
from recipes.schema import SamplePathsStage

PLACE = "{step}"


class Written(NamedTuple):
    """`reasoning` and what stands before and behind it."""

    before: str
    reasoning: str
    behind: str

    @property
    def text(self) -> str:
        return self.before + self.reasoning + self.behind


def write(graph: Graph, walk: Walk, question: str, answer: str, params: SamplePathsStage) -> Written:
    """A document's text; the final answer has a line of its own unless the last step states it."""
    lines = _told_by_tokens(graph, walk, params) if params.special_tokens else _told_by_sentences(graph, walk, params)
    reasoning = "\n".join(lines)
    before, behind = _around(params)
    return Written(f"{question}\n{before}", reasoning, behind + closing_line(answer, graph.texts[walk[-1].node]))


def _around(params: SamplePathsStage) -> tuple[str, str]:
    if params.special_tokens:
        tokens = params.special_tokens
        return tokens.get("reasoning_start", ""), tokens.get("reasoning_end", "")
    return ("<think>\n", "\n</think>") if params.think_tags else ("", "")


def _told_by_sentences(graph: Graph, walk: Walk, params: SamplePathsStage) -> list[str]:
    lines = []
    for move in walk:
        if not move.is_back:
            lines.append(graph.texts[move.node])
        elif not move.is_told:
            lines.append(_going_back(move.node, graph.texts[move.node], params))
    return lines


def _told_by_tokens(graph: Graph, walk: Walk, params: SamplePathsStage) -> list[str]:
    """A line for each step: [step start] name, thought, and before a step back a reflection [step end], then continue or
    backtrack."""
    tokens = params.special_tokens
    numbers: dict[int, int] = {}
    lines = []
    for place, move in enumerate(walk):
        if move.is_back:
            continue
        number = str(numbers.setdefault(move.node, len(numbers) + 1))
        parts = [_between(tokens, "name", number), _between(tokens, "thought", graph.texts[move.node], always=True)]
        then = walk[place + 1] if place + 1 < len(walk) else None
        goes_back = then is not None and then.is_back
        if then is not None and then.is_back and not then.is_told:
            told = _going_back(then.node, str(numbers.get(then.node, 0)), params)
            parts.append(_between(tokens, "reflection", told))
        mark = "" if then is None else tokens.get("reasoning_backtrack" if goes_back else "reasoning_continue", "")
        lines.append("".join([tokens.get("step_start", ""), *parts, tokens.get("step_end", ""), mark]))
    return lines


def _between(tokens: Mapping[str, str], role: str, text: str, *, always: bool = False) -> str:
    start, end = (tokens.get(f"{role}_{side}", "") for side in ("start", "end"))
    return f"{start}{text}{end}" if always or start or end else ""


def _going_back(node: int, step: str, params: SamplePathsStage) -> str:
    if node == ROOT:
        return params.starting_over
    before, place, behind = params.going_back.partition(PLACE)
    return f"{before}{step if place else ''}{behind}"
