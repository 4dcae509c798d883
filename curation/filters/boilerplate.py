"""Pages that are not content: placeholder pages, and pages of cookie, JavaScript, log-in and error lines (C4, Raffel et
al. 2020, section 2.2). C4's rules for a final punctuation mark and against `{` are left out: they drop LaTeX."""

from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter, share
from curation.filters.phrases import Phrases
from curation.filters.word_lists import find_list
from recipes import schema

MAX_LINE_WORDS = 40  # a longer line that mentions cookies is a paragraph of an article


class BoilerplateFilter(Filter):
    name = "boilerplate"
    columns = ("boilerplate_share", "has_placeholder")
    unnoted = ("has_placeholder",)

    def __init__(self, params: schema.BoilerplateFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params
        for name in (*params.page_lists, *params.phrase_lists):
            find_list(name)  # a wrong name fails here, before any document is read

    def measure(self, batch: Batch) -> Columns:
        phrases = Phrases(page_lists=self.params.page_lists, line_lists=self.params.phrase_lists)
        counts = batch.phrases(phrases, MAX_LINE_WORDS)
        return {
            "boilerplate_share": share(counts["num_phrase_lines"], counts["num_lines"]),
            "has_placeholder": counts["has_page_phrase"] > 0,
        }

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        yield "placeholder_page", measured["has_placeholder"].astype(bool)
        yield "boilerplate_lines", measured["boilerplate_share"] > self.params.max_line_share
