"""What the traces of one question have in common, as a directed graph without cycles: the question is the root, a step that
several traces have is one node, and traces that come to the right answer end in the node of the answer.

Three kinds of edges. *Right* ones are walked by traces that end right; *wrong* ones only by others, and nothing that thinks on
towards the answer may use them. A *turn* is what a trace did when it saw that it was wrong: it leads from the node gone back to,
to the first step after the return, and may be walked only behind the wrong steps that it speaks of.

A step without any number is the same node only behind the same node: "Let us check this." means something else elsewhere. An
occurrence that would close a cycle becomes a node of its own. Graphs are checked all the same (`defect`), also those read back.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from curation.paths.clusters import clusters
from curation.paths.formula import numbers_of

ROOT, ANSWER = 0, 1

Edge = tuple[int, int]


@dataclass(frozen=True)
class Trace:
    """Steps of thinking. Of one that turned back: after `wrong` it went on from the end of `steps` with `back`."""

    steps: Sequence[str]
    is_right: bool
    wrong: Sequence[str] = ()
    back: Sequence[str] = ()

    def __post_init__(self) -> None:
        assert bool(self.wrong) == bool(self.back), "a way back belongs to a wrong leg"

    @property
    def num_steps(self) -> int:
        return len(self.steps) + len(self.wrong) + len(self.back)


@dataclass(frozen=True)
class Turn:
    start: int
    wrong: tuple[int, ...]  # the nodes walked from `start` to the end of the wrong leg
    to: int


@dataclass
class Graph:
    """`texts` of the nodes: question, expected answer, then steps, each as the first right trace had it, or, where none has it,
    the first wrong one. `times`: how many traces are at a node. `needs`: the numbers, other than the question's, that each of
    them had before the step and used in it."""

    texts: list[str]
    times: list[int] = field(default_factory=lambda: [0, 0])
    needs: list[set[str]] = field(default_factory=lambda: [set(), set()])
    right: set[Edge] = field(default_factory=set)
    wrong: set[Edge] = field(default_factory=set)
    turns: list[Turn] = field(default_factory=list)

    def edges(self) -> set[Edge]:
        return self.right | self.wrong | {(turn.start, turn.to) for turn in self.turns}

    def onward(self) -> set[Edge]:
        """Edges on which thinking gets to the answer."""
        return self.right | {(turn.start, turn.to) for turn in self.turns}

    def as_metadata(self) -> dict[str, Any]:
        turns = [[turn.start, list(turn.wrong), turn.to] for turn in self.turns]
        edges = {"right": sorted(map(list, self.right)), "wrong": sorted(map(list, self.wrong))}
        needs = [sorted(numbers) for numbers in self.needs]
        return {"texts": self.texts, "times": self.times, "needs": needs, **edges, "turns": turns}

    @classmethod
    def of_metadata(cls, record: dict[str, Any]) -> Self:
        turns = [Turn(start, tuple(wrong), to) for start, wrong, to in record["turns"]]
        right, wrong = ({(a, b) for a, b in record[key]} for key in ("right", "wrong"))
        return cls(list(record["texts"]), list(record["times"]), list(map(set, record["needs"])), right, wrong, turns)


def build(question: str, answer: str, traces: Sequence[Trace], min_similarity: float) -> tuple[Graph, int]:
    """Also how many steps were kept apart because as one node they would have closed a cycle."""
    every = [step for trace in traces for step in (*trace.steps, *trace.wrong, *trace.back)]
    builder = _Builder(Graph([question, answer]), iter(clusters(every, min_similarity)))
    for trace in traces:
        builder.add(trace)
    graph = builder.graph
    graph.wrong -= graph.onward()
    return graph, builder.num_apart


class _Builder:
    """`labels`: the clusters of the steps to come."""

    def __init__(self, graph: Graph, labels: Iterable[int]):
        self.graph = graph
        self.labels = iter(labels)
        self.num_apart = 0
        self._nodes: dict[tuple[int, int], list[int]] = {}  # by cluster and, for steps without numbers, the node before
        self._children: dict[int, set[int]] = {ROOT: set()}
        self._said_right: set[int] = set()  # nodes whose text is a right trace's
        self._told = numbers_of(graph.texts[ROOT])

    def add(self, trace: Trace) -> None:
        self._visited: set[int] = set()
        self._had: set[str] = set()  # numbers of the trace's steps so far
        end, _ = self._walk(ROOT, trace.steps, is_right=trace.is_right)
        if trace.wrong:
            _, wrong = self._walk(end, trace.wrong, is_right=False)
            end = self._turn(end, wrong, trace)
        if trace.is_right:
            self._join(end, ANSWER, is_right=True)
            self.graph.times[ANSWER] += 1

    def _walk(self, start: int, steps: Iterable[str], *, is_right: bool) -> tuple[int, list[int]]:
        """Where the steps end, and the nodes on the way."""
        way = []
        for step in steps:
            node = self._node(start, step, is_right=is_right)
            self._join(start, node, is_right=is_right)
            way.append(node)
            start = node
        return start, way

    def _turn(self, start: int, wrong: list[int], trace: Trace) -> int:
        first = self._node(start, trace.back[0], is_right=trace.is_right)
        turn = Turn(start, tuple(wrong), first)
        if (start, first) not in self.graph.right and turn not in self.graph.turns:
            self.graph.turns.append(turn)
        self._children[start].add(first)
        end, _ = self._walk(first, trace.back[1:], is_right=trace.is_right)
        return end

    def _join(self, start: int, node: int, *, is_right: bool) -> None:
        (self.graph.right if is_right else self.graph.wrong).add((start, node))
        self._children[start].add(node)

    def _node(self, before: int, step: str, *, is_right: bool) -> int:
        """The node of the next step: a known one that does not lead to the node before, or a new one."""
        numbers = numbers_of(step)
        key = (next(self.labels), -1 if numbers else before)
        known = self._nodes.setdefault(key, [])
        node = next((node for node in known if not self._leads(node, before)), None)
        if node is None:
            self.num_apart += bool(known)
            node = len(self.graph.texts)
            self.graph.texts.append(step)
            self.graph.times.append(0)
            self.graph.needs.append(set(numbers))
            self._children[node] = set()
            known.append(node)
        if is_right and node not in self._said_right:
            self.graph.texts[node] = step
            self._said_right.add(node)
        if node not in self._visited:
            self.graph.times[node] += 1
            self._visited.add(node)
        self.graph.needs[node] = self.graph.needs[node] & self._had - self._told
        self._had |= numbers
        return node

    def _leads(self, node: int, to: int) -> bool:
        if to in self._children[node] or node == to:
            return True
        if node in self._children[to]:
            return False
        return to in reached([node], lambda at: self._children.get(at, ()))


def reached(starts: Iterable[int], onward: Callable[[int], Iterable[int]]) -> set[int]:
    """All nodes on ways from these, themselves included. `onward(node)`: its next nodes."""
    found, waiting = set(starts), list(starts)
    while waiting:
        for node in onward(waiting.pop()):
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def neighbours(edges: Iterable[Edge], num_nodes: int, *, backwards: bool = False) -> list[list[int]]:
    """The next nodes of each node in rising order, or those before it."""
    found: list[list[int]] = [[] for _ in range(num_nodes)]
    for start, end in sorted(edges):
        if backwards:
            found[end].append(start)
        else:
            found[start].append(end)
    return found


def topological(graph: Graph) -> list[int]:
    """Every node behind all that lead to it; those on a cycle, and behind one, are missing."""
    edges = graph.edges()
    children = neighbours(edges, len(graph.texts))
    waits = [len(before) for before in neighbours(edges, len(graph.texts), backwards=True)]
    order = [node for node, number in enumerate(waits) if not number]
    for node in order:
        for child in children[node]:
            waits[child] -= 1
            if not waits[child]:
                order.append(child)
    return order


def defect(graph: Graph) -> str:
    """The first reason why it is no graph of a question; "" when it is one. Each is a reason to drop."""
    num_nodes, edges = len(graph.texts), graph.edges()
    walked = {node for turn in graph.turns for node in turn.wrong}
    if not {node for edge in edges for node in edge} | walked <= set(range(num_nodes)):
        return "unknown_node"
    before = neighbours(edges, num_nodes, backwards=True)
    if before[ROOT]:
        return "root_is_no_root"
    if any(not before[node] for node in range(ANSWER + 1, num_nodes)):
        return "several_roots"
    if len(topological(graph)) < num_nodes:
        return "cyclic"
    onward = neighbours(graph.onward(), num_nodes)
    if ANSWER not in reached([ROOT], onward.__getitem__):
        return "answer_unreachable"
    if any(start == ANSWER for start, _ in edges):
        return "answer_leads_on"
    return ""


def distances(edges: Iterable[Edge], num_nodes: int, start: int, *, backwards: bool = False) -> list[int | None]:
    """The least number of edges between `start` and each node; None where there is no way."""
    following = neighbours(edges, num_nodes, backwards=backwards)
    found: list[int | None] = [None] * num_nodes
    found[start], far, frontier = 0, 0, [start]
    while frontier:
        far += 1
        frontier = sorted({node for at in frontier for node in following[at] if found[node] is None})
        for node in frontier:
            found[node] = far
    return found
