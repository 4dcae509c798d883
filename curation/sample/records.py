"""Question-answer, chain-of-thought and instruction records, benchmarks and classifier examples.

Every answer comes from `problems`; the dirt that real files have (bytes that are no UTF-8, broken JSON, repeated ids,
empty answers) is put in on purpose and counted.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from curation.sample.grammar import Grammar
from curation.sample.leaks import Item
from curation.sample.pages import KINDS_OF_PAGES, TOPICS, write_page
from curation.sample.problems import KINDS, Problem, make_problem
from recipes.stage import write_atomically

Row = dict[str, Any]

NUM_DEMO_ITEMS = 200
NUM_OLYMPIAD_ITEMS = 60


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


def make_records(out: Path, *, seed: int, num_problems: int, grammar: Grammar) -> tuple[dict[str, Any], list[str]]:
    """Writes qa, short_cot, long_cot and instruction; returns counts of rows and dirt for each, and all their texts."""
    rows_of: dict[str, Callable[[int], Row]] = {
        "qa": lambda index: _qa(_problem(f"{seed}:qa:{index}", grammar)),
        "short_cot": lambda index: _short_cot(_problem(f"{seed}:short_cot:{index}", grammar)),
        "long_cot": lambda index: _long_cot(f"{seed}:long_cot:{index}", grammar),
        "instruction": lambda index: _instruction(f"{seed}:instruction:{index}", grammar),
    }
    counts: dict[str, Any] = {}
    texts: list[str] = []
    for name, make_row in rows_of.items():
        total = max(1, num_problems // 3) if name == "long_cot" else num_problems
        rows = [{"id": f"{name}-{index:06d}", **make_row(index)} for index in range(total)]
        texts.extend(_texts(rows))
        content, counts[name] = _with_dirt(rows, random.Random(f"{seed}:dirt:{name}"))
        write_atomically(out / name / f"{name}.jsonl", content)
    return counts, texts


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


def _short_cot(problem: Problem) -> Row:
    lines = [*problem.steps, f"The answer is $\\boxed{{{problem.answer}}}$."]
    return {"problem": problem.question, "solution": "\n".join(lines), "answer": problem.answer}


def _long_cot(seed: str, grammar: Grammar) -> Row:
    """A problem with reasoning that takes a wrong turn, notices it, solves, checks and repeats the solution."""
    problem = _problem(seed, grammar)
    rng = random.Random(f"{seed}:thinking")

    def say(rule: str) -> str:
        return grammar.expand(f"think.{rule}", rng, {"question": problem.question, "answer": problem.answer})

    paragraphs = [
        f"{say('open')} {say('restate')}",
        say("plan"),
        f"{say('try')} {problem.slip}",
        f"{say('wait')} {say('restart')}",
    ]
    for number, step in enumerate(problem.steps):
        lead = f"{say('step')} " if number else ""
        paragraphs.append(f"{lead}{step} {say('because')}")
    paragraphs += [f"{say('check')} {problem.check}", say("doubt")]
    if rng.random() < 0.6:
        paragraphs.append(f"{say('again')} {problem.solution}")
    if rng.random() < 0.4:
        paragraphs.append(f"{say('wait')} {say('doubt')} {problem.check}")
    return {"problem": problem.question, "thinking": "\n\n".join([*paragraphs, say("close")]), "answer": problem.answer}


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
            texts.append("\n".join(str(value) for key, value in row.items() if key != "id"))
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
