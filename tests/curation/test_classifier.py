import gzip
import hashlib
import json
import random
from pathlib import Path

import pytest
from datatrove.data import Document

from curation.classifier import average_precision, load_model, measure, normalize, read_examples, score, split, train
from curation.filters import FILTERS
from recipes.schema import MathClassifierFilter, TrainClassifierStage

GOOD = [
    "theorem",
    "proof",
    "lemma",
    "integral",
    "matrix",
    r"$\frac{a}{b}$",
    r"$\sum_{k} x^k$",
    "prime",
    "continuous",
    "therefore",
]
BAD = ["shop", "cheap", "discount", "cookies", "login", "weather", "football", "recipe", "price", "cart"]
COMMON = ["the", "of", "and", "we", "to", "is", "in", "that", "for", "a", "with", "this"]


def texts(words: list[str], num: int, seed: int) -> list[str]:
    choose = random.Random(seed)
    return [" ".join(choose.choices(words, k=8) + choose.choices(COMMON, k=12)) for _ in range(num)]


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def params() -> TrainClassifierStage:
    return TrainClassifierStage(
        do="train_classifier",
        examples="",
        dim=16,
        buckets=20_000,
        min_count=1,
        epochs=20,
        learning_rate=0.5,
        validation_share=0.2,
    )


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Path:
    rows: list[object] = [{"text": text, "label": 1} for text in texts(GOOD, 200, 1)]
    rows += [{"text": text, "label": 0} for text in texts(BAD, 300, 2)]
    return write(tmp_path_factory.mktemp("examples") / "examples.jsonl", rows)


# ---------------------------------------------------------------------------------------------------- preprocessing


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (r"The $\Frac{1}{2}$ of $\alpha_1$", r"the \frac 1 2 of \alpha 1"),
        ("Lines\nare\r\njoined\u2028here", "lines are joined here"),
        ("over-long: " + "x" * 31 + " " + "y" * 30, "over - long " + "y" * 30),
        ("don't, “quote” (me)!", "don't quote me"),
        ("α ≠ β + 𝑥²", "α ≠ β + x2"),
        ("__label__1 </s>", "label 1 < / s >"),
        (" \n .,; ", ""),
    ],
)
def test_normalization_keeps_commands_and_operators_and_drops_the_rest(text, normal):
    assert normalize(text) == normal
    assert normalize(normal) == normal


# ---------------------------------------------------------------------------------------------------- training


