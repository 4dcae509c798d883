"""Graphs of traces, and the walks through them: those that are counted are those that there are."""

import json
import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from curation.paths.build import node_rows
from curation.paths.graph import ANSWER, ROOT, Graph, Trace, Turn, build, defect, distances
from curation.paths.walks import Move, Walk, Walks, is_grounded

PLAN, SUM, TIMES, END = "Let n be the number.", "2 + 3 = 5.", "So 5 times 4 = 20.", "The answer is $\\boxed{20}$."
OTHER_PLAN, OTHER_TIMES = "First of all I add.", "Then 4 of these 5 are 20."
SLIP, AFTER_SLIP, BACK = "2 + 3 = 6.", "So 6 times 4 = 24.", "Wait, 2 + 3 is 5 and not 6."


def made(*traces: Trace) -> Graph:
    graph, _ = build("How many?", "20", traces, 0.8)
    assert defect(graph) == ""
    return graph


def steps(graph: Graph, walk: Walk) -> list[str]:
    return [("BACK " if move.is_back else "") + graph.texts[move.node] for move in walk]


def test_a_step_that_traces_share_is_one_node_and_paths_cross_there() -> None:
    graph = made(Trace([PLAN, SUM, TIMES, END], True), Trace([OTHER_PLAN, SUM, OTHER_TIMES, END], True))
    assert graph.texts == ["How many?", "20", PLAN, SUM, TIMES, END, OTHER_PLAN, OTHER_TIMES]
    assert graph.times == [0, 2, 1, 2, 1, 2, 1, 1]
    walks = Walks(graph, 0)
    found = {tuple(steps(graph, walks.walk(0, number))) for number in range(walks.num(0))}
    assert found == {(plan, SUM, times, END) for plan in (PLAN, OTHER_PLAN) for times in (TIMES, OTHER_TIMES)}


def test_a_step_without_numbers_is_the_same_only_behind_the_same_step() -> None:
    check = "Let us check this once more."
    graph = made(Trace([SUM, check, TIMES], True), Trace([TIMES, check, END], True))
    assert graph.texts.count(check) == 2
    assert made(Trace([SUM, check, TIMES], True), Trace([SUM, check, END], True)).texts.count(check) == 1


def test_a_step_that_a_right_trace_has_is_told_in_its_words() -> None:
    other_sum = "2 + 3 = 5, surely."
    turned = Trace([], True, wrong=[other_sum, SLIP], back=[BACK, TIMES])
    for wrong in (Trace([other_sum, SLIP], False), turned):
        graph, _ = build("How many?", "20", [wrong, Trace([SUM, TIMES, END], True)], 0.3)
        assert defect(graph) == ""
        assert (SUM in graph.texts, other_sum in graph.texts, SLIP in graph.texts) == (True, False, True)


def test_steps_that_would_close_a_cycle_are_kept_apart() -> None:
    graph, num_apart = build("?", "20", [Trace([SUM, TIMES, END], True), Trace([TIMES, SUM, TIMES, END], True)], 0.8)
    assert (defect(graph), num_apart) == ("", 2)
    round_and_round, num_apart = build("?", "20", [Trace([SUM] * 3, True)], 0.8)
    assert (defect(round_and_round), num_apart, len(round_and_round.texts)) == ("", 2, 5)


def test_who_goes_astray_comes_back_to_where_it_began() -> None:
    graph = made(Trace([PLAN, SUM, TIMES, END], True), Trace([PLAN, SLIP, AFTER_SLIP], False))
    walks = Walks(graph, 2)
    assert [walks.num(b) for b in range(3)] == [1, 1, 0]
    assert steps(graph, walks.walk(1, 0)) == [PLAN, SLIP, AFTER_SLIP, f"BACK {PLAN}", SUM, TIMES, END]


def test_wrong_steps_never_lead_on_to_the_answer_even_when_their_trace_meets_a_right_one_again() -> None:
    graph = made(Trace([PLAN, SUM, TIMES, END], True), Trace([PLAN, SLIP, TIMES, AFTER_SLIP], False))
    walks = Walks(graph, 1)
    plain = [steps(graph, walks.walk(0, n)) for n in range(walks.num(0))]
    assert plain == [[PLAN, SUM, TIMES, END]]
    astray = [steps(graph, walks.walk(1, n)) for n in range(walks.num(1))]
    assert astray == [[PLAN, SUM, TIMES, AFTER_SLIP, f"BACK {TIMES}", END], [PLAN, SLIP, f"BACK {PLAN}", SUM, TIMES, END]]


