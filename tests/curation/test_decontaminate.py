"""Benchmark items in documents: found however they are written, with evidence; never silently nothing."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from datatrove.data import Document

from curation.book import Book
from curation.decontaminate.math_tokens import find_tokens
from curation.decontaminate.step import Decontaminate
from curation.shards import read_shard
from recipes.schema import DecontaminateStage

DUCKS = (
    "Janet has 16 ducks that lay 3 eggs each per day. She eats four for breakfast and sells the remainder at the market for "
    "$2 per egg. How many dollars does she make every day?"
)
ALGEBRA = r"Let $x$ and $y$ be real numbers with $\dfrac{x^{2}}{4} + y^2 \leq 1{,}000$. Find the largest $\sin(\alpha) xy$."
SHORT = r"Simplify $\sqrt{98} + \sqrt{2} + \frac12$ now."
PLAIN = "Which of the following are true of all green plants"
FILLER = "This page is about something else, namely gardens, and has many words that no benchmark has. " * 5


def records(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def benchmarks(tmp_path: Path) -> dict[str, Path]:
    rows: list[dict[str, object]] = [{"id": "ducks", "question": DUCKS}, {"id": "short", "question": SHORT}]
    rows += [{"question": "Is it?"}, {"question": PLAIN}]
    return {
        "words": records(tmp_path / "words.jsonl", rows),
        "algebra": records(tmp_path / "algebra.jsonl", [{"problem": ALGEBRA, "prompt": "Think. " + ALGEBRA}]),
    }


def step(benchmarks: dict[str, Path], folder: Path, **params: object) -> Decontaminate:
    named = {name: str(path) for name, path in benchmarks.items()}
    stage = DecontaminateStage.model_validate({"do": "decontaminate", "benchmarks": named, **params})
    return Decontaminate(stage, benchmarks, Book(folder))


def run(benchmarks: dict[str, Path], *texts: str, **params: object) -> tuple[list[Document], list[Document]]:
    """(kept, dropped)."""
    folder = Path(tempfile.mkdtemp(dir=next(iter(benchmarks.values())).parent))
    made = step(benchmarks, folder, **params)
    kept = list(made.run(Document(text=text, id=str(i)) for i, text in enumerate(texts)))
    made.book.close()
    dropped = [doc for shard in sorted((folder / "dropped").rglob("*.parquet")) for doc in read_shard(shard)]
    for doc in dropped:
        assert doc.metadata["dropped_because"] == doc.metadata["contamination"]["benchmark"]
    return kept, dropped


def test_a_page_with_an_item_is_dropped_with_the_evidence(benchmarks: dict[str, Path]) -> None:
    kept, dropped = run(benchmarks, FILLER, f"{FILLER}\n{DUCKS}\n{FILLER}")
    assert [doc.id for doc in kept] == ["0"]
    evidence = dropped[0].metadata["contamination"]
    assert (evidence["benchmark"], evidence["item"], evidence["part"]) == ("words", "ducks", "questions")
    assert (evidence["coverage"], evidence["num_items"]) == (1.0, 1)
    assert DUCKS.startswith(evidence["matched"])
    assert len(evidence["matched"]) > len(DUCKS) - 5
    assert evidence["num_tokens"] == len(find_tokens(DUCKS))
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
    near = kept[0].metadata["near_contamination"]
    assert (near["benchmark"], near["item"], near["near_coverage"]) == ("words", "ducks", 1.0)
    assert near["coverage"] < 1.0


def test_a_template_shared_with_an_item_is_not_the_item(tmp_path: Path) -> None:
    item = r"Convert the point $(4, 4, 7)$ to spherical coordinates. Enter your answer in the form $(\rho,\theta,\phi),$ where "
    item += r"$\rho > 0,$ $0 \le \theta < 2 \pi,$ and $0 \le \phi \le \pi.$"
    path = records(tmp_path / "b.jsonl", [{"problem": item}])
    kept, dropped = run({"b": path}, item.replace("(4, 4, 7)", "(2, 6, 9)"), item)
    assert [doc.metadata["near_contamination"]["near_coverage"] for doc in kept] == [1.0]
    assert [doc.id for doc in dropped] == ["1"]


def test_the_words_of_an_item_without_its_numbers_are_another_problem(tmp_path: Path) -> None:
    boats = "What is the smallest number of boats that carry all the children of the village across the river at noon"
    market = "At the market of Odense a farmer sells {} baskets of ripe yellow pears and then {} jars of sweet dark honey while "
    market += "her neighbour brings {} wheels of old goat cheese; which sum do {} friends divide after the long day?"
    items = [f"{boats} if 48 of them swim and 7 stay?", market.format(31, 57, 12, 5)]
    path = records(tmp_path / "b.jsonl", [{"problem": item} for item in items])
    others = [f"{boats} when every boat holds 5?", market.format("several", "some", "heavy", "all")]
    kept, dropped = run({"b": path}, *others, *items)
    assert [doc.id for doc in kept] == ["0", "1"]
    assert all("near_contamination" in doc.metadata for doc in kept)
    assert [doc.id for doc in dropped] == ["2", "3"]


def test_half_a_solution_is_the_solution_and_its_form_with_other_numbers_is_not(tmp_path: Path) -> None:
    plot = "The left bed of the plot is {} steps long and the right bed is {} steps long, so that a gardener who waters both of "
    plot += "them twice every evening, walking slowly with a heavy can, goes {} steps before supper. "
    rest = "On market days he skips {} of them, on feast days {} more, and when it rains {} or {} are left for the next morning."
    path = records(tmp_path / "b.jsonl", [{"problem": "How far does he go?", "solution": (plot + rest).format(*range(21, 28))}])
    half, form = plot.format(21, 22, 23), plot.replace("{} steps", "many steps") + rest.format(4, 5, 6, 7)
    kept, dropped = run({"b": path}, half, form)
    assert [doc.id for doc in kept] == ["1"]
    assert [doc.id for doc in dropped] == ["0"]


def test_instructions_that_many_items_share_are_no_contamination(tmp_path: Path) -> None:
    format_words = "Express your answer as a common fraction in lowest terms, without any decimal point or percent sign at all."
    subjects = ["red cats", "blue dogs", "old horses", "grey mice", "new goats", "fat cows"]
    stories = [
        f"A farmer weighs {i + 2} {subject} on a scale and then {i + 5} more of them" for i, subject in enumerate(subjects)
    ]
    rows = [{"problem": f"{story}. How heavy are they together? {format_words}"} for story in stories]
    path = records(tmp_path / "b.jsonl", rows)
    kept, dropped = run({"b": path}, f"{FILLER} What is the chance of rain? {format_words}", str(rows[3]["problem"]))
    assert [doc.id for doc in kept] == ["0"]
    assert "near_contamination" not in kept[0].metadata
    assert dropped[0].metadata["contamination"]["item"] == "line 4"


def test_short_items_are_matched_whole_or_counted(benchmarks: dict[str, Path], tmp_path: Path) -> None:
    kept, dropped = run(benchmarks, f"{FILLER} {SHORT} {FILLER}", f"{FILLER} {PLAIN}? Is it?", f"{FILLER} {SHORT[:-5]}")
    assert [doc.metadata["contamination"]["item"] for doc in dropped] == ["short"]
    assert [doc.id for doc in kept] == ["1", "2"]
    described = step({"words": benchmarks["words"]}, tmp_path).describe()
    counts = {"items": 4, "questions": 2, "with_options": 0, "with_answer": 0, "solutions": 0}
    counts |= {"too_short": 2, "repetitive": 0}
    assert described == {"benchmarks": {"words": counts}, "ngram": 8, "ngrams": described["ngrams"]}
    assert described["ngrams"] > len(find_tokens(DUCKS)) - 7


def test_a_short_question_is_looked_for_with_its_options_or_its_answer(tmp_path: Path) -> None:
    options = ["They have leaves", "They have stems", "They live forever"]
    rows = [
        {"id": 1, "question": PLAIN, "options": options},
        {"id": 2, "question": "What is 12 + 30", "answer": "The sum is 42."},
    ]
    path = records(tmp_path / "b.jsonl", rows)
    texts = (f"{FILLER} {PLAIN}? A. They have leaves B. They have stems C. They live forever", f"{FILLER} {PLAIN}. {FILLER}")
    kept, dropped = run({"b": path}, *texts, f"{FILLER} What is 12 + 30? The sum is 42.", f"{FILLER} The sum is 42.")
    assert [(doc.id, doc.metadata["contamination"]["part"]) for doc in dropped] == [("0", "with_options"), ("2", "with_answer")]
    assert [doc.id for doc in kept] == ["1", "3"]
    with pytest.raises(ValueError, match=r"all 2 items of .* are too short"):
        run({"b": path}, *texts, parts=[])


def test_a_long_solution_contaminates_alone_and_a_short_answer_never(tmp_path: Path) -> None:
    solution = "First multiply the 16 ducks by the 3 eggs that each of them lays, which makes 48 eggs a day. " * 2 + DUCKS[::-1]
    rows = [{"question": DUCKS, "answer": "88"}, {"question": ALGEBRA, "solution": solution}]
    path = records(tmp_path / "b.jsonl", rows)
    kept, dropped = run({"b": path}, f"{FILLER} 88 {FILLER}", f"{FILLER} {solution}")
    assert [doc.id for doc in kept] == ["0"]
    assert dropped[0].metadata["contamination"]["part"] == "solutions"
    assert len(run({"b": path}, f"{FILLER} {solution}", parts=["options"])[0]) == 1


@pytest.mark.parametrize("swapped", [("ducks", "geese"), ("breakfast", "lunch"), ("market", "shop")])
def test_an_item_with_a_word_changed_in_every_sentence_is_found(benchmarks: dict[str, Path], swapped: tuple[str, str]) -> None:
    text = DUCKS.replace(*swapped).replace("sells", "trades").replace("dollars", "euros")
    assert [doc.id for doc in run(benchmarks, f"{FILLER} {text} {FILLER}")[1]] == ["0"]


def test_an_item_with_every_fifth_word_changed_is_found_and_cut_out_as_a_whole(benchmarks: dict[str, Path]) -> None:
    words = DUCKS.split(" ")
    words[4::5] = [word if any(map(str.isdigit, word)) else "purple" for word in words[4::5]]
    edited = " ".join(words)
    kept, dropped = run(benchmarks, f"{FILLER}{edited} {FILLER}")
    assert not kept
    assert dropped[0].metadata["contamination"]["item"] == "ducks"
    assert edited.startswith(dropped[0].metadata["contamination"]["matched"][:-1])
    kept, _ = run(benchmarks, f"{FILLER}{edited} {FILLER}", on_hit="mask")
    assert not {"Janet", "ducks", "eggs", "market"} & set(kept[0].text.split())
    assert kept[0].text.count(FILLER.strip()) == 2
    assert run(benchmarks, kept[0].text)[1] == []


def test_a_version_with_other_numbers_signs_and_sizes_is_near(tmp_path: Path) -> None:
    def question(first: str, second: str) -> str:
        vectors = [rf"$\begin{{pmatrix}} {vector} \end{{pmatrix}}$" for vector in (first, second)]
        return f"Compute the scalar triple projection of {vectors[0]} onto the plane that is orthogonal to {vectors[1]}."

    path = records(tmp_path / "b.jsonl", [{"problem": question(r"2 \\ 7 \\ -1", r"1 \\ 4 \\ 4")}])
    other = question(r"-3 \\ 12", r"9 \\ -8 \\ 0 \\ 5")
    kept, dropped = run({"b": path}, f"{FILLER} {other} {FILLER}", f"{FILLER} Compute the projection of the plane. {FILLER}")
    assert not dropped
    near = kept[0].metadata["near_contamination"]
    assert (near["coverage"], near["in_order"]) == (0.0, 1.0)
    assert near["matched"].startswith("Compute the scalar")
    assert "near_contamination" not in kept[1].metadata


def test_a_quoted_short_item_is_found(benchmarks: dict[str, Path]) -> None:
    quoted = "\n> ".join(["", *SHORT.split(" ")])
    assert [doc.id for doc in run(benchmarks, f"{FILLER}{quoted}\n\n{FILLER}")[1]] == ["0"]


def test_an_item_in_two_places_or_with_its_sentences_in_another_order_is_found(benchmarks: dict[str, Path]) -> None:
    sentences = DUCKS.split(". ")
    half = DUCKS.split(" ")
    texts = (". ".join(reversed(sentences)), " ".join(half[:18]) + FILLER + " ".join(half[18:]))
    assert [doc.id for doc in run(benchmarks, *(FILLER + text for text in texts))[1]] == ["0", "1"]


def test_half_an_item_is_reported_or_removed_as_the_page_says(benchmarks: dict[str, Path]) -> None:
    part = FILLER + " ".join(DUCKS.split()[:16])
    kept, dropped = run(benchmarks, part)
    assert (len(kept), len(dropped)) == (1, 0)
    assert kept[0].metadata["near_contamination"]["item"] == "ducks"
    assert [len(docs) for docs in run(benchmarks, part, min_coverage=0.3)] == [0, 1]
    tiny = " ".join(DUCKS.split()[:9])
    assert "near_contamination" not in run(benchmarks, tiny)[0][0].metadata


def test_masking_cuts_the_items_out_and_keeps_the_rest_with_the_span_on_record(benchmarks: dict[str, Path]) -> None:
    before, after = "Über Gärten – ein Text. ", " Ende der Seite."
    text = f"{before}{FILLER}{DUCKS}{FILLER}{ALGEBRA}{after}"
    kept, dropped = run(benchmarks, text, DUCKS, on_hit="mask")
    masked = kept[0]
    assert masked.text.startswith(before + FILLER.rstrip())
    assert masked.text.endswith(after)
    assert "ducks" not in masked.text
    assert "real numbers" not in masked.text
    cuts = masked.metadata["masked_contamination"]
    assert {cut["item"] for cut in cuts} == {"ducks", "line 1"}
    assert all(cut["end"] - cut["start"] == len(cut["matched"]) for cut in cuts)
    first = next(cut for cut in cuts if cut["item"] == "ducks")
    assert DUCKS.startswith(first["matched"])
    assert [doc.id for doc in dropped] == ["1"]  # nothing would be left of it
    assert run(benchmarks, masked.text)[1] == []


def test_the_words_found_are_shown_as_they_stand_in_the_page(tmp_path: Path) -> None:
    item = "芳芳买了一本书有99页，看了90页，她还剩多少页没有看完呢"
    path = records(tmp_path / "b.jsonl", [{"question": item}, {"question": ALGEBRA}])
    written = ALGEBRA.replace("x^{2}", "x²").replace(r"\leq", "≤").replace(r"\alpha", "α")
    _, dropped = run({"b": path}, f"［注］ﬁrst {item}。", f"Ein Würfel – é. {written} Ende.")
    assert dropped[0].metadata["contamination"]["matched"] == item
    assert written.startswith(dropped[1].metadata["contamination"]["matched"])
    assert "α" in dropped[1].metadata["contamination"]["matched"]


def test_what_is_found_does_not_depend_on_the_documents_around(benchmarks: dict[str, Path], tmp_path: Path) -> None:
    detector = step(benchmarks, tmp_path).detector
    texts = [FILLER, DUCKS, "", FILLER + ALGEBRA + DUCKS[:90], DUCKS.replace("16", "17"), "x", FILLER + SHORT]
    assert detector.find(texts) == [detector.find([text])[0] for text in texts]
    assert [len(findings) for findings in detector.find(texts)] == [0, 1, 0, 2, 1, 0, 1]
    assert detector.find(["", ""]) == [[], []]


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
        ('["a", "list"]', "line 1 is no object but a list"),
        ('{"question": "Why?"}', "all 1 items of .* are too short"),
        ('{"question": "' + "0 1 " * 30 + '"}', "all n-grams of its items repeat one or two tokens"),
    ],
)
def test_a_benchmark_that_would_find_nothing_is_an_error(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "b.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        run({"b": path}, "text")
    assert "benchmark 'b'" in str(caught.value)
    assert str(path) in str(caught.value) or "repeat" in message
