"""Pages that are not content: placeholder pages, and pages of cookie, JavaScript, log-in and error lines (C4, Raffel et
al. 2020, section 2.2). C4's rules for a final punctuation mark and against `{` are left out: they drop LaTeX."""

import re
from functools import cache

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.filters.word_lists import find_list, read_lists
from recipes import schema

MAX_LINE_WORDS = 40  # a longer line that mentions cookies is a paragraph of an article


class BoilerplateFilter(BaseFilter):
    name = "boilerplate"

    def __init__(self, params: schema.BoilerplateFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params
        for name in (*params.page_lists, *params.phrase_lists):
            find_list(name)  # a wrong name fails here, before any document is read

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = doc.text.lower().replace("’", "'")
        lines = [line for line in text.splitlines() if line.strip()]
        phrases = _pattern(self.params.phrase_lists)
        num_hits = sum(phrases.search(line) is not None and len(line.split()) <= MAX_LINE_WORDS for line in lines)
        share = num_hits / len(lines) if lines else 0.0
        doc.metadata["boilerplate_share"] = round(share, 4)
        if _pattern(self.params.page_lists).search(text):
            return False, "placeholder_page"
        if share > self.params.max_line_share:
            return False, "boilerplate_lines"
        return True


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Any phrase of the lists, as whole words."""
    phrases = "|".join(re.escape(phrase) for phrase in sorted(read_lists(names)))
    return re.compile(rf"(?<!\w)(?:{phrases})(?!\w)" if phrases else r"(?!)")
