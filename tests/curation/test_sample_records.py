"""Problems of the sample have the answers that it says, records the dirt that it counts, the model the size that is asked for."""

import json
import random
import re
from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb, gcd, prod

import pytest

from curation.sample.grammar import load_grammar
from curation.sample.problems import KINDS, fraction_text, make_problem
from tests.curation.sample_files import MODEL, read_lines

SOLVE = {  # answers by other means than the sample's own: brute force, or another formula
    "linear": lambda v: next(x for x in range(10_000) if v["a"] * x + v["b"] == v["c"]),
    "quadratic": lambda v: sum(x * x * (2 if 2 * x == v["s"] else 1) for x in range(100) if x * x - v["s"] * x + v["p"] == 0),
    "gcd": lambda v: max(d for d in range(1, v["b"] + 1) if v["a"] % d == 0 and v["b"] % d == 0),
    "modpow": lambda v: v["a"] ** v["e"] % v["m"],
    "series": lambda v: sum(v["a"] + i * v["d"] for i in range(v["n"])),
    "choose": lambda v: comb(v["n"], v["k"]),
    "letters": lambda v: _arrangements(tuple(sorted(Counter(v["word"]).values()))),
    "derivative": lambda v: 3 * v["c3"] * v["p"] ** 2 + 2 * v["c2"] * v["p"] + v["c1"],
    "integral": lambda v: _simpson(lambda x: 3 * v["a"] * x * x + 2 * v["c"] * x + v["d"], v["b"]),
    "determinant": lambda v: v["a"] * v["d"] - v["b"] * v["c"],
    "dice": lambda v: Fraction(sum(i + j == v["s"] for i, j in product(range(1, 7), repeat=2)), 36),
    "area": lambda v: _shoelace([(v[f"x{i}"], v[f"y{i}"]) for i in (1, 2, 3)]),
    "ladder": lambda v: next(b for b in range(1, 10_000) if v["a"] ** 2 + b * b == v["c"] ** 2),
    "shopping": lambda v: v["paid"] - sum([v["p"]] * v["n"] + [v["q"]] * v["m"]),
    "journey": lambda v: sum([v["v1"]] * v["t1"] + [v["v2"]] * v["t2"]),
    "discount": lambda v: Fraction(v["p"] * (100 - v["r"]), 100),
    "divisors": lambda v: sum(v["n"] % d == 0 for d in range(1, v["n"] + 1)),
    "crt": lambda v: next(x for x in range(1, 10_000) if x % v["m"] == v["a"] and x % v["n"] == v["b"]),
    "expectation": lambda v: Fraction(sum([v["a"]] * v["i"] + [v["b"]] * (v["k"] - v["i"])), v["k"]),
    "geometric": lambda v: sum(v["a"] * v["q"] ** i for i in range(v["n"])),
    "system": lambda v: next(x for x in range(v["s"] + 1) if v["a"] * x + v["b"] * (v["s"] - x) == v["c"]),
    "mean": lambda v: v["n"] * v["m"] - v["t"],
    "work": lambda v: 1 / (Fraction(1, v["a"]) + Fraction(1, v["b"])),
}  # fmt: skip


def _arrangements(counts):
    return prod(comb(sum(counts[: i + 1]), count) for i, count in enumerate(counts))


def _simpson(f, b):
    return Fraction(b, 6) * (f(0) + 4 * f(Fraction(b, 2)) + f(b))


def _shoelace(points):
    return Fraction(abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True))), 2)


@pytest.mark.parametrize("kind", list(KINDS))
def test_answers_agree_with_another_way_to_find_them(kind):
    rng, grammar = random.Random(f"answers:{kind}"), load_grammar()
    for _ in range(60):
        problem = make_problem(kind, rng, grammar)
        assert problem.answer == fraction_text(Fraction(SOLVE[kind](problem.values)))
        assert problem.answer in problem.steps[-1]


def test_numbers_of_a_problem_stand_in_its_question():
    rng, grammar = random.Random(5), load_grammar()
    for _ in range(50):
        problem = make_problem("gcd", rng, grammar)
        a, b = map(int, re.findall(r"\d+", problem.question)[:2])
        assert int(problem.answer) == gcd(a, b)


def test_long_reasoning_doubts_itself_and_ends_at_the_answer(sample):
    out, counts = sample
    rows = clean_rows(out / "long_cot" / "long_cot.jsonl", "thinking")
    assert len(rows) == counts["records"]["long_cot"]["rows"] == 20
    wrong = {truth["id"] for truth in read_lines(out / "tries.jsonl") if truth.get("flaw") == "wrong"}
    for row in (row for row in rows if row["id"] not in wrong):
        assert "Wait, " in row["thinking"]
        assert row["thinking"].rsplit("\n\n", 1)[1].endswith(f"${row['answer']}$.")
        assert len(row["thinking"].split()) > 100


def clean_rows(path, field):
    """Rows that can be read, with an answer, each id once."""
    rows = {}
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except (UnicodeDecodeError, json.JSONDecodeError):
            continue
        if row[field]:
            rows[row["id"]] = row
    return list(rows.values())


@pytest.mark.parametrize("name", ["qa", "short_cot", "long_cot", "instruction"])
def test_dirt_is_as_counted(sample, name):
    out, counts = sample
    found = Counter()
    ids = set()
    for line in (out / name / f"{name}.jsonl").read_bytes().splitlines():
        found["lines"] += 1
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError:
            found["invalid_utf8"] += 1
            continue
        except json.JSONDecodeError:
            found["broken_json"] += 1
            continue
        answer = row["messages"][-1]["content"] if name == "instruction" else row["answer"]
        found["rows" if answer and row["id"] not in ids else "duplicate_ids" if answer else "empty_answers"] += 1
        ids.add(row["id"])
    assert dict(found) == counts["records"][name]


def test_transformers_loads_the_tokenizer_with_exactly_the_wanted_size(sample):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(sample[0] / "tokenizer")
    assert len(tokenizer) == 700
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|begin_of_text|>", "<|end_of_text|>")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1)
    text = "Let $x^{2} + 1 = 0$.\n\nStraße, 数学 и 12345"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_loads_the_model_as_asked_for(sample, tmp_path, tied):
    import torch
    from transformers import AutoModelForCausalLM

    from curation.sample.base_model import make_base_model

    asked = {**MODEL, "tie_embeddings": tied, "head_dim": 16}
    size = make_base_model(tmp_path, sample[0] / "tokenizer", seed=1, model=asked)
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert sum(weight.numel() for weight in model.parameters()) == size
    config = model.config
    assert (config.num_key_value_heads, config.head_dim, config.tie_word_embeddings) == (2, 16, tied)
    assert config.rope_parameters["rope_type"] == "llama3"
    assert config.rope_parameters["factor"] == 4.0
    assert model.model.embed_tokens.weight.dtype == torch.float32
    assert model.model.embed_tokens.weight.std().item() == pytest.approx(0.02, rel=0.02)
    loss = model(torch.arange(64)[None], labels=torch.arange(64)[None]).loss.item()
    assert loss == pytest.approx(6.55, abs=0.1)  # ln(700): nothing is known yet
