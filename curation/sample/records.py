"""Question-answer, chain-of-thought and instruction records, benchmarks and classifier examples.

Every answer comes from `problems`; the dirt that real files have (bytes that are no UTF-8, broken JSON, repeated ids,
empty answers) is put in on purpose and counted. Chains of thought come with recorded tries of solvers (tries.py), long ones with
flaws (thinking.py); which record has which is in tries.jsonl, all of them counted.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from curation.sample.grammar import Grammar
from curation.sample.leaks import Item
from curation.sample.pages import KINDS_OF_PAGES, TOPICS, write_page
from curation.sample.problems import KINDS, Problem, make_problem
from curation.sample.thinking import TOPIC_CODES, flaw_of, flawed, think
from curation.sample.tries import Try, make_attempt, make_tries
from recipes.stage import write_atomically

Row = dict[str, Any]

NUM_DEMO_ITEMS = 200
NUM_OLYMPIAD_ITEMS = 60
SHORT_TRIES, LONG_TRIES = 4, 6  # at each problem
ATTEMPT_EASE = 0.4  # share of the long problems that the weak solver solves
TEXTS = ("problem", "question", "solution", "thinking", "answer")  # of a record, for the tokenizer


def make_benchmarks(out: Path, *, seed: int, grammar: Grammar) -> list[Item]:
    """Writes benchmarks/demo_problems.jsonl and demo_olympiad.jsonl; returns their items."""
    demo = _benchmark_problems("demo", "demo_problems", NUM_DEMO_ITEMS, seed, grammar)
    olympiad = _benchmark_problems("olympiad", "demo_olympiad", NUM_OLYMPIAD_ITEMS, seed, grammar)
    rows = [{"id": key, "question": problem.question, "answer": problem.answer} for key, problem in demo.items()]
    _write_rows(out / "benchmarks" / "demo_problems.jsonl", rows)
    rows = [
        {"id": key, "problem": problem.question, "solution": problem.solution, "answer": problem.answer}
        for key, problem in olympiad.items()
    ]
    _write_rows(out / "benchmarks" / "demo_olympiad.jsonl", rows)
    return [
        Item(f"demo_{name}", key, problem.question, problem.answer)
        for name, problems in (("problems", demo), ("olympiad", olympiad))
        for key, problem in problems.items()
    ]


def make_records(
    out: Path, *, seed: int, num_problems: int, grammar: Grammar
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Writes qa, short_cot, long_cot and instruction; returns for each the counts of rows and dirt, and of what is planted in the
    rows, and all their texts."""
    makers: dict[str, Callable[[int], tuple[Row, Row]]] = {
        "qa": lambda index: (_qa(_problem(f"{seed}:qa:{index}", grammar)), {}),
        "short_cot": lambda index: _short_cot(f"{seed}:short_cot:{index}", grammar),
        "long_cot": lambda index: _long_cot(f"{seed}:long_cot:{index}", index, grammar),
        "instruction": lambda index: (_instruction(f"{seed}:instruction:{index}", grammar), {}),
    }
    counts: dict[str, Any] = {}
    planted: dict[str, Any] = {}
    truths: list[Row] = []
    texts: list[str] = []
    for name, make_row in makers.items():
        total = max(1, num_problems // 3) if name == "long_cot" else num_problems
        made = [make_row(index) for index in range(total)]
        rows = [{"id": f"{name}-{index:06d}", **row} for index, (row, _) in enumerate(made)]
        found = [{"id": row["id"], **truth} for row, (_, truth) in zip(rows, made, strict=True) if truth]
        texts.extend(_texts(rows))
        content, counts[name] = _with_dirt(rows, random.Random(f"{seed}:dirt:{name}"))
        write_atomically(out / name / f"{name}.jsonl", content)
        if found:
            planted[name] = _count_planted(found)
        truths += found
    _write_rows(out / "tries.jsonl", truths)
    return counts, planted, texts


def make_classifier_examples(out: Path, *, seed: int, num_pages: int, taken: set[str], grammar: Grammar) -> dict[str, int]:
    """Writes classifier/examples.jsonl: good mathematics (1) against everything else (0), none of it a text of `taken`."""
    num_each = min(1000, max(150, num_pages // 3))
    rows: list[Row] = []
    for label in (1, 0):
        kinds = {kind: share for kind, (share, _) in KINDS_OF_PAGES.items() if kind.startswith("math_") == bool(label)}
        rng = random.Random(f"{seed}:classifier:{label}")
        seen = set(taken)
        for _ in range(num_each):
            text = ""
            while not text or text in seen:
                kind = rng.choices(list(kinds), list(kinds.values()))[0]
                text = write_page(kind, grammar, random.Random(rng.getrandbits(64))).text
            seen.add(text)
            rows.append({"text": text, "label": label})
    random.Random(f"{seed}:classifier:order").shuffle(rows)
    _write_rows(out / "classifier" / "examples.jsonl", rows)
    return {"good": num_each, "other": num_each}


def _benchmark_problems(wording: str, benchmark: str, total: int, seed: int, grammar: Grammar) -> dict[str, Problem]:
    """Problems in the wording of rules `{wording}.{kind}`, by item id; no question twice."""
    kinds = [kind for kind in KINDS if f"{wording}.{kind}" in grammar.rules]
    rng = random.Random(f"{seed}:benchmark:{benchmark}")
    problems: dict[str, Problem] = {}
    while len(problems) < total:
        kind = kinds[len(problems) % len(kinds)]
        problem = make_problem(kind, rng, grammar, question_rule=f"{wording}.{kind}")
        if all(problem.question != other.question for other in problems.values()):
            problems[f"{benchmark}-{len(problems):04d}"] = problem
    return problems


def _problem(seed: str, grammar: Grammar) -> Problem:
    rng = random.Random(seed)
    return make_problem(rng.choice(list(KINDS)), rng, grammar)


def _qa(problem: Problem) -> Row:
    return {"question": problem.question, "answer": f"{problem.solution} The answer is ${problem.answer}$."}


def _short_cot(seed: str, grammar: Grammar) -> tuple[Row, Row]:
    problem = _problem(seed, grammar)
    tries = make_tries(problem, SHORT_TRIES, random.Random(f"{seed}:tries"), grammar, is_long=False)
    lines = [*problem.steps, f"The answer is $\\boxed{{{problem.answer}}}$."]
    row = {"problem": problem.question, "solution": "\n".join(lines), "answer": problem.answer, "samples": _samples(tries)}
    return row, {"tries": [made.kind for made in tries]}


def _long_cot(seed: str, index: int, grammar: Grammar) -> tuple[Row, Row]:
    problem, flaw = _problem(seed, grammar), flaw_of(index)
    rng = random.Random(f"{seed}:thinking")
    seen = flawed(problem, flaw, rng, grammar)
    thinking = think(seen, flaw, rng, grammar)
    tried = random.Random(f"{seed}:tries")
    tries = make_tries(problem, LONG_TRIES, tried, grammar, is_long=True)
    attempt = make_attempt(problem, ATTEMPT_EASE, tried, grammar)
    row = {
        "problem": seen.question,
        "thinking": thinking,
        "answer": problem.answer,
        "topic": "" if flaw == "no_topic" else TOPIC_CODES[problem.kind],
        "attempt": attempt.text,
        "samples": _samples(tries),
    }
    return row, {"tries": [made.kind for made in tries], "attempt": attempt.kind, "flaw": flaw}


def _samples(tries: list[Try]) -> list[Row]:
    return [made.record() for made in tries]


def _count_planted(truths: list[Row]) -> dict[str, dict[str, int]]:
    """Tries by kind; attempts and flaws where there are any."""
    kinds = {
        "tries": Counter(kind for truth in truths for kind in truth["tries"]),
        "attempts": Counter(truth["attempt"] for truth in truths if "attempt" in truth),
        "flaws": Counter(truth["flaw"] for truth in truths if truth.get("flaw")),
    }
    return {name: dict(sorted(found.items())) for name, found in kinds.items() if found}


def _instruction(seed: str, grammar: Grammar) -> Row:
    """A conversation: mostly about a problem, sometimes with a second turn, now and then about something else."""
    rng = random.Random(seed)
    draw = rng.random()
    if draw < 0.15:
        topic = rng.choice(TOPICS)
        subject = grammar.expand(f"{topic}.phrase", rng)
        sentences = grammar.sample(f"{topic}.define", 2, rng) + grammar.sample(f"{topic}.remark", 2, rng)
        return _messages(grammar.expand("ask.topic", rng, {"topicphrase": subject}), " ".join(sentences))
    if draw < 0.3:
        rule = rng.choice(("blog.line", "recipe.line", "news.line"))
        return _messages(grammar.expand("ask.write", rng), " ".join(grammar.sample(rule, 3, rng)))
    problem = make_problem(rng.choice(list(KINDS)), rng, grammar)
    values = {"question": problem.question, "solution": problem.solution, "answer": problem.answer}
    values |= {"check": problem.check, "slip": problem.slip}
    turns = [grammar.expand("ask.user", rng, values), grammar.expand("ask.assistant", rng, values)]
    if draw < 0.5:
        turns += [grammar.expand("ask.why", rng), grammar.expand("ask.because", rng, values)]
    elif draw < 0.6:
        turns += [grammar.expand("ask.slip", rng, values), grammar.expand("ask.slipreply", rng, values)]
    return _messages(*turns)


def _messages(*turns: str) -> Row:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[index % 2], "content": turn} for index, turn in enumerate(turns)]}


