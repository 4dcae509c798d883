"""The scripts that a document's letters are of: a chain of thought that slips into another language shows it, where the language
of the whole is still English. Greek belongs to mathematics, and so do the letters that Unicode has for formulas alone."""

import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.characters import ALPHA, UNICODE_SIZE, classes
from curation.filters.filter import Columns, Filter, share
from recipes import schema
from recipes.schema import SCRIPTS

OTHER = SCRIPTS.index("other")
NAMES = {"CJK": "han", "IDEOGRAPHIC": "han", "HIRAGANA": "kana", "KATAKANA": "kana", "MICRO": "greek"}  # first words of names
FORMULA_LETTERS = ("MATHEMATICAL", "MODIFIER", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "PLANCK", "FEMININE", "MASCULINE")


class ScriptsFilter(Filter):
    name = "scripts"
    columns = tuple(f"scripts.{script}" for script in SCRIPTS)

    def __init__(self, params: schema.ScriptsFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        """The share of each script in the letters; all 0 where there are none."""
        points, offsets = batch.characters.points, batch.characters.offsets
        num_docs = len(offsets) - 1
        document = np.repeat(np.arange(num_docs), np.diff(offsets))
        is_letter = (classes()[points] & ALPHA) > 0
        keys = document[is_letter] * len(SCRIPTS) + _scripts()[points[is_letter]]
        counts = np.bincount(keys, minlength=num_docs * len(SCRIPTS)).reshape(num_docs, len(SCRIPTS))
        letters = counts.sum(axis=1)
        return {name: share(counts[:, number], letters) for number, name in enumerate(self.columns)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        others = [measured[f"scripts.{script}"] for script in SCRIPTS if script not in self.params.allowed]
        yield "other_script", np.sum(others, axis=0) > self.params.max_other_share


@cache
def _scripts() -> NDArray[np.uint8]:
    """The number of every letter's script."""
    numbers = np.full(UNICODE_SIZE, OTHER, dtype=np.uint8)
    for point in np.flatnonzero(classes() & ALPHA).tolist():
        numbers[point] = SCRIPTS.index(_script(unicodedata.name(chr(point), "")))
    return numbers


def _script(name: str) -> str:
    first = name.split(" ")[0].split("-")[0]
    known = NAMES.get(first, first.lower())
    if known in SCRIPTS:
        return known
    if name.startswith(FORMULA_LETTERS) or "LATIN" in name:
        return "latin"
    return "kana" if "KATAKANA" in name else "hangul" if "HANGUL" in name else "other"
