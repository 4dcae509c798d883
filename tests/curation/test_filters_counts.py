"""The compiled counts against plain Python and regular expressions, on real texts and on random ones full of odd characters."""

import gzip
import json
import random
import re
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document

from curation.filters.batch import Batch
from curation.filters.boilerplate import MAX_LINE_WORDS, BoilerplateFilter
from curation.filters.characters import ASSIGNED, FORMULA_MARK, classes, lower_case
from curation.filters.formulas import FORMULA, formula_characters, one_line_formulas, replace_formulas
from curation.filters.language import MIN_WORDS
from curation.filters.phrases import Phrases
from curation.filters.repetition import RepetitionFilter
from curation.filters.word_lists import read_lists
from curation.filters.words import WordsFilter
from recipes import schema

MARK = chr(FORMULA_MARK)
SIGNS = (
    r"$ $$ \ \( \) \[ \] \$ { } ^ _ | # ... … .. ` ``` \begin{align} \end{align} \begin{align*} \end{align*} \begin{gather} \frac"
)
WORDS = "the of be cat a x_1 1 12 ² ٣ é ß Ж 字 𝑥 cookie ’ ' , - •"
PIECES = [
    *SIGNS.split(" "),
    *WORDS.split(" "),
    *(" ", "\n", "\n \n", "\r\n", "\x0b", "\x1f", "\x85", "\u2028", "\u2003", "\xa0", "- ", "* ", "\x00", "\t", "    ", "\\ "),
    *("The ", "sat ", "\U00020000", "\u0301", "sign in", "Cookie policy", "lorem ipsum", "Don’t", " log in", "privacy policy."),
]


def random_texts(num: int, *, most: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randint(0, most))) for _ in range(num)]


@pytest.fixture(scope="module")
def odd_texts() -> list[str]:
    filled = [
        *(f"${'a' * length}$ ${' ' * length}x^2 $" for length in (499, 500, 501)),
        *(f"$${fill * length}$$" for length in (4999, 5000, 5001) for fill in ("a", r"\a")),
        *(rf"\({'a' * length}\)" for length in (1999, 2000, 2001)),
        *(rf"\begin{{align}}{'a' * length}\end{{align}}" for length in (4999, 5000, 5001)),
    ]
    repeats = [" ".join(random.Random(seed).choices("abcdef", k=60)) for seed in range(300)]
    return ["", " \n ", *random_texts(4000, most=40, seed=1), *random_texts(200, most=400, seed=2), *filled, *repeats]


@pytest.fixture(scope="module")
def real_texts(shared_data: Path) -> list[str]:
    names = ("planetmath_tex", "cp_algorithms_md", "c4_demo", "hott_book_tex")
    files = [shared_data / "text" / f"{name}.jsonl.gz" for name in names]
    return [json.loads(line)["text"][:20_000] for file in files for line in gzip.open(file, "rt") if len(line) > 500][::9]


