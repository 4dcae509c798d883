"""Benchmark items in documents: found however they are written, with evidence; never silently nothing."""

import copy
import gzip
import json
import re
from pathlib import Path

import pytest
import zstandard
from datatrove.data import Document

from curation.benchmarks import read_items
from curation.decontaminate import Decontaminate
from curation.math_tokens import TokenHashes, find_tokens, normalise, without_numbers
from recipes.schema import DecontaminateStage

DUCKS = (
    "Janet has 16 ducks that lay 3 eggs each per day. She eats four for breakfast and sells the remainder at the market for "
    "$2 per egg. How many dollars does she make every day?"
)
ALGEBRA = r"Let $x$ and $y$ be real numbers with $\dfrac{x^{2}}{4} + y^2 \leq 1{,}000$. Find the largest $\sin(\alpha) xy$."
SHORT = r"Simplify $\sqrt{98} + \sqrt{2}$ now."
FILLER = "This page is about something else, namely gardens, and has many words that no benchmark has. " * 5


def records(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def benchmarks(tmp_path: Path) -> dict[str, Path]:
    rows: list[dict[str, object]] = [{"id": "ducks", "question": DUCKS}, {"id": "short", "question": SHORT}]
    rows += [{"question": "Is it?"}, {"question": "Which of the following are true"}]
    return {
        "words": records(tmp_path / "words.jsonl", rows),
        "algebra": records(tmp_path / "algebra.jsonl", [{"problem": ALGEBRA, "prompt": "Think. " + ALGEBRA}]),
    }


def run(benchmarks: dict[str, Path], *texts: str, **params: object) -> tuple[list[Document], list[Document]]:
    """(kept, dropped)."""
    named = {name: str(path) for name, path in benchmarks.items()}
    dropped = []

    def drop(doc: Document, reason: str, detail: str) -> None:
        assert reason == "contaminated"
        assert detail == doc.metadata["contamination"]["benchmark"]
        dropped.append(doc)

    stage = DecontaminateStage.model_validate({"do": "decontaminate", "benchmarks": named, **params})
    step = copy.deepcopy(Decontaminate(stage, benchmarks, drop))  # as executors do
    kept = list(step.run(Document(text=text, id=str(i)) for i, text in enumerate(texts)))
    return kept, dropped


def test_a_page_with_an_item_is_dropped_with_the_evidence(benchmarks: dict[str, Path]) -> None:
    kept, dropped = run(benchmarks, FILLER, f"{FILLER}\n{DUCKS}\n{FILLER}")
    assert [doc.id for doc in kept] == ["0"]
    evidence = dropped[0].metadata["contamination"]
    assert (evidence["benchmark"], evidence["item"], evidence["coverage"]) == ("words", "ducks", 1.0)
    assert DUCKS.startswith(evidence["matched"])
    assert len(evidence["matched"]) > len(DUCKS) - 5
    assert evidence["num_ngrams"] > 15
    assert "contamination" not in kept[0].metadata


@pytest.mark.parametrize(
    "text",
    [
        ALGEBRA,
        re.sub(r"(?<![\\\w])\w+", lambda match: match[0].upper(), ALGEBRA),
        ALGEBRA.replace(r"\dfrac", r"\frac").replace(r"\leq", r"\le").replace("$", "").replace("{,}", ","),
        ALGEBRA.replace("x^{2}", "x²").replace(r"\leq", "≤").replace(r"\alpha", "α").replace(" ", " \n  "),
        ALGEBRA.replace(r"(\alpha)", r"\left( \alpha \right)").replace("$x$", r"\(x\)").replace("y^2", r"\mathrm{y}^{2}"),
        "> " + ALGEBRA.replace("Let", "**Let**").replace("real", "re\u00adal"),
    ],
)
def test_an_item_written_in_another_way_is_found(benchmarks: dict[str, Path], text: str) -> None:
    kept, dropped = run(benchmarks, f"{FILLER} {text} {FILLER}")
    assert not kept
    assert dropped[0].metadata["contamination"]["item"] == "line 1"
    assert dropped[0].metadata["contamination"]["coverage"] == 1.0


def test_the_same_problem_with_other_numbers_is_kept_and_marked(benchmarks: dict[str, Path]) -> None:
    kept, dropped = run(benchmarks, FILLER + DUCKS.replace("16", "21").replace("3 eggs", "7 eggs").replace("$2", "$5"))
    assert not dropped
    assert kept[0].metadata["near_contamination"] == {"benchmark": "words", "item": "ducks", "coverage": 1.0}


def test_a_template_shared_with_an_item_is_not_the_item(tmp_path: Path) -> None:
    item = r"Convert the point $(4, 4, 7)$ to spherical coordinates. Enter your answer in the form $(\rho,\theta,\phi),$ where "
    item += r"$\rho > 0,$ $0 \le \theta < 2 \pi,$ and $0 \le \phi \le \pi.$"
    path = records(tmp_path / "b.jsonl", [{"problem": item}])
    kept, dropped = run({"b": path}, item.replace("(4, 4, 7)", "(2, 6, 9)"), item)
    assert [doc.metadata["near_contamination"]["coverage"] for doc in kept] == [1.0]
    assert [doc.id for doc in dropped] == ["1"]


def test_instructions_that_many_items_share_are_no_contamination(tmp_path: Path) -> None:
    format_words = "Express your answer as a common fraction in lowest terms, without any decimal point or percent sign at all."
    subjects = ["red cats", "blue dogs", "old horses", "grey mice", "new goats", "fat cows"]
    rows = [{"problem": f"How heavy are {i + 2} {subject} together? {format_words}"} for i, subject in enumerate(subjects)]
    path = records(tmp_path / "b.jsonl", rows)
    kept, dropped = run({"b": path}, f"{FILLER} What is the chance of rain? {format_words}", str(rows[3]["problem"]))
    assert [doc.id for doc in kept] == ["0"]
    assert dropped[0].metadata["contamination"]["item"] == "line 4"


def test_short_items_are_matched_whole_or_counted(benchmarks: dict[str, Path]) -> None:
    kept, dropped = run(benchmarks, f"{FILLER} {SHORT} {FILLER}", f"{FILLER} Which of the following are true? Is it?")
    assert [doc.metadata["contamination"]["item"] for doc in dropped] == ["short"]
    assert [doc.id for doc in kept] == ["1"]
    stage = DecontaminateStage(do="decontaminate", benchmarks={"words": ""})
    step = Decontaminate(stage, {"words": benchmarks["words"]}, lambda *_: None)
    counts = {"items": 4, "indexed": 2, "indexed_whole": 1, "unmatched_too_short": 1, "unmatched_plain_words": 1}
    assert step.describe()["benchmarks"] == {"words": counts}
    assert step.describe()["ngrams"] == 1 + len(find_tokens(DUCKS)) - 9


def test_less_than_the_wanted_coverage_is_kept(benchmarks: dict[str, Path]) -> None:
    half = " ".join(DUCKS.split()[:20])
    assert [len(docs) for docs in run(benchmarks, half)] == [1, 0]
    assert [len(docs) for docs in run(benchmarks, half, min_coverage=0.2)] == [0, 1]


def test_gzip_zstd_and_the_keys_of_real_benchmarks_are_read(tmp_path: Path) -> None:
    rows = [
        {"Body": "There are 87 oranges.", "Question": "How many are left?", "ID": "chal-7"},
        {"input": "Joan found 70 shells.", "target": float("nan"), "idx": 3},
        {"problem": "P", "question": "Q", "solution": "S"},
        {"prompt": "Write.", "question": None},
    ]
    content = "".join(json.dumps(row) + "\n\n" for row in rows).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(content))
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        items = [(item.name, item.text) for item in read_items("a", tmp_path / name)]
        assert items == [
            ("chal-7", "There are 87 oranges. How many are left?"),
            ("3", "Joan found 70 shells."),
            ("line 5", "Q"),
            ("line 7", "Write."),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file .*nothing can be decontaminated"),
        ("\n", "is empty; nothing can be decontaminated"),
        (
            '{"question": "What is 1 + 1?"}\n{"answer": 3, "id": 1}\n',
            r"line 2 has no question: keys \['answer', 'id'\], wanted one of",
        ),
        ('{"question": "What is', "line 1 is not JSON"),
        ('["a", "list"]', r"line 1 has no question: keys \[\]"),
        ('{"question": "Why?"}', "all 1 items of .* are too short"),
    ],
)
def test_a_benchmark_that_would_find_nothing_is_an_error(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "b.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        run({"b": path}, "text")
    assert "benchmark 'b'" in str(caught.value)
    assert str(path) in str(caught.value)


def test_tokens_join_spellings_but_keep_meanings_apart() -> None:
    def tokens(text: str) -> list[str]:
        return [token for token, _, _ in find_tokens(normalise(text))]

    assert tokens(r"$x^{2}+\dfrac12 \leq 1{,}000$, \sin\left(\alpha\right)") == tokens("x² + \\frac{1}{2} ≤ 1,000; sin(α)")
    assert tokens(r"\begin{align*} a &= b \\ \end{align*}") == ["a", "=", "b"]
    assert tokens("求 x 的值") == ["求", "x", "的", "值"]
    assert tokens("１２ 𝑥 10²") == ["12", "x", "10", "2"]
    assert tokens("See [asy] draw((0,0)--(1,1)); [/asy] the figure") == ["see", "the", "figure"]
    assert tokens("α ≠ β") != tokens("α = β")
    assert tokens(r"\Delta") != tokens(r"\delta")
    hashes = TokenHashes()
    assert (without_numbers(hashes.of("1 + 22 cats")) == without_numbers(hashes.of("7 + 3.5 cats"))).all()
    assert (hashes.of("1 + 22 cats") != hashes.of("7 + 3.5 cats")).sum() == 2
    for text in (ALGEBRA, DUCKS, "a \\, b \\"):
        assert len(hashes.of(text)) == len(tokens(text))


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_real_items_in_real_pages_are_found_and_clean_pages_are_kept(shared_data: Path) -> None:
    names = ("gsm8k_test", "math500", "olympiadbench_oe_en", "minerva_ocw", "mmlu_stem", "cmath")
    paths = {name: shared_data / "benchmarks" / f"{name}.jsonl.gz" for name in names}
    pages = [row["text"] for row in read(shared_data / "text" / "planetmath_tex.jsonl.gz")[:300]]
    pages += [row["text"] for row in read(shared_data / "text" / "c4_demo.jsonl.gz")]
    kept, dropped = run(paths, *pages)
    assert dropped == []
    assert len(kept) == 600
    items = [row["problem"] for row in read(paths["math500"])]
    planted = [page + "\n" + re.sub(r"\s+", " ", item).replace("$", "") for page, item in zip(pages, items, strict=False)]
    long_enough = [len(find_tokens(normalise(item))) >= 10 for item in items]
    found = {doc.id for doc in run(paths, *planted)[1]}
    missed = [items[i] for i in range(len(planted)) if long_enough[i] and str(i) not in found]
    assert missed == []


def test_leaks_that_people_confirmed_are_found_and_clean_items_are_not_dropped(tmp_path: Path, shared_data: Path) -> None:
    peer = shared_data / "peer-tests"
    pairs = read(peer / "contamination_human_clex.jsonl.gz")
    path = records(tmp_path / "b.jsonl", [{"problem": pair["math500_problem"]} for pair in pairs])
    kept, dropped = run({"b": path}, *[pair["train_problem"] for pair in pairs])
    same = [pair for pair in pairs if pair["math500_problem"].split() == pair["train_problem"].split()]
    assert len(dropped) >= len(same) > 0
    clean = [row["problem"] for row in read(peer / "contamination_clean_math500.jsonl.gz")]
    benchmark = {"gsm8k_test": shared_data / "benchmarks" / "gsm8k_test.jsonl.gz"}
    assert run(benchmark, *clean)[1] == []
    assert len(kept) + len(dropped) == len(pairs)