def _texts(rows: list[Row]) -> list[str]:
    texts = []
    for row in rows:
        if "messages" in row:
            texts.append("\n".join(message["content"] for message in row["messages"]))
        else:
            texts.append("\n".join(row[key] for key in row if key in TEXTS))
    return texts


def _with_dirt(rows: list[Row], rng: random.Random) -> tuple[bytes, dict[str, int]]:
    """JSON lines of the rows with dirt among them. Dirty lines come on top of the rows; a repeated id repeats its row."""
    few = max(1, len(rows) // 1000)
    lines = [orjson.dumps(row) for row in rows]
    dirt: dict[str, list[bytes]] = {"invalid_utf8": [], "broken_json": [], "duplicate_ids": [], "empty_answers": []}
    for number in range(few + 1):
        line = orjson.dumps({**rng.choice(rows), "id": f"bytes-{number}"})
        dirt["invalid_utf8"].append(line.replace(b"the", b"th\xff\xfe", 1).replace(b"id", b"i\xe9", 1))
        dirt["broken_json"].append(rng.choice(lines)[:-2])
        dirt["duplicate_ids"].append(rng.choice(lines))
        dirt["empty_answers"].append(orjson.dumps(_emptied({**rng.choice(rows), "id": f"empty-{number}"})))
    for dirty in dirt.values():
        for line in dirty:
            lines.insert(rng.randint(1, len(lines)), line)
    counts = {"rows": len(rows), "lines": len(lines)} | {name: len(dirty) for name, dirty in dirt.items()}
    return b"".join(line + b"\n" for line in lines), counts


def _emptied(row: Row) -> Row:
    """The row without any answer."""
    if "messages" in row:
        return {**row, "messages": [row["messages"][0], {"role": "assistant", "content": ""}]}
    empty: Mapping[str, str] = {key: "" for key in ("answer", "solution", "thinking") if key in row}
    return {**row, **empty}


def _write_rows(path: Path, rows: list[Row]) -> None:
    write_atomically(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