@pytest.fixture(params=["odd_texts", "real_texts"])
def texts(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.getfixturevalue(request.param)
    return found


def batch(texts: list[str]) -> Batch:
    return Batch([Document(text=text, id=str(number)) for number, text in enumerate(texts)])


# ---------------------------------------------------------------------------------------------------- characters


def test_every_character_is_what_python_says_it_is():
    bits = classes()
    for point in [*range(0x3000), *range(0x3000, ASSIGNED, 97)]:
        char = chr(point)
        expected = (char.isspace(), char.isalnum(), char.isalpha(), char.isdecimal(), len(f"a{char}b".splitlines()) == 2)
        assert tuple(bool(bits[point] & bit) for bit in (1, 2, 4, 8, 16)) == expected, hex(point)
        assert bool(bits[point] & 64) == (char.isalnum() or char == "_"), hex(point)
    assert not any(chr(point).isalnum() or chr(point).isspace() for point in range(ASSIGNED, FORMULA_MARK))


def test_lower_case_is_pythons_wherever_that_is_one_character():
    lower = lower_case()
    different = [chr(point) for point in range(0x20000) if chr(point).lower() != chr(lower[point])]
    assert different == ["İ"]


# ---------------------------------------------------------------------------------------------------- formulas


def test_formulas_are_found_where_the_pattern_finds_them(texts):
    found = batch(texts)
    starts, ends, firsts = found.formulas
    for number, text in enumerate(texts):
        begin, mine = found.characters.offsets[number], slice(firsts[number], firsts[number + 1])
        spans = list(zip((starts[mine] - begin).tolist(), (ends[mine] - begin).tolist(), strict=True))
        assert spans == [match.span() for match in FORMULA.finditer(text)], text
    assert len(starts) > 500


def as_texts(characters: object) -> list[str]:
    whole = np.asarray(characters.points).tobytes().decode("utf-32-le", "surrogatepass")
    return [whole[begin:end] for begin, end in pairwise(characters.offsets.tolist())]


def test_formulas_are_marked_or_made_one_line(texts):
    made = batch(texts)
    assert as_texts(made.plain) == [replace_formulas(text, MARK) for text in texts]
    assert as_texts(made.flat) == [one_line_formulas(text) for text in texts]


# ---------------------------------------------------------------------------------------------------- words and lines


def words_by_hand(text: str) -> dict[str, float]:
    plain = replace_formulas(text)
    pieces = plain.split()
    words = [word for word in (re.sub(r"^[\W_]+|[\W_]+$", "", piece) for piece in pieces) if word]
    lines = [line for line in plain.splitlines() if line.strip()]
    stop_words = read_lists(("stop_words",)).intersection(word.lower() for word in words)
    symbols = re.findall(r"#|\.\.\.|…", plain)
    bullets = [line for line in lines if re.match(r"\s*[•‣◦▪●*–-]\s", line)]
    cut = [line for line in lines if re.search(r"[^\W\d_]\s?(?:\.\.\.|…)$", line.rstrip())]
    return {
        "num_words": len(words),
        "mean_word_length": sum(map(len, words)) / max(len(words), 1),
        "alphabetic_share": sum(any(map(str.isalpha, word)) for word in words) / max(len(words), 1),
        "num_stop_words": len(stop_words),
        "formula_share": formula_characters(text) / max(len("".join(text.split())), 1),
        "symbol_share": len(symbols) / max(len(pieces), 1),
        "bullet_line_share": len(bullets) / max(len(lines), 1),
        "ellipsis_line_share": len(cut) / max(len(lines), 1),
    }


def rows(columns: dict[str, np.ndarray]) -> list[dict[str, float]]:
    names = [name.rpartition(".")[2] for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(values.tolist() for values in columns.values()), strict=True)]


def test_words_are_counted_as_by_hand(texts):
    texts = [text.replace(MARK, "") for text in texts]
    for text, measured in zip(texts, rows(WordsFilter(schema.WordsFilter()).measure(batch(texts))), strict=True):
        assert measured == pytest.approx(words_by_hand(text), abs=1e-4), text


# ---------------------------------------------------------------------------------------------------- repetition


def duplicate_shares(parts: list[str]) -> tuple[float, float]:
    repeats = [part for part, count in Counter(parts).items() for _ in range(count - 1)]
    return len(repeats) / max(len(parts), 1), sum(map(len, repeats)) / max(sum(map(len, parts)), 1)


def ngram_shares(text: str) -> dict[str, float]:
    words: list[tuple[str, int]] = []  # a word and the characters that it counts for
    for number, part in enumerate(re.findall(rf"{MARK}|\w+", replace_formulas(text, MARK))):
        words.append((f"formula {number}", 0) if part == MARK else ("".join(char.lower()[0] for char in part), len(part)))
    measured = {}
    for n in range(2, 11):
        grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
        counts = Counter(grams)
        if n <= 4:
            most = max(counts.values(), default=0)
            longest = max((sum(size for _, size in gram) for gram, count in counts.items() if count == most), default=0)
            measured[f"top_{n}gram"] = most * longest if most >= 3 else 0
            continue
        seen: set[tuple[tuple[str, int], ...]] = set()
        covered: set[int] = set()
        for start, gram in enumerate(grams):
            covered.update(range(start, start + n) if gram in seen else ())
            seen.add(gram)
        measured[f"duplicate_{n}gram"] = sum(words[place][1] for place in covered)
    num_characters = max(len("".join(text.split())), 1)
    return {rule: min(count / num_characters, 1.0) for rule, count in measured.items()}


