"""The mathematics classifier: supervised fastText, trained, measured and applied on one shared preprocessing.

Training is bit-reproducible: one thread, in a fresh process of zeroed memory. fastText fills only `threads`/10 of its
input matrix and leaves the rest of the memory as it finds it (`DenseMatrix::uniform`), hence "Encountered NaN": from the
second training of a process on, and always where the matrix is small. So glibc is asked to zero every new block.
The model costs (words + buckets) * dim * 4 bytes on disk and in memory: 512 MB with the schema's defaults.
"""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from recipes.schema import TrainClassifierStage

MODEL = "model.bin"
POSITIVE, NEGATIVE = "__label__1", "__label__0"
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MAX_WORD_CHARS = 30  # longer "words" are URLs, hashes and glued text
MAX_ATTEMPTS = 3
DIVERGED = 3  # exit status of a training whose weights are not finite

# LaTeX commands and operators are words: MegaMath's preprocessing deletes both. Punctuation and delimiters go.
TOKEN = re.compile(r"\\[a-z]+|[^\W_]+(?:['’][^\W_]+)*|[^\w\s!\"#$%&'(),.:;?@\[\]\\`{}~‘’“”–—…•·«»\u200b\ufeff\ufffd]")


def normalize(text: str) -> str:
    """One line of lower-case words for fastText, in training and in prediction: LaTeX commands and operators as words,
    over-long words, punctuation and line breaks dropped (OctoThinker, appendix: decisive for recall)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # the letters of formulas copied from PDFs
    return " ".join(word for word in TOKEN.findall(text.lower()) if len(word) <= MAX_WORD_CHARS)


def load_model(path: Path) -> Any:
    """A fastText model, loaded once a process."""
    if not path.is_file():
        raise ValueError(f"no fastText model at {path}; make it with a train_classifier stage, or correct the path")
    status = path.stat()
    return _load(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(path: str, _mtime: int, _size: int) -> Any:
    import fasttext

    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise ValueError(f"{path} is not a fastText model: {error}") from error


def score(model: Any, texts: Sequence[str]) -> list[float]:
    """The positive label's probability for each raw text; 0 for a text without words."""
    if POSITIVE not in model.get_labels():
        raise ValueError(f"the classifier has the labels {sorted(model.get_labels())[:5]}, not {POSITIVE!r} for good documents")
    lines = [normalize(text) for text in texts]
    # every label is asked for: the positive one is not always the most probable
    labels, probabilities = model.predict(lines, k=len(model.get_labels()))
    scores = []
    for line, names, values in zip(lines, labels, probabilities, strict=True):
        probability = float(values[list(names).index(POSITIVE)]) if line and POSITIVE in names else 0.0
        scores.append(min(probability, 1.0))  # float32 softmax: 1.00001
    return scores


def train(stage_params: TrainClassifierStage, examples: Path, out: Path, *, seed: int) -> dict[str, Any]:
    """Trains on `examples` (jsonl, may be .gz), writes out/model.bin atomically and returns counts and the metrics on the
    held-out share. Same rows, parameters and seed: same bytes. ValueError when a label has no rows."""
    rows, counts = read_examples(examples)
    training, held_out = split(rows, stage_params.validation_share, seed=seed)
    for label in (1, 0):
        if not any(row_label == label for _, row_label in training):
            raise ValueError(
                f"no rows with label {label} to train on in {examples} (validation_share={stage_params.validation_share}, "
                f"counts {counts}); a classifier needs both label 1 (good) and label 0 (bad)"
            )
    out.mkdir(parents=True, exist_ok=True)
    _fit(stage_params, training, out / MODEL, seed=seed)
    scores = score(load_model(out / MODEL), [text for text, _ in held_out])
    return {
        "counts": counts | {"training": len(training), "held_out": len(held_out)},
        "positive_share": round(sum(label for _, label in rows) / len(rows), 4),
        **measure([label for _, label in held_out], scores),
    }


def read_examples(path: Path) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """(normalized text, label) of the good rows, equal texts once, and counts of all rows. Bad rows are counted by kind."""
    counts: Counter[str] = Counter(rows=0, positive=0, negative=0)
    labels: dict[str, int] = {}
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        for line in file:
            if not line.strip():
                continue
            counts["rows"] += 1
            text, label, problem = _read_row(line)
            if problem is None and text in labels:
                problem = "duplicate" if labels[text] == label else "contradiction"
            if problem is not None:
                counts[problem] += 1
                continue
            labels[text] = label
            counts["positive" if label else "negative"] += 1
    return list(labels.items()), dict(counts)


