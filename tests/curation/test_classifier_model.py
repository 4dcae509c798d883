"""The compiled reader answers what fastText answers."""

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest

from curation.classifier import load_model, score
from curation.classifier.model import CompiledModel
from tests.curation.classifier_texts import BAD, GOOD, texts

TRAIN = """
import fasttext, json, sys
training, compression = json.loads(sys.argv[1])
model = fasttext.train_supervised(**training)
if compression is not None:
    model.quantize(**compression)
model.save_model(sys.argv[2])
"""


def trained(folder: Path, lines: list[str] | None = None, compression: dict[str, Any] | None = None, **options: Any) -> Path:
    """By fastText alone, in a fresh process: it does not fill all of its memory."""
    if lines is None:
        rows = [(1, text) for text in texts(GOOD, 60, 1)] + [(0, text) for text in texts(BAD, 60, 2)]
        lines = [f"__label__{label} {text}" for label, text in rows]
    (folder / "lines.txt").write_text("".join(f"{line}\n" for line in lines))
    given = {"dim": 10, "bucket": 5_000, "wordNgrams": 3, "minCount": 1, "epoch": 5, "lr": 0.5, "thread": 1, "verbose": 0}
    arguments = json.dumps([{"input": str(folder / "lines.txt"), **given, **options}, compression])
    environment = {**os.environ, "MALLOC_PERTURB_": "255"}
    subprocess.run([sys.executable, "-c", TRAIN, arguments, str(folder / "model.bin")], check=True, env=environment)
    return folder / "model.bin"


def odd_lines() -> list[str]:
    choose = random.Random(4)
    pool = ["theorem", "shop", "the", "unseen", "é", "𝑥", "中文", "", "x" * 300, "\t", "\x0b", "\xa0", "theoremé"]
    return ["", " ", "the"] + [" ".join(choose.choices(pool, k=choose.randrange(40))) for _ in range(300)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wordNgrams": 1},
        {"wordNgrams": 5, "dim": 16},
        {"minCount": 40, "dim": 33},  # some words and the end of the line are unknown
        {"bucket": 7, "dim": 100},
        {"compression": {"qnorm": True}, "bucket": 600},
        {"compression": {"qnorm": False}, "bucket": 600, "wordNgrams": 2, "dim": 12},
    ],
    ids=str,
)
def test_every_probability_is_fasttexts(tmp_path: Path, options: dict[str, Any]) -> None:
    path = trained(tmp_path, **options)
    ours, theirs = load_model(path), fasttext.load_model(str(path))
    assert isinstance(ours, CompiledModel)
    assert ours.get_labels() == theirs.get_labels()
    lines = odd_lines()
    our_labels, our_values = ours.predict(lines, k=2)
    their_labels, their_values = theirs.predict(lines, k=2)
    for label, value, their_label, their_value in zip(our_labels, our_values, their_labels, their_values, strict=True):
        assert label == list(their_label)
        assert value == pytest.approx(their_value, abs=1e-6)


def test_more_labels_and_the_most_probable_one(tmp_path: Path) -> None:
    lines = [f"__label__{name} {name} word{number}" for number in range(40) for name in ("en", "de", "fr")]
    ours = load_model(trained(tmp_path, lines, epoch=30, lr=1.0, wordNgrams=1))
    found, values = ours.predict(["de", "fr fr", "en"])
    assert found == [["__label__de"], ["__label__fr"], ["__label__en"]]
    assert [len(value) for value in values] == [1, 1, 1]
    with pytest.raises(ValueError, match=r"the classifier has the labels \['__label__de', .*not '__label__1' for good"):
        score(ours, ["x"])


@pytest.mark.parametrize(
    "options",
    [
        {"minn": 2, "maxn": 3},
        {"loss": "hs"},
        {"loss": "ova"},
        {"compression": {"dsub": 4}, "bucket": 600},
        {"compression": {}, "bucket": 600, "dim": 9},
        {"compression": {"cutoff": 400}, "bucket": 600},
    ],
    ids=str,
)
def test_other_kinds_of_models_are_scored_by_fasttext_itself(tmp_path: Path, options: dict[str, Any]) -> None:
    path = trained(tmp_path, **options)
    model = load_model(path)
    assert not isinstance(model, CompiledModel)
    some = [*texts(GOOD, 3, 9), *texts(BAD, 3, 9), " ... "]
    scores = score(model, some)
    assert min(scores[:3]) > max(scores[3:])
    assert scores[-1] == 0.0


def test_scores_do_not_depend_on_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(trained(tmp_path))
    some = [*texts(GOOD, 10, 9), "", *texts(BAD, 10, 9)]
    together = score(model, some)
    assert together == [score(model, [text])[0] for text in some]
    monkeypatch.setattr("curation.classifier.model.BATCH_DOCUMENTS", 4)
    assert score(model, some) == together
    assert score(model, []) == []


def test_a_model_is_mapped_not_copied_and_opened_once(tmp_path: Path) -> None:
    path = trained(tmp_path)
    model = load_model(path)
    assert load_model(path) is model
    assert not model.file.matrix.flags.owndata
    assert not model.file.matrix.flags.writeable
    assert np.array_equal(model.file.matrix, fasttext.load_model(str(path)).get_input_matrix())


def test_a_model_that_was_made_again_is_opened_again(tmp_path: Path) -> None:
    first = load_model(trained(tmp_path))
    assert load_model(trained(tmp_path, dim=12)) is not first


def test_a_missing_model_says_how_to_make_one() -> None:
    with pytest.raises(ValueError, match=r"no fastText model at nowhere/model.bin; make it with a train_classifier stage"):
        load_model(Path("nowhere/model.bin"))


@pytest.mark.parametrize("compression", [None, {"qnorm": True}], ids=["dense", "compressed"])
def test_a_cut_model_is_noticed_wherever_it_is_cut(tmp_path: Path, compression: dict[str, Any] | None) -> None:
    whole = trained(tmp_path, bucket=600, compression=compression).read_bytes()
    for length in (20, 70, 100, 400, len(whole) // 2, len(whole) - 400, len(whole) - 1):
        path = tmp_path / f"{length}.bin"
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"{length}.bin is cut: a part of the fastText model is missing"):
            load_model(path)


@pytest.mark.parametrize("content", [b"", b"no", b"no model at all", struct.pack("<ii", 793712314, 99)])
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"x.bin is not a fastText model: "):
        load_model(tmp_path / "x.bin")
