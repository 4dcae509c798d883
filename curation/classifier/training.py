"""Training: examples in, a model and what it is worth out.

The default is bit-reproducible: one thread, in a fresh process of zeroed memory. fastText fills only `threads`/10 of its
input matrix and leaves the rest of the memory as it finds it (`DenseMatrix::uniform`), hence "Encountered NaN": from the
second training of a process on, and always where the matrix is small. So glibc is asked to zero every new block. With ten
threads or more fastText fills it all, but no two trainings give the same model: threads write into one another's rows.
The model costs (words + buckets) * dim * 4 bytes: 2 GB with the schema's defaults; quantized about an eighth of it. Examples
are held in memory: about 8 GB for two million pages.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.classifier.examples import Examples, Row, balanced, read_examples, split
from curation.classifier.metrics import measure, threshold_for_recall
from curation.classifier.model import NEGATIVE, POSITIVE, load_model, score
from recipes.schema import TrainClassifierStage

MAX_ATTEMPTS = 3
DIVERGED = 3  # exit status of a training whose weights are not finite


def train(
    params: TrainClassifierStage,
    examples: Sequence[Path],
    out: Path,
    *,
    seed: int,
    out_of_distribution: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Trains on `examples` (jsonl, may be .gz), writes the model into `out` atomically and returns counts and metrics: on the
    held-out share, and on each out-of-distribution file, without the texts that are examples too. Same rows, parameters and seed:
    same bytes, unless there are many threads. ValueError when a label has no rows."""
    read = read_examples(*examples)
    training, held_out = split(read.rows, params.validation_share, seed=seed)
    for label in (1, 0):
        if not any(row_label == label for _, row_label in training):
            raise ValueError(
                f"no rows with label {label} to train on in {', '.join(map(str, examples))} "
                f"(validation_share={params.validation_share}; {read}); a classifier needs both label 1 (good) and label 0 (bad)"
            )
    others = _read_others(out_of_distribution or {}, {text for text, _ in read.rows})
    training = balanced(training) if params.balance else training
    out.mkdir(parents=True, exist_ok=True)
    path = out / params.file_name
    _fit(params, training, path, seed=seed)
    model, labels = load_model(path), [label for _, label in held_out]
    scores = score(model, [text for text, _ in held_out])
    return {
        "counts": read.counts | {"training": len(training), "held_out": len(held_out)},
        **_bad_lines(read),
        "positive_share": round(sum(label for _, label in read.rows) / len(read.rows), 4),
        "threads": params.threads,
        "is_reproducible": params.threads == 1,
        **measure(labels, scores),
        "chosen": threshold_for_recall(labels, scores, params.target_recall),
        "out_of_distribution": {name: _measure_other(model, other) for name, other in others.items()},
    }


def _read_others(files: Mapping[str, Path], texts: set[str]) -> dict[str, Examples]:
    others = {name: read_examples(path, without=texts) for name, path in files.items()}
    for name, other in others.items():
        if other.rows:
            continue
        if other.counts.get("also_in_examples"):
            raise ValueError(
                f"out_of_distribution {name!r} has no text that is not in `examples` too ({other}), so it would tell nothing of "
                "other texts; name a file from elsewhere, or leave it out"
            )
        raise ValueError(f"out_of_distribution {name!r} has no good row ({other}); correct the file, or leave it out")
    return others


def _measure_other(model: Any, other: Examples) -> dict[str, Any]:
    labels, scores = [label for _, label in other.rows], score(model, [text for text, _ in other.rows])
    return {"counts": other.counts, **_bad_lines(other), **measure(labels, scores)}


def _bad_lines(examples: Examples) -> dict[str, Any]:
    return {"bad_lines": examples.bad_lines} if examples.bad_lines else {}


def _fit(params: TrainClassifierStage, rows: list[Row], model: Path, *, seed: int) -> None:
    """Trains in a fresh process and puts the model in place when its weights are finite."""
    lines = model.with_name(f".{model.name}.{os.getpid()}.txt.tmp")
    temporary = model.with_name(f".{model.name}.{os.getpid()}.tmp")
    options = {
        "dim": params.dim,
        "lr": params.learning_rate,
        "wordNgrams": params.word_ngrams,
        "minCount": params.min_count,
        "epoch": params.epochs,
        "bucket": params.buckets,
        "thread": params.threads,
        "seed": seed,
    }
    with open(lines, "w", encoding="utf-8") as file:
        file.writelines(f"{POSITIVE if label else NEGATIVE} {text}\n" for text, label in rows)
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    # MALLOC_PERTURB_: glibc fills new blocks with the complement of this byte, that is with zeros
    environment = os.environ | {"PYTHONPATH": path, "MALLOC_PERTURB_": "255"}
    arguments = [str(lines), str(temporary), json.dumps(options), *(["quantize"] if params.quantize else [])]
    command = [sys.executable, "-P", "-m", "curation.classifier.fit", *arguments]
    attempts = 1 if params.threads == 1 else MAX_ATTEMPTS  # one thread gives the same bytes again
    try:
        for _ in range(attempts):
            answer = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
            if answer.returncode == 0:
                os.replace(temporary, model)
                return
            if answer.returncode != DIVERGED:
                raise ValueError(f"fastText could not train with {options}: {answer.stderr.strip()[-400:]}")
        raise ValueError(
            f"the classifier's weights were not finite with learning_rate={params.learning_rate} "
            f"({'threads=1 gives the same every time' if attempts == 1 else f'{attempts} trainings'}); lower learning_rate"
        )
    finally:
        lines.unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)