def test_only_beginning_otherwise_is_not_going_astray() -> None:
    graph = made(Trace([PLAN, SUM, END], True), Trace([OTHER_PLAN, SUM, SLIP], False))
    assert "First of all I add." in graph.texts
    assert Walks(graph, 1).num(1) == 1  # SLIP, behind SUM


def test_a_way_back_is_walked_only_behind_the_wrong_steps_that_it_speaks_of() -> None:
    turned = Trace([PLAN], True, wrong=[SLIP, AFTER_SLIP], back=[BACK, TIMES, END])
    graph = made(turned)
    walks = Walks(graph, 2)
    assert [walks.num(b) for b in range(3)] == [0, 1, 0]
    moves = walks.walk(1, 0)
    assert steps(graph, moves) == [PLAN, SLIP, AFTER_SLIP, f"BACK {PLAN}", BACK, TIMES, END]
    assert [move for move in moves if move.is_back] == [Move(2, is_back=True, is_told=True)]
    again, _ = build("How many?", "20", [turned, turned], 0.8)
    assert len(again.turns) == 1


def test_a_path_that_uses_a_number_from_nowhere_is_known() -> None:
    asked = "Of 2 and 3, how many?"
    whole = Trace(["2 + 3 = 5.", "Half of 2 is 1.", "So 5 - 1 = 4."], True)
    other = Trace(["Half of 2 is 1.", "Half of 3 is 1.5.", "That makes 4."], True)
    graph, _ = build(asked, "4", [whole, other], 0.8)
    assert defect(graph) == ""
    walks = Walks(graph, 0)
    found = [walks.walk(0, number) for number in range(walks.num(0))]
    assert len(found) == 4
    assert {tuple(steps(graph, walk)): is_grounded(graph, walk) for walk in found}[("Half of 2 is 1.", "So 5 - 1 = 4.")] is False
    assert sum(is_grounded(graph, walk) for walk in found) == 3


def test_graphs_survive_their_way_through_metadata() -> None:
    graph = made(Trace([PLAN, SUM, END], True), Trace([PLAN], True, wrong=[SLIP], back=[BACK, END]), Trace([SLIP], False))
    assert Graph.of_metadata(json.loads(json.dumps(graph.as_metadata()))) == graph


@pytest.mark.parametrize(
    ("right", "wrong", "turns", "reason"),
    [
        ({(0, 2), (2, 1)}, set(), [], ""),
        ({(0, 2)}, set(), [], "answer_unreachable"),
        ({(0, 2)}, {(2, 1)}, [], "answer_unreachable"),
        (set(), {(0, 2)}, [Turn(0, (2,), 1)], ""),
        ({(0, 1)}, set(), [], "several_roots"),
        ({(0, 1), (2, 1)}, set(), [], "several_roots"),
        ({(0, 2), (2, 0), (2, 1)}, set(), [], "root_is_no_root"),
        ({(0, 2), (2, 2), (2, 1)}, set(), [], "cyclic"),
        ({(0, 2), (2, 1), (1, 2)}, set(), [], "cyclic"),
        ({(0, 1)}, {(1, 2)}, [], "answer_leads_on"),
        ({(0, 2), (2, 1), (2, 9)}, set(), [], "unknown_node"),
        ({(0, 2), (2, 1)}, set(), [Turn(0, (-1,), 2)], "unknown_node"),
    ],
)
def test_every_defect_has_its_name(right: set, wrong: set, turns: list, reason: str) -> None:  # type: ignore[type-arg]
    assert defect(Graph(["q", "a", "s"], [0] * 3, [set()] * 3, right, wrong, turns)) == reason


def test_nodes_know_their_degrees_and_distances() -> None:
    graph = made(Trace([PLAN, SUM, TIMES, END], True), Trace([SUM, END], True), Trace([PLAN, SLIP], False))
    rows = {row[3]: row for row in node_rows("q1", graph)}
    assert rows[SUM] == ("q1", 3, "right", SUM, 2, 2, 2, 1, 2)
    assert rows[SLIP] == ("q1", 6, "wrong", SLIP, 1, 1, 0, 2, None)
    assert rows["How many?"] == ("q1", 0, "question", "How many?", 0, 0, 2, 0, 3)
    assert rows["20"] == ("q1", 1, "answer", "20", 2, 1, 0, 3, 0)
    assert distances({(0, 2), (2, 1)}, 4, ROOT) == [0, 2, 1, None]


# ------------------------------------------------------------------------------------------- against enumeration