def test_the_classifier_separates_and_reports_on_the_held_out_share(params, examples, tmp_path):
    report = train(params, examples, tmp_path, seed=3)
    assert report["counts"] == {"rows": 500, "positive": 200, "negative": 300, "training": 400, "held_out": 100}
    assert report["positive_share"] == 0.4
    assert report["average_precision"] > 0.99
    assert [row["threshold"] for row in report["at_thresholds"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert report["at_thresholds"][4]["f1"] > 0.95
    good, bad, empty = score(load_model(tmp_path / "model.bin"), [texts(GOOD, 1, 9)[0], texts(BAD, 1, 9)[0], " ... "])
    assert good > 0.9
    assert bad < 0.1
    assert empty == 0.0
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(params, examples, tmp_path):
    digests = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        train(params, examples, tmp_path / name, seed=seed)
        digests.append(hashlib.sha256((tmp_path / name / "model.bin").read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_small_matrices_train_too_though_fasttext_leaves_their_memory_dirty(params, examples, tmp_path):
    small = params.model_copy(update={"buckets": 100})
    assert train(small, examples, tmp_path, seed=3)["average_precision"] > 0.99


def test_a_training_that_diverges_says_so_and_leaves_nothing(params, examples, tmp_path):
    wild = params.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ValueError, match=r"not finite after 3 trainings with learning_rate=1e\+30; lower learning_rate"):
        train(wild, examples, tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_words_says_why(params, examples, tmp_path):
    rare = params.model_copy(update={"min_count": 1_000_000})
    with pytest.raises(
        ValueError, match=r"(?s)fastText could not train with .*minCount=1000000 leaves no words: lower min_count"
    ):
        train(rare, examples, tmp_path, seed=0)


def test_the_filter_writes_the_score_then_decides(params, examples, tmp_path):
    train(params, examples, tmp_path, seed=3)
    step = FILTERS["math_classifier"](MathClassifierFilter(model=str(tmp_path / "model.bin"), min_score=0.5))
    good, bad = (Document(text=texts(words, 1, 9)[0].replace(" ", "\n"), id="d") for words in (GOOD, BAD))
    assert step.filter(good) is True
    assert step.filter(bad) == (False, "low_score")
    assert good.metadata["math_score"] > 0.9
    assert bad.metadata["math_score"] < 0.1


def test_a_missing_model_says_how_to_make_one():
    step = FILTERS["math_classifier"](MathClassifierFilter(model="nowhere/model.bin"))
    with pytest.raises(ValueError, match=r"no fastText model at nowhere/model.bin; make it with a train_classifier stage"):
        step.filter(Document(text="x", id="d"))


# ---------------------------------------------------------------------------------------------------- examples


def test_bad_rows_are_counted_by_kind(tmp_path):
    rows = [
        {"text": "good one", "label": 1},
        {"text": "bad one", "label": 0},
        {"text": "Good  ONE", "label": 1},
        {"text": "good one", "label": 0},
        {"label": 1},
        {"text": 5, "label": 1},
        {"text": "no label"},
        {"text": "x", "label": 2},
        {"text": "x", "label": "1"},
        {"text": "...", "label": 1},
        ["a list"],
    ]
    file = write(tmp_path / "e.jsonl", rows)
    file.write_bytes(file.read_bytes() + b'{"text": "cut\n\n\xff\xfe\n')
    read, counts = read_examples(file)
    assert read == [("good one", 1), ("bad one", 0)]
    assert counts == {
        "rows": 13,
        "positive": 1,
        "negative": 1,
        "duplicate": 1,
        "contradiction": 1,
        "bad_text": 2,
        "bad_label": 3,
        "empty_text": 1,
        "bad_json": 3,
    }


def test_examples_may_be_gzipped(tmp_path):
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a", "label": true}\n'))
    assert read_examples(tmp_path / "e.jsonl.gz")[0] == [("a", 1)]


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_is_refused(params, tmp_path, label):
    file = write(tmp_path / "e.jsonl", [{"text": f"text {i}", "label": label} for i in range(10)])
    with pytest.raises(ValueError, match=rf"no rows with label {1 - label} to train on in .*e.jsonl .*needs both label 1"):
        train(params, file, tmp_path / "out", seed=0)


def test_the_split_keeps_the_balance_and_shares_no_row():
    rows = [(f"g{i}", 1) for i in range(30)] + [(f"b{i}", 0) for i in range(70)]
    training, held_out = split(rows, 0.1, seed=5)
    assert sorted(training + held_out) == sorted(rows)
    assert sum(label for _, label in held_out) == 3
    assert len(held_out) == 10
    assert split(rows, 0.1, seed=5) == (training, held_out)
    assert split(rows, 0.1, seed=6) != (training, held_out)


# ---------------------------------------------------------------------------------------------------- metrics


def test_metrics_agree_with_a_count_by_hand():
    labels, scores = [1, 1, 0, 1, 0], [0.95, 0.8, 0.7, 0.35, 0.05]
    metrics = measure(labels, scores)
    at = {row["threshold"]: row for row in metrics["at_thresholds"]}
    assert at[0.5] == {"threshold": 0.5, "precision": 0.6667, "recall": 0.6667, "f1": 0.6667}
    assert at[0.9] == {"threshold": 0.9, "precision": 1.0, "recall": 0.3333, "f1": 0.5}
    assert metrics["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3, abs=1e-6)


def test_equal_scores_come_together_in_average_precision():
    assert average_precision([1, 0, 0, 0], [0.5] * 4) == 0.25
    assert average_precision([0, 0, 0, 1], [0.5] * 4) == 0.25


def test_without_held_out_rows_there_are_no_metrics():
    assert measure([], []) == {"at_thresholds": [], "average_precision": None}
