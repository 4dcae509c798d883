"""The datatrove step: documents of HTML in, of text out. What cannot be extracted is dropped, with its reason."""

from collections.abc import Callable

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.extract.cpu_limit import TooSlow, cpu_limit
from curation.extract.page import extract


class ExtractHtml(PipelineStep):
    """doc.text: HTML -> text. Adds metadata num_equations, equations_by_kind and title.

    Counts by `count`: equations by where their LaTeX came from, equations_left_out with what is no content, and limited_pages
    by the limit that they ran into (`page.Extracted`; cpu_seconds).

    Reasons given to `drop`: extract_too_large (more than `max_html_chars`), extract_too_slow (more than `max_cpu_seconds`,
    nine times what 20 MB of ordinary formulas take: the one decision that depends on the machine), extract_empty (less
    than `min_chars` of text), extract_<ErrorType>. A dropped document still holds its HTML.
    """

    name = "extract"
    type = "extractor"

    def __init__(
        self,
        *,
        drop: Callable[[Document, str], None],
        count: Callable[..., None],
        min_chars: int,
        max_html_chars: int,
        max_cpu_seconds: float,
    ):
        super().__init__()
        if max_cpu_seconds <= 0:
            raise ValueError(f"max_cpu_seconds is {max_cpu_seconds}, in which no page can be read: give more than 0")
        if min_chars < 0 or max_html_chars < 1:
            raise ValueError(
                f"min_chars is {min_chars} and max_html_chars {max_html_chars}: "
                "give a min_chars of 0 or more, and a max_html_chars of 1 or more"
            )
        self.drop = drop
        self.count = count
        self.min_chars = min_chars
        self.max_html_chars = max_html_chars
        self.max_cpu_seconds = max_cpu_seconds

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        extract("")  # compiles what is not compiled yet: no page is to pay for that
        for doc in data:
            self.stat_update("pages")
            with self.track_time():
                reason = self._extract(doc)
            if reason:
                self.stat_update("dropped", f"dropped_{reason}")
                self.drop(doc, reason)
                continue
            self.stat_update("kept")
            self.stat_update("equations", value=doc.metadata["num_equations"])
            self.update_doc_stats(doc)
            yield doc

    def _extract(self, doc: Document) -> str | None:
        """Changes `doc` in place; or leaves it as it is and gives the reason to drop it."""
        if len(doc.text) > self.max_html_chars:
            return "extract_too_large"
        try:
            with cpu_limit(self.max_cpu_seconds):
                page = extract(doc.text)
        except TooSlow:
            self.count("limited_pages", "cpu_seconds")
            return "extract_too_slow"
        except Exception as error:  # one page must not stop a shard: counted by type, and kept with the dropped ones
            return f"extract_{type(error).__name__}"
        for limit in page.limits:
            self.count("limited_pages", limit)
        if len(page.text) < max(1, self.min_chars):
            return "extract_empty"
        for kind, number in page.equations_by_kind.items():
            self.count("equations", kind, n=number)
        if page.num_left_out:
            self.count("equations_left_out", n=page.num_left_out)
        doc.text = page.text
        doc.metadata["title"] = page.title
        doc.metadata["num_equations"] = page.num_equations
        doc.metadata["equations_by_kind"] = page.equations_by_kind
        return None
