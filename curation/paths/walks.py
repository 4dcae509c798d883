"""Walks from the question to the answer, counted and numbered, so that any of them can be drawn without listing the others.

A walk goes on along right edges. At each node on its way it may, once, first follow wrong edges through steps of no right trace
to where they end and come back; or it takes a turn: the wrong steps that a trace really took, then its own way back. Either is a
backtrack. The number of walks with exactly b backtracks is a sum over what may come next, so it is counted backwards from the
answer, and the number of a walk spells out its choices.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from curation.paths.formula import numbers_of
from curation.paths.graph import ANSWER, ROOT, Graph, Turn, neighbours, topological
from recipes.final_answer import boxed, stated


@dataclass(frozen=True)
class Move:
    """To a step; or back to an earlier one. `is_told`: the step behind says itself why it went back."""

    node: int
    is_back: bool = False
    is_told: bool = False


Walk = tuple[Move, ...]


def is_grounded(graph: Graph, walk: Walk) -> bool:
    """Whether each step has before it what it uses: where traces cross, a number may come from nowhere."""
    had = set(numbers_of(graph.texts[ROOT]))
    for move in walk:
        if not graph.needs[move.node] <= had:
            return False
        had |= numbers_of(graph.texts[move.node])
    return True


class Walks:
    """`counts[b][node]`: walks from a node to the answer with exactly b backtracks. Takes backtracks x edges steps."""

    def __init__(self, graph: Graph, max_backtracks: int):
        num_nodes = len(graph.texts)
        on_right = {node for edge in graph.right for node in edge} | {turn.to for turn in graph.turns}
        self._onward = neighbours(graph.right, num_nodes)
        self._astray = [[node for node in nodes if node not in on_right] for nodes in neighbours(graph.wrong, num_nodes)]
        self._turns: list[list[Turn]] = [[] for _ in range(num_nodes)]
        for turn in sorted(graph.turns, key=lambda turn: (turn.to, turn.wrong)):
            self._turns[turn.start].append(turn)
        order = topological(graph)[::-1]
        self._dead_ends = self._count_dead_ends(order, graph.texts)
        self.counts = self._count(order, max_backtracks)

    def num(self, backtracks: int) -> int:
        return self.counts[backtracks][ROOT]

    def _count_dead_ends(self, order: list[int], texts: list[str]) -> list[int]:
        """Ways through steps of no right trace, from each node to where they end: before they state an answer, and in a step with
        a number, as nobody who only says how to begin has gone astray."""
        found = [0] * len(order)
        for node in order:
            steps = (child for child in self._astray[node] if not (boxed(texts[child]) or stated(texts[child])))
            self._astray[node] = [child for child in steps if found[child] or numbers_of(texts[child])]
            found[node] = sum(found[child] or 1 for child in self._astray[node])
        return found

    def _count(self, order: list[int], max_backtracks: int) -> list[list[int]]:
        counts = [[0] * len(order) for _ in range(max_backtracks + 1)]
        counts[0][ANSWER] = 1
        for backtracks, found in enumerate(counts):
            for node in order:
                if node != ANSWER:
                    found[node] = sum(size for _, size in self._choices(counts, node, backtracks))
        return counts

    def _choices(self, counts: list[list[int]], node: int, left: int) -> Iterator[tuple[tuple[str, int], int]]:
        """What may come next at a node with so many backtracks to be made, and how many walks each choice begins."""
        for child in self._onward[node]:
            yield ("on", child), counts[left][child]
        if left:
            for child in self._onward[node]:
                yield ("astray", child), self._dead_ends[node] * counts[left - 1][child]
            for number, turn in enumerate(self._turns[node]):
                yield ("turn", number), counts[left - 1][turn.to]

    def walk(self, backtracks: int, number: int) -> Walk:
        """The walk of a number below `num(backtracks)`; different numbers are different walks."""
        if not 0 <= number < self.num(backtracks):
            raise ValueError(f"there is no walk {number} with {backtracks} backtracks: there are {self.num(backtracks)}")
        moves: list[Move] = []
        node, left = ROOT, backtracks
        while node != ANSWER:
            kind, which, number = self._choose(node, left, number)
            if kind == "astray":
                dead_end, number = divmod(number, self.counts[left - 1][which])
                moves += [*self._dead_end(node, dead_end), Move(node, is_back=True)]
            elif kind == "turn":
                turn = self._turns[node][which]
                moves += [*map(Move, turn.wrong), Move(node, is_back=True, is_told=True)]
                which = turn.to
            left -= kind != "on"
            node = which
            moves.append(Move(node))
        return tuple(moves[:-1])  # the answer is no step

    def _choose(self, node: int, left: int, number: int) -> tuple[str, int, int]:
        """What comes next in the walk of a number, and its number among the walks that begin so."""
        for (kind, which), size in self._choices(self.counts, node, left):
            if number < size:
                return kind, which, number
            number -= size
        raise AssertionError("a number beyond the walks that were counted")

    def _dead_end(self, node: int, number: int) -> Iterator[Move]:
        while self._astray[node]:
            for child in self._astray[node]:
                size = self._dead_ends[child] or 1
                if number < size:
                    break
                number -= size
            node = child
            yield Move(node)

    def draw(self, num: int, seed: str) -> list[tuple[int, Walk]]:
        """At most so many different walks with their backtracks: as many of none as of one, of two, ... as far as there are
        any; among those of as many, each is as likely as another."""
        waiting = [(backtracks, self._numbers(backtracks, num, f"{seed}/{backtracks}")) for backtracks in range(len(self.counts))]
        drawn: list[tuple[int, Walk]] = []
        while waiting and len(drawn) < num:
            for backtracks, numbers in list(waiting):
                number = next(numbers, None)
                if number is None:
                    waiting.remove((backtracks, numbers))
                elif len(drawn) < num:
                    drawn.append((backtracks, self.walk(backtracks, number)))
        return drawn

    def _numbers(self, backtracks: int, num: int, seed: str) -> Iterator[int]:
        """Different numbers of walks. `random.sample` knows no ranges beyond 64 bits."""
        rng, total = random.Random(seed), self.num(backtracks)
        if total <= 2 * num:
            yield from rng.sample(range(total), total)
            return
        seen: set[int] = set()
        while len(seen) < num:
            number = rng.randrange(total)
            if number not in seen:
                seen.add(number)
                yield number
