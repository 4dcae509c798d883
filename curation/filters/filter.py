"""What all filters share: they measure a batch of documents into columns, and decide by columns and thresholds.

The two halves are apart, so that a stage measures once and another one decides as often as a page's thresholds change. Together
they are an ordinary datatrove filter, which may stand alone in any pipeline.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.batches import BATCH_DOCUMENTS
from curation.filters.batch import Batch

Columns = Mapping[str, NDArray[Any]]


class Filter(BaseFilter):
    """A column named `words.num_words` becomes `doc.metadata["words"]["num_words"]`; all columns of a filter have one group, or
    none. `unnoted` columns decide, but are no news to a reader."""

    columns: tuple[str, ...]
    unnoted: tuple[str, ...] = ()

    def __init__(self, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer, batch_size=BATCH_DOCUMENTS)

    @abstractmethod
    def measure(self, batch: Batch) -> Columns:
        """A value of each of `columns` for every document."""

    @abstractmethod
    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """The rules in order, each with the documents that break it."""

    def judged_by(self, measured: Columns) -> list[str] | None:
        """Where a page sets several thresholds, the one that each document is judged by; None where it does not."""
        return None

    def broken(self, measured: Columns) -> tuple[list[str], NDArray[np.int64]]:
        """The names of the rules, and for every document the first one that it breaks; -1 for none."""
        names = []
        first = np.full(len(measured[self.columns[0]]), -1)
        for number, (name, is_broken) in enumerate(self.rules(measured)):
            names.append(name)
            first[(first < 0) & is_broken] = number
        return names, first

    def notes(self, measured: Columns) -> list[dict[str, Any]]:
        """What each document's metadata gain."""
        noted = [name for name in self.columns if name not in self.unnoted]
        if not noted:
            return [{}] * len(measured[self.columns[0]])
        group, keys = noted[0].rpartition(".")[0], [name.rpartition(".")[2] for name in noted]
        rows = zip(*(measured[name].tolist() for name in noted), strict=True)
        notes = [dict(zip(keys, row, strict=True)) for row in rows]
        return [{group: note} for note in notes] if group else notes

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        measured = self.measure(Batch(batch))
        for doc, note in zip(batch, self.notes(measured), strict=True):
            doc.metadata.update(note)
        names, broken = self.broken(measured)
        return [True if rule < 0 else (False, names[rule]) for rule in broken.tolist()]

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filter_batch([doc])[0]


def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """To four places, as metadata show it and thresholds judge it; 0 of nothing."""
    shares: NDArray[np.float64] = np.round(part / np.maximum(whole, 1), 4)
    return shares
