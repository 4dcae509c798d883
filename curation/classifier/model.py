"""A trained fastText model, opened for scoring.

`CompiledModel` maps the matrix inside the model file into memory: all workers of a machine share one copy, and opening a model of
2 GB takes no time. It answers what fastText answers, to 1e-7 (its rows are added in the same order), and about twice as fast:
what takes time is waiting for rows of the matrix, and it asks for them before it needs them. It reads softmax models of whole
words, compressed ones too; others (letter n-grams, hierarchical softmax) are opened with fastText itself.
"""

import mmap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.classifier.lines import Lines, join
from curation.classifier.model_file import CutFile, ModelFile, read_model_file
from curation.classifier.text import normalize_all

POSITIVE, NEGATIVE = "__label__1", "__label__0"
BATCH_DOCUMENTS = 4_000


class CompiledModel:
    def __init__(self, file: ModelFile):
        from curation.classifier.model_kernel import number_words

        self.file = file
        num_slots = 1 << max(4, (2 * len(file.words.starts)).bit_length())
        self.slot_hash, self.slot_word = np.zeros(num_slots, np.uint32), np.full(num_slots, -1, np.int32)
        number_words(file.words.data, file.words.starts, file.words.stops, self.slot_hash, self.slot_word)

    def get_labels(self) -> list[str]:
        return list(self.file.labels)

    def predict(self, lines: Sequence[str], k: int = 1) -> tuple[list[list[str]], list[npt.NDArray[np.float32]]]:
        """As fastText's own: the k most probable labels of each line, the most probable first."""
        found = self.probabilities(join([line.encode("utf-8", "ignore") for line in lines]))
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        return [[self.file.labels[i] for i in row] for row in order], list(np.take_along_axis(found, order, axis=1))

    def probabilities(self, lines: Lines) -> npt.NDArray[np.float32]:
        """(lines, labels). A line without any known word or n-gram gets zeros: fastText answers nothing there."""
        from curation.classifier.model_kernel import predict

        file, found = self.file, np.zeros((len(lines), len(self.file.labels)), np.float32)
        words = (file.words.data, file.words.starts, file.words.stops, self.slot_hash, self.slot_word)
        matrices = (file.matrix, file.compressed, file.output)
        predict(lines.data, lines.ends, words, file.word_ngrams, file.buckets, *matrices, found)
        return found


def load_model(path: Path) -> Any:
    """A fastText model, loaded once a process: a `CompiledModel` if it can read it, else fastText's own object."""
    if not path.is_file():
        raise ValueError(f"no fastText model at {path}; make it with a train_classifier stage, or correct the path")
    status = path.stat()
    return _load(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(path: str, _mtime: int, _size: int) -> Any:
    import fasttext

    try:
        with open(path, "rb") as opened:
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        file = read_model_file(content)
        return fasttext.load_model(path) if file is None else CompiledModel(file)
    except CutFile:
        raise ValueError(f"{path} is cut: a part of the fastText model is missing; make or copy it again") from None
    except ValueError as error:
        raise ValueError(f"{path} is not a fastText model: {error}") from error


def score(model: Any, texts: Sequence[str]) -> list[float]:
    """The positive label's probability for each raw text; 0 for a text without words."""
    labels = list(model.get_labels())
    if POSITIVE not in labels:
        raise ValueError(f"the classifier has the labels {sorted(labels)[:5]}, not {POSITIVE!r} for good documents")
    scores: list[float] = []
    for start in range(0, len(texts), BATCH_DOCUMENTS):
        lines = normalize_all(texts[start : start + BATCH_DOCUMENTS])
        if isinstance(model, CompiledModel):
            found = model.probabilities(lines)[:, labels.index(POSITIVE)]
        else:
            found = _ask_fasttext(model, lines, len(labels))
        found[np.diff(lines.ends, prepend=0) == 0] = 0.0
        scores += np.minimum(found, 1.0).tolist()  # fastText's probabilities are 1e-5 too large
    return scores


def _ask_fasttext(model: Any, lines: Lines, num_labels: int) -> npt.NDArray[np.float32]:
    # every label is asked for: the positive one is not always the most probable
    labels, probabilities = model.predict(lines.decode(), k=num_labels)
    found = (values[list(names).index(POSITIVE)] if POSITIVE in names else 0.0 for names, values in zip(labels, probabilities))
    return np.fromiter(found, np.float32, len(lines))
