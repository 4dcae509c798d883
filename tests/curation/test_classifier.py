import gzip
import hashlib
import random
import subprocess
from pathlib import Path

import pytest
from datatrove.data import Document

from curation.benchmark.classifier import normalize_by_regular_expression
from curation.classifier import load_model, normalize, score, train
from curation.classifier.examples import balanced, read_examples, split
from curation.classifier.text import normalize_all
from curation.filters import FILTERS
from recipes.schema import MathClassifierFilter, TrainClassifierStage
from tests.curation.classifier_texts import BAD, GOOD, texts, write_examples, write_rows


def parameters(**given: object) -> TrainClassifierStage:
    small = {"dim": 16, "buckets": 20_000, "min_count": 1, "epochs": 20, "learning_rate": 0.5, "validation_share": 0.2}
    return TrainClassifierStage.model_validate({"do": "train_classifier", "examples": "", **small, **given})


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_examples(tmp_path_factory.mktemp("examples") / "examples.jsonl")


# ---------------------------------------------------------------------------------------------------- preprocessing


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (r"The $\Frac{1}{2}$ of $\alpha_1$", r"the \frac 1 2 of \alpha 1"),
        ("Lines\nare\r\njoined\u2028here", "lines are joined here"),
        ("over-long: " + "x" * 31 + " " + "y" * 30, "over - long " + "y" * 30),
        (r"\over" + "o" * 25 + " " + r"\over" + "o" * 26, r"\over" + "o" * 25),
        ("don't, “quote” (me)!", "don't quote me"),
        ("'tis o'clock' d''accord", "tis o'clock d accord"),
        ("α ≠ β + 𝑥²", "α ≠ β + x2"),
        ("__label__1 </s>", "label 1 < / s >"),
        ("cut\ud800 surrogates", "cut surrogates"),
        (r"\\ \, \{x\}", "x"),
        (" \n .,; ", ""),
    ],
)
def test_normalization_keeps_commands_and_operators_and_drops_the_rest(text: str, normal: str) -> None:
    assert normalize(text) == normal
    assert normalize(normal) == normal


def test_the_compiled_normalization_is_that_of_the_regular_expression() -> None:
    choose = random.Random(1)
    pool = "aZ09_'’\\{}$ \n\t+-=<>éß𝑥²İςΣŒ中文ा्\u200d\u200b\ud800\x00\x1c\u2028―≠½"
    made = [
        "".join(choose.choice(pool) if choose.random() < 0.8 else chr(choose.randrange(0x110000)) for _ in range(length))
        for length in choose.choices(range(80), k=3_000)
    ]
    assert normalize_all(made).decode() == [normalize_by_regular_expression(text) for text in made]


def test_no_texts_have_no_lines() -> None:
    assert normalize_all([]).decode() == []
    assert normalize_all(["", "a", ""]).decode() == ["", "a", ""]


# ---------------------------------------------------------------------------------------------------- training