def repetition_by_hand(text: str) -> dict[str, float]:
    flat = one_line_formulas(text)
    substance = re.compile(r"(?:[^\W_][\W_]*){4}")
    lines = [line.strip() for line in flat.splitlines() if substance.search(line)]
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", flat) if substance.search(part)]
    measured = {}
    measured["duplicate_lines"], measured["duplicate_line_characters"] = duplicate_shares(lines)
    measured["duplicate_paragraphs"], measured["duplicate_paragraph_characters"] = duplicate_shares(paragraphs)
    return measured | ngram_shares(text)


def test_repetition_is_measured_as_by_hand(texts):
    texts = [text.replace(MARK, "")[:4000] for text in texts[::3] + texts[-100:]]
    for text, measured in zip(texts, rows(RepetitionFilter(schema.RepetitionFilter()).measure(batch(texts))), strict=True):
        assert measured == pytest.approx(repetition_by_hand(text), abs=1e-4), text


# ---------------------------------------------------------------------------------------------------- phrases


def test_phrases_are_found_as_by_a_pattern(texts):
    def pattern(name: str) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(read_lists((name,)))))})(?!\w)")

    page, line = pattern("placeholder_phrases"), pattern("boilerplate_phrases")
    step = BoilerplateFilter(schema.BoilerplateFilter())
    for text, measured in zip(texts, rows(step.measure(batch(texts))), strict=True):
        lower = text.lower().replace("’", "'")
        lines = [part for part in lower.splitlines() if part.strip()]
        num_hits = sum(line.search(part) is not None and len(part.split()) <= MAX_LINE_WORDS for part in lines)
        assert measured["boilerplate_share"] == pytest.approx(num_hits / max(len(lines), 1), abs=1e-4), text
        assert measured["has_placeholder"] == (page.search(lower) is not None), text


def test_a_phrase_that_is_the_beginning_of_another_is_found(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("# own, 2026-01\nread\nread more\n© 2024\n")
    phrases = Phrases(page_lists=(), line_lists=(str(own),))
    counts = batch(["Read\nREAD MORE now\nreadmore\n© 2024\n© 20245\nmore"]).phrases(phrases, MAX_LINE_WORDS)
    assert {name: values.tolist() for name, values in counts.items()} == {
        "num_lines": [6],
        "num_phrase_lines": [3],
        "has_page_phrase": [0],
    }


# ---------------------------------------------------------------------------------------------------- prose

CODE = re.compile(r"```[\s\S]*?(?:```|\Z)|`[^`\n]+`|^(?: {4}|\t)[^\n]*$", re.MULTILINE)
NOT_WORDS = re.compile(r"\\[A-Za-z]*|[\d!-&(-,./:-@\[\]^_`{-~]")


def prose_by_hand(text: str) -> str:
    plain = replace_formulas(text, MARK)
    without_code = CODE.sub(" ", plain)
    is_enough = len(without_code.replace(MARK, " ").split()) >= MIN_WORDS
    words = NOT_WORDS.sub(" ", (without_code if is_enough else plain).replace(MARK, " "))
    lower = "".join(chr(lower_case()[ord(char)]) for char in words)
    return " ".join(word for word in dict.fromkeys(lower.split()) if len(word.encode()) > 1)


def test_prose_is_what_patterns_leave_of_a_text(texts):
    texts = [text.replace(MARK, "") for text in texts]
    proses, has_letters = batch(texts).prose(MIN_WORDS)
    assert proses == [prose_by_hand(text) for text in texts]
    assert has_letters.tolist() == [any(map(str.isalpha, prose)) for prose in proses]


# ---------------------------------------------------------------------------------------------------- hostile texts


@pytest.mark.parametrize(
    "filling", ["$a ", r"\( ", "$$ x ", r"\begin{align} ", "\n \n", "ab ", "a", " ", "`", "    x\n", "sign in "]
)
def test_three_megabytes_of_anything_are_counted_in_linear_time(filling):
    made = batch(["x", filling * (3_000_000 // len(filling))])
    started = time.process_time()
    words, repetition = made.words, made.repetition
    made.prose(MIN_WORDS)
    made.phrases(Phrases(page_lists=(), line_lists=("boilerplate_phrases",)), MAX_LINE_WORDS)
    assert time.process_time() - started < 10  # less than a second
    assert words["num_words"].tolist()[0] == 1
    assert len(repetition["num_lines"]) == 2
