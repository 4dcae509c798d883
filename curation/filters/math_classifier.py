"""The mathematics score of a trained fastText classifier (`curation/classifier.py`), and a threshold on it."""

from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.classifier import load_model, score
from recipes import schema


class MathClassifierFilter(BaseFilter):
    """`params.model` is the path of a model.bin: a stage's name is resolved before."""

    name = "math_classifier"

    def __init__(self, params: schema.MathClassifierFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        math_score = score(load_model(Path(self.params.model)), [doc.text])[0]
        doc.metadata["math_score"] = round(math_score, 4)
        return True if math_score >= self.params.min_score else (False, "low_score")