def _read_row(line: bytes) -> tuple[str, int, str | None]:
    """Normalized text, label, and what is wrong with the row."""
    try:
        row = json.loads(line)
    except ValueError:  # UnicodeDecodeError is one
        return "", 0, "bad_json"
    if not isinstance(row, dict):
        return "", 0, "bad_json"
    if not isinstance(row.get("text"), str):
        return "", 0, "bad_text"
    if not isinstance(row.get("label"), int) or row["label"] not in (0, 1):
        return "", 0, "bad_label"
    text = normalize(row["text"])
    return text, int(row["label"]), None if text else "empty_text"


def split(
    rows: list[tuple[str, int]], held_out_share: float, *, seed: int
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Training and held-out rows, both shuffled, with the same share of each label."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    training, held_out = [], []
    for wanted in (1, 0):
        of_label = [row for row in shuffled if row[1] == wanted]
        num_held_out = round(len(of_label) * held_out_share)
        held_out += of_label[:num_held_out]
        training += of_label[num_held_out:]
    return random.Random(seed).sample(training, len(training)), held_out


def measure(labels: Sequence[int], scores: Sequence[float]) -> dict[str, Any]:
    """Precision, recall and F1 of `score >= threshold` at THRESHOLDS, and average precision; without rows, none."""
    at_thresholds = []
    for threshold in THRESHOLDS if labels else ():
        found = [label for label, value in zip(labels, scores, strict=True) if value >= threshold]
        precision = sum(found) / len(found) if found else 0.0
        recall = sum(found) / sum(labels) if sum(labels) else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        at_thresholds.append(
            {"threshold": threshold, "precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}
        )
    return {"at_thresholds": at_thresholds, "average_precision": average_precision(labels, scores)}


def average_precision(labels: Sequence[int], scores: Sequence[float]) -> float | None:
    """The mean precision at each step of recall (scikit-learn's definition); rows of equal score come together. None
    without a positive row."""
    if not sum(labels):
        return None
    by_score: dict[float, list[int]] = {}
    for label, value in zip(labels, scores, strict=True):
        by_score.setdefault(value, []).append(label)
    num_seen = num_found = 0
    total = 0.0
    for value in sorted(by_score, reverse=True):
        num_seen += len(by_score[value])
        num_found += sum(by_score[value])
        total += sum(by_score[value]) * num_found / num_seen
    return round(total / sum(labels), 6)


def _fit(stage_params: TrainClassifierStage, rows: list[tuple[str, int]], model: Path, *, seed: int) -> None:
    """Trains in a fresh process and puts the model in place when its weights are finite."""
    lines = model.with_name(f".{model.name}.{os.getpid()}.txt.tmp")
    temporary = model.with_name(f".{model.name}.{os.getpid()}.tmp")
    options = {
        "dim": stage_params.dim,
        "lr": stage_params.learning_rate,
        "wordNgrams": stage_params.word_ngrams,
        "minCount": stage_params.min_count,
        "epoch": stage_params.epochs,
        "bucket": stage_params.buckets,
        "seed": seed,
    }
    lines.write_text("".join(f"{POSITIVE if label else NEGATIVE} {text}\n" for text, label in rows), encoding="utf-8")
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    # MALLOC_PERTURB_: glibc fills new blocks with the complement of this byte, that is with zeros
    environment = os.environ | {"PYTHONPATH": path, "MALLOC_PERTURB_": "255"}
    command = [sys.executable, "-P", "-m", "curation.classifier", str(lines), str(temporary), json.dumps(options)]
    try:
        for _ in range(MAX_ATTEMPTS):
            answer = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
            if answer.returncode == 0:
                os.replace(temporary, model)
                return
            if answer.returncode != DIVERGED:
                raise ValueError(f"fastText could not train with {options}: {answer.stderr.strip()[-400:]}")
        raise ValueError(
            f"the classifier's weights were not finite after {MAX_ATTEMPTS} trainings with learning_rate="
            f"{stage_params.learning_rate}; lower learning_rate"
        )
    finally:
        lines.unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)


def _fit_here(lines: str, model_file: str, options: dict[str, Any]) -> int:
    """The body of the fresh process: 0, or DIVERGED."""
    import fasttext
    import numpy as np

    try:
        model = fasttext.train_supervised(lines, thread=1, verbose=0, loss="softmax", **options)
    except RuntimeError as error:
        if "NaN" in str(error):
            return DIVERGED
        raise
    if set(model.get_words()) <= {"</s>"}:
        raise RuntimeError(f"minCount={options['minCount']} leaves no words: lower min_count, or give more examples")
    if not (np.isfinite(model.get_output_matrix()).all() and np.isfinite(model.get_input_matrix()).all()):
        return DIVERGED
    model.save_model(model_file)
    return 0


if __name__ == "__main__":
    sys.exit(_fit_here(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
