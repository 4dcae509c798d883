r"""Problems that are not whole as text: figures, broken numbering, and what only a proof answers. s1 takes such questions out by
patterns (`[asy]`, `![Image]`, `p3.`, digits in bold type), O1 Journey 2 takes out those with images and those that ask for a
proof. Looked at is the question where the metadata have it, else the text."""

import re
from collections.abc import Iterator

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.filter import Columns, Filter
from recipes import schema

# Linear on runs of signs: an image opens at the last "![" before its "]", "show" follows the last sign of its run.
PATTERNS = {
    "asymptote": re.compile(r"\[asy\]"),
    "image": re.compile(
        r"!\[(?:[^\]\n!]|!(?!\[))*+\]|"
        r"<img\b|\\includegraphics|\[image\]|\b(?:figure|diagram|picture) (?:below|above)\b",
        re.I,
    ),
    "numbering": re.compile(r"\bp\d{1,2}\.(?!\w)"),
    "bold_number": re.compile(r"\*\*\d{1,3}[.)]?\*\*|\\(?:textbf|mathbf)\s*\{\s*\(?\d{1,3}\s*[.)]\s*\}"),
    "proof": re.compile(  # "we prove" tells of another's proof, "a TV show that" of none
        r"(?<!\bwe )(?<!\bwe can )\b(?:dis)?prove\s(?!your\b)|"
        r"(?:^|[.!?:;,\n]|\band\b|\bthen\b)[^\w.!?:;,\n]*+(?:show|demonstrate|verify)\s+that\b",
        re.I,
    ),
}


class ProblemFormatFilter(Filter):
    name = "problem_format"
    columns = tuple(f"problem_format.{rule}" for rule in PATTERNS)

    def __init__(self, params: schema.ProblemFormatFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        questions = [str(doc.metadata.get("question") or doc.text) for doc in batch.documents]
        return {
            f"problem_format.{rule}": np.array([pattern.search(question) is not None for question in questions], np.bool_)
            for rule, pattern in PATTERNS.items()
        }

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        for rule in PATTERNS:
            if rule in self.params.drop:
                yield rule, measured[f"problem_format.{rule}"]
