"""Documents with too few or too many words; a formula counts as one word. Texts without spaces between words need
limits of their own."""

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.filters.formulas import replace_formulas
from recipes import schema


class LengthFilter(BaseFilter):
    name = "length"

    def __init__(self, params: schema.LengthFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        words = replace_formulas(doc.text, by=" formula ").split()
        num_words = sum(any(char.isalnum() for char in word) for word in words)
        doc.metadata["num_words"] = num_words
        if num_words < self.params.min_words:
            return False, "too_short"
        if num_words > self.params.max_words:
            return False, "too_long"
        return True
