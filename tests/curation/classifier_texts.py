"""Texts of two kinds that a small classifier tells apart."""

import json
import random
from pathlib import Path

GOOD = ["theorem", "proof", "lemma", "integral", "matrix", r"$\frac{a}{b}$", r"$\sum_{k} x^k$", "prime", "therefore"]
BAD = ["shop", "cheap", "discount", "cookies", "login", "weather", "football", "recipe", "price", "cart"]
BETWEEN = ["the", "of", "and", "we", "to", "is", "in", "that", "for", "a", "with", "this"]


def texts(words: list[str], num: int, seed: int) -> list[str]:
    choose = random.Random(seed)
    return [" ".join(choose.choices(words, k=8) + choose.choices(BETWEEN, k=12)) for _ in range(num)]


def write_rows(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_examples(path: Path, *, num_good: int = 200, num_bad: int = 300, seed: int = 1) -> Path:
    rows: list[object] = [{"text": text, "label": 1} for text in texts(GOOD, num_good, seed)]
    rows += [{"text": text, "label": 0} for text in texts(BAD, num_bad, seed + 1)]
    return write_rows(path, rows)