def test_the_classifier_separates_and_reports_on_the_held_out_share(examples: Path, tmp_path: Path) -> None:
    report = train(parameters(), [examples], tmp_path, seed=3)
    assert report["counts"] == {"rows": 500, "positive": 200, "negative": 300, "training": 400, "held_out": 100}
    assert report["positive_share"] == 0.4
    assert report["average_precision"] > 0.99
    assert [row["threshold"] for row in report["at_thresholds"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert report["at_thresholds"][4]["f1"] > 0.95
    assert (report["threads"], report["is_reproducible"]) == (1, True)
    good, bad, empty = score(load_model(tmp_path / "model.bin"), [texts(GOOD, 1, 9)[0], texts(BAD, 1, 9)[0], " ... "])
    assert good > 0.9
    assert bad < 0.1
    assert empty == 0.0
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]


def test_the_chosen_threshold_finds_the_target_share_of_the_good_ones(examples: Path, tmp_path: Path) -> None:
    report = train(parameters(target_recall=0.9), [examples], tmp_path, seed=3)
    held_out = split(read_examples(examples).rows, 0.2, seed=3)[1]
    scores = score(load_model(tmp_path / "model.bin"), [text for text, label in held_out if label])
    chosen = report["chosen"]["min_score"]
    assert sum(value >= chosen for value in scores) == 36  # of 40
    assert report["chosen"]["recall"] == 0.9
    assert report["chosen"]["target_recall"] == 0.9
    assert sum(value >= chosen + 0.0002 for value in scores) < 36


def test_sets_from_elsewhere_are_measured_and_never_trained_on(examples: Path, tmp_path: Path) -> None:
    elsewhere = write_examples(tmp_path / "other.jsonl", num_good=10, num_bad=30, seed=77)
    swapped = write_rows(
        tmp_path / "swapped.jsonl",
        [{"text": text, "label": label} for label, words in ((1, BAD), (0, GOOD)) for text in texts(words, 20, 5)],
    )
    others = {"elsewhere": elsewhere, "swapped": swapped}
    report = train(parameters(), [examples], tmp_path / "out", seed=3, out_of_distribution=others)
    assert report["counts"]["training"] == 400
    found = report["out_of_distribution"]
    assert found["elsewhere"]["counts"] == {"rows": 40, "positive": 10, "negative": 30}
    assert found["elsewhere"]["average_precision"] > 0.99
    assert found["swapped"]["average_precision"] < 0.5
    assert found["swapped"]["calibration"]["expected_calibration_error"] > 0.8


def test_texts_from_elsewhere_that_are_examples_too_are_left_out_and_counted(tmp_path: Path) -> None:
    examples = write_examples(tmp_path / "examples.jsonl", num_good=60, num_bad=60)
    own = [line for line in examples.read_text().splitlines() if '"label": 1' in line][:4]
    other = write_examples(tmp_path / "other.jsonl", num_good=5, num_bad=6, seed=77)
    again = own[0].replace('"text": "', '"text": "... ')  # equal when it is normalized
    other.write_text("\n".join([*own, again, other.read_text()]))
    report = train(parameters(), [examples], tmp_path / "out", seed=3, out_of_distribution={"elsewhere": other})
    found = report["out_of_distribution"]["elsewhere"]
    assert found["counts"] == {"rows": 16, "positive": 5, "negative": 6, "also_in_examples": 5}
    assert found["bad_lines"] == {"also_in_examples": [1, 2, 3, 4, 5]}
    with pytest.raises(
        ValueError, match=r"'same' has no text that is not in `examples` too \(.*also_in_examples 120, .*\), so it"
    ):
        train(parameters(), [examples], tmp_path / "none", seed=3, out_of_distribution={"same": examples})


def test_a_set_from_elsewhere_without_good_rows_is_refused(examples: Path, tmp_path: Path) -> None:
    nothing = write_rows(tmp_path / "nothing.jsonl", [{"text": "", "label": 1}])
    with pytest.raises(ValueError, match=r"out_of_distribution 'nothing' has no good row \(.*empty_text in line 1\)"):
        train(parameters(), [examples], tmp_path / "none", seed=3, out_of_distribution={"nothing": nothing})


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(examples: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        train(parameters(), [examples], tmp_path / name, seed=seed)
        digests.append(hashlib.sha256((tmp_path / name / "model.bin").read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_many_threads_train_too_and_the_report_says_that_no_other_run_gives_the_same(examples: Path, tmp_path: Path) -> None:
    report = train(parameters(threads=10), [examples], tmp_path, seed=3)
    assert report["average_precision"] > 0.99
    assert (report["threads"], report["is_reproducible"]) == (10, False)
    with pytest.raises(ValueError, match=r"threads=4: fastText leaves a part of its matrix unset with fewer than 10; set 1"):
        parameters(threads=4)


def test_balance_trains_on_as_many_of_either_label(examples: Path, tmp_path: Path) -> None:
    report = train(parameters(balance=True), [examples], tmp_path, seed=3)
    assert report["counts"]["training"] == 2 * 160
    assert report["counts"]["held_out"] == 100
    rows = [("a", 1), ("b", 0), ("c", 0), ("d", 1), ("e", 0)]
    assert balanced(rows) == [("a", 1), ("b", 0), ("c", 0), ("d", 1)]


def test_a_quantized_model_is_much_smaller_and_scores_nearly_the_same(examples: Path, tmp_path: Path) -> None:
    train(parameters(buckets=4_000), [examples], tmp_path, seed=3)
    report = train(parameters(buckets=4_000, quantize=True), [examples], tmp_path, seed=3)
    assert (tmp_path / "model.ftz").stat().st_size < (tmp_path / "model.bin").stat().st_size / 4
    assert report["average_precision"] > 0.99
    some = texts(GOOD, 20, 9) + texts(BAD, 20, 9)
    dense, compressed = (score(load_model(tmp_path / name), some) for name in ("model.bin", "model.ftz"))
    assert compressed == pytest.approx(dense, abs=0.1)
    assert compressed != dense


def test_small_matrices_train_too_though_fasttext_leaves_their_memory_dirty(examples: Path, tmp_path: Path) -> None:
    assert train(parameters(buckets=100), [examples], tmp_path, seed=3)["average_precision"] > 0.99


@pytest.mark.parametrize(
    ("threads", "num_trainings", "why"), [(1, 1, "threads=1 gives the same every time"), (10, 3, "3 trainings")]
)
def test_a_training_that_diverges_says_so_and_leaves_nothing(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, num_trainings: int, why: str
) -> None:
    trainings, run = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **given: trainings.append(command) or run(command, **given))
    with pytest.raises(ValueError, match=rf"not finite with learning_rate=1e\+30 \({why}\); lower learning_rate"):
        train(parameters(learning_rate=1e30, threads=threads), [examples], tmp_path, seed=0)
    assert len(trainings) == num_trainings
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_words_says_why(examples: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"(?s)fastText could not train with .*minCount=1000000 leaves no words: lower min_count"
    ):
        train(parameters(min_count=1_000_000), [examples], tmp_path, seed=0)


def test_the_filter_writes_the_score_then_decides(examples: Path, tmp_path: Path) -> None:
    train(parameters(), [examples], tmp_path, seed=3)
    step = FILTERS["math_classifier"](MathClassifierFilter(model=str(tmp_path / "model.bin"), min_score=0.5))
    good, bad = (Document(text=texts(words, 1, 9)[0].replace(" ", "\n"), id="d") for words in (GOOD, BAD))
    assert step.filter(good) is True
    assert step.filter(bad) == (False, "low_score")
    assert good.metadata["math_score"] > 0.9
    assert bad.metadata["math_score"] < 0.1


# ---------------------------------------------------------------------------------------------------- examples


def test_bad_rows_are_counted_by_kind(tmp_path: Path) -> None:
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
    file = write_rows(tmp_path / "e.jsonl", [*rows])
    file.write_bytes(file.read_bytes() + b'{"text": "cut\n\n\xff\xfe\n')
    read = read_examples(file)
    assert read.rows == [("good one", 1), ("bad one", 0)]
    assert read.counts == {
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
    assert read.bad_lines["bad_label"] == [7, 8, 9]
    assert read.bad_lines["bad_json"] == [11, 12, 14]  # an empty line is no row, but a line
    assert "bad_text in line 5, 6" in str(read)


def test_examples_may_be_gzipped(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a", "label": true}\n'))
    assert read_examples(tmp_path / "e.jsonl.gz").rows == [("a", 1)]


def test_several_files_are_one_set_and_the_first_of_two_labels_counts(tmp_path: Path) -> None:
    (tmp_path / "round").mkdir()
    seeds = write_rows(tmp_path / "seeds.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": 0}, "broken"])
    grades = write_rows(
        tmp_path / "round" / "e.jsonl", [{"text": "B", "label": 0}, {"text": "a", "label": 0}, {"text": "c", "label": 1}]
    )
    read = read_examples(seeds, grades)
    assert read.rows == [("a", 1), ("b", 0), ("c", 1)]
    assert read.counts == {"rows": 6, "positive": 2, "negative": 1, "bad_json": 1, "duplicate": 1, "contradiction": 1}
    assert read.bad_lines == {
        "bad_json": [f"{tmp_path.name}/seeds.jsonl:3"],
        "duplicate": ["round/e.jsonl:1"],
        "contradiction": ["round/e.jsonl:2"],
    }


def test_a_training_reads_all_of_its_files(tmp_path: Path) -> None:
    good = write_rows(tmp_path / "good.jsonl", [{"text": text, "label": 1} for text in texts(GOOD, 60, 1)])
    bad = write_rows(tmp_path / "bad.jsonl", [{"text": text, "label": 0} for text in texts(BAD, 50, 2)])
    counts = train(parameters(), [good, bad], tmp_path / "out", seed=3)["counts"]
    assert counts == {"rows": 110, "positive": 60, "negative": 50, "training": 88, "held_out": 22}


def test_bad_lines_are_named_where_nothing_is_left_and_on_record_where_something_is(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "bad.jsonl", [{"text": f"text {i}", "label": "good"} for i in range(10)])
    with pytest.raises(ValueError, match=r"no rows with label 1 to train on.*bad_label 10, bad_label in line 1, 2, 3, 4, 5\)"):
        train(parameters(), [file], tmp_path, seed=5)
    good = write_examples(tmp_path / "good.jsonl")
    with pytest.raises(ValueError, match=r"'other' has no good row \(.*bad_label in line 1, 2, 3, 4, 5\)"):
        train(parameters(), [good], tmp_path, seed=5, out_of_distribution={"other": file})
    rows = len(good.read_bytes().splitlines())
    good.write_bytes(good.read_bytes() + b"broken\n")
    assert train(parameters(), [good], tmp_path, seed=5)["bad_lines"] == {"bad_json": [rows + 1]}


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_is_refused(tmp_path: Path, label: int) -> None:
    file = write_rows(tmp_path / "e.jsonl", [{"text": f"text {i}", "label": label} for i in range(10)])
    with pytest.raises(ValueError, match=rf"no rows with label {1 - label} to train on in .*e.jsonl .*needs both label 1"):
        train(parameters(), [file], tmp_path / "out", seed=0)


def test_the_split_keeps_the_balance_and_shares_no_row() -> None:
    rows = [(f"g{i}", 1) for i in range(30)] + [(f"b{i}", 0) for i in range(70)]
    training, held_out = split(rows, 0.1, seed=5)
    assert sorted(training + held_out) == sorted(rows)
    assert sum(label for _, label in held_out) == 3
    assert len(held_out) == 10
    assert split(rows, 0.1, seed=5) == (training, held_out)
    assert split(rows, 0.1, seed=6) != (training, held_out)