def drawn_graph(rng: random.Random) -> Graph:
    """A graph of a few nodes that has all kinds of edges, and some nodes that only wrong ones lead to."""
    num = rng.randrange(5, 11)
    graph = Graph(["q", "a", *(f"step {n}" for n in range(2, num))])
    order = [ROOT, *range(2, num), ANSWER]
    lost = {node for node in order[1:-1] if rng.random() < 0.4}
    for start, end in combinations(order, 2):  # edges lead to a later place
        kind = rng.choice(["edge", "edge", "wrong", "turn", ""])
        if kind == "turn" and not {start, end} & lost:
            graph.turns.append(Turn(start, tuple(rng.sample(range(2, num), 2)), end))
        elif kind == "edge" and not {start, end} & lost:
            graph.right.add((start, end))
        elif kind and end != ANSWER:
            graph.wrong.add((start, end))
    graph.wrong -= graph.onward()
    return graph


def enumerated(graph: Graph, node: int, left: int) -> Iterator[Walk]:
    """All walks from a node to the answer with exactly so many steps back, straight from what a walk is."""
    if node == ANSWER:
        if not left:
            yield ()
        return
    onward = [end for start, end in graph.right if start == node]
    for end in onward:
        for rest in enumerated(graph, end, left):
            yield (Move(end), *rest)
    if not left:
        return
    for astray in dead_ends(graph, node):
        for end in onward:
            for rest in enumerated(graph, end, left - 1):
                yield (*map(Move, astray), Move(node, is_back=True), Move(end), *rest)
    for turn in graph.turns:
        if turn.start == node:
            for rest in enumerated(graph, turn.to, left - 1):
                yield (*map(Move, turn.wrong), Move(node, is_back=True, is_told=True), Move(turn.to), *rest)


def dead_ends(graph: Graph, node: int) -> Iterator[tuple[int, ...]]:
    on_right = {at for edge in graph.right for at in edge} | {turn.to for turn in graph.turns}
    for start, end in graph.wrong:
        if start == node and end not in on_right:
            further = list(dead_ends(graph, end))
            yield from ((end, *rest) for rest in further or [()])


@pytest.mark.parametrize("seed", range(60))
def test_numbered_walks_are_all_walks_each_once(seed: int) -> None:
    graph = drawn_graph(random.Random(seed))
    walks = Walks(graph, 3)
    for backtracks in range(4):
        expected = [tuple(move for move in walk if move.node != ANSWER) for walk in enumerated(graph, ROOT, backtracks)]
        found = [walks.walk(backtracks, number) for number in range(walks.num(backtracks))]
        assert len(found) == len(set(found))
        assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_the_graphs_of_that_test_are_not_all_alike() -> None:
    numbers = [[Walks(drawn_graph(random.Random(seed)), 3).num(b) for b in range(4)] for seed in range(60)]
    assert sum(any(row) for row in numbers) > 50
    assert sum(row[2] > 1 for row in numbers) > 30


def ladder(rungs: int) -> Graph:
    """Two nodes a rung, each joined to both of the next: 2^rungs plain walks; a dead end at each first node."""
    num = 2 + 3 * rungs
    graph = Graph([f"step {n}" for n in range(num)])
    before = [ROOT]
    for rung in range(rungs):
        one, other, dead = 2 + 3 * rung, 3 + 3 * rung, 4 + 3 * rung
        graph.right |= {(start, end) for start in before for end in (one, other)}
        graph.wrong.add((one, dead))
        before = [one, other]
    graph.right |= {(start, ANSWER) for start in before}
    return graph


def test_more_walks_than_could_ever_be_listed_are_counted_and_drawn() -> None:
    walks = Walks(ladder(300), 2)
    assert walks.num(0) == 2**300
    assert walks.num(1) == 300 * 2**299
    drawn = walks.draw(9, "seed")
    assert [backtracks for backtracks, _ in drawn] == [0, 1, 2] * 3
    assert len({walk for _, walk in drawn}) == 9
    assert drawn == Walks(ladder(300), 2).draw(9, "seed")
    assert drawn != Walks(ladder(300), 2).draw(9, "another seed")


def test_draws_are_as_many_as_there_are_and_each_as_likely_as_another() -> None:
    walks = Walks(ladder(2), 1)  # 4 plain walks, and 4 with a step back
    assert len({walk for _, walk in walks.draw(100, "s")}) == walks.num(0) + walks.num(1) == 8
    assert len(walks.draw(3, "s")) == 3
    times: dict[Walk, int] = {}
    for seed in range(2_000):
        (_, walk), *_ = walks.draw(1, str(seed))
        times[walk] = times.get(walk, 0) + 1
    assert len(times) == 4
    assert all(420 < number < 580 for number in times.values())  # 500 expected, standard deviation 19
    with pytest.raises(ValueError, match="there is no walk 4 with 0 backtracks: there are 4"):
        walks.walk(0, 4)
